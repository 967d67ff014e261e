"""`watcher demo --docker`: the same story with real images, pulled and run by a real engine."""

from pathlib import Path

import pytest

from tests.real.base_image import base_image
from tests.real.docker import PrivateDaemon
from watcher.demo.real_engine import SERVICE
from watcher.demo.story import run_demo
from watcher.errors import ConfigError


def test_the_story_ends_well_on_a_real_engine_and_leaves_nothing(
    clean_engine: PrivateDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", clean_engine.url)
    client = clean_engine.client()
    base = base_image(client)
    before = {image.id for image in client.images.list()}
    lines: list[str] = []
    code = run_demo(lines.append, docker=True, base=base, data_dir=tmp_path)
    assert code == 0, "\n".join(lines)
    assert sum(f"container:{SERVICE} was away for" in line for line in lines) == 3
    assert client.containers.list(all=True) == []
    assert {image.id for image in client.images.list()} == before


def test_a_base_image_that_is_not_there_is_named(
    clean_engine: PrivateDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", clean_engine.url)
    with pytest.raises(ConfigError, match="no such image"):
        run_demo(lambda _: None, docker=True, base="nobody/has-this:1", data_dir=tmp_path)
    assert clean_engine.client().containers.list(all=True) == []
