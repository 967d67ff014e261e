"""`inspect` as a person calls it: a wheel on disk, a wheel behind ranges, a host without ranges, an image."""

from pathlib import Path

import pytest

from tests.artifacts.builders import FIXED, LIBRARY, PRESENT, VERSION, saved, torch_wheel
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image
from tests.real.web import Reply, running_web, tree

SITE = "/usr/local/lib/python3.11/dist-packages"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, None, {"store": {"data_dir": "data"}, "device": {"docker": "none"}, "sources": []})


def test_a_wheel_on_disk_and_the_same_behind_ranges(scene: Scene, tmp_path: Path) -> None:
    for content, version, state in ((PRESENT, "2.13.0+cu130", "present"), (FIXED, "2.14.0+cu130", "fixed")):
        wheel = saved(tmp_path, torch_wheel(content, version))
        here = scene.answer("inspect", str(wheel))
        assert (here["kind"], here["torch"], here["bug"]["state"]) == ("wheel", version, state)
        assert here["evidence"][0]["member"] == LIBRARY
        with running_web() as web:
            web.fallback = tree(tmp_path)
            there = scene.answer("inspect", f"{web.url}/{wheel.name}")
        assert (there["torch"], there["bug"], there["evidence"]) == (version, here["bug"], here["evidence"])


def test_a_host_without_ranges_is_said_so_and_downloaded_on_request(scene: Scene, tmp_path: Path) -> None:
    wheel = torch_wheel(PRESENT)
    with running_web() as web:
        web.routes["/torch.whl"] = Reply(200, wheel)
        refused = scene.answer("inspect", f"{web.url}/torch.whl")
        fetched = scene.answer("inspect", f"{web.url}/torch.whl", "--download")
    assert (refused["bug"]["state"], fetched["bug"]["state"]) == ("unknown", "present")
    assert "download" in refused["reason"]
    assert fetched["bytes_read"] == len(wheel)


def test_an_image_in_the_engine(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    files = {f"{SITE}/{LIBRARY}": (FIXED, 0o644), f"{SITE}/{VERSION}": (b"__version__ = '2.14.0+cu130'\n", 0o644)}
    stub_image(clean_engine.client(), "local/vllm:fixed", "healthy", files)
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    seen = scene.answer("inspect", "local/vllm:fixed")
    assert (seen["kind"], seen["torch"], seen["bug"]["state"]) == ("image", "2.14.0+cu130", "fixed")
    assert not clean_engine.client().containers.list(all=True), "nothing is left of the look inside"
