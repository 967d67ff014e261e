"""A service that Compose itself brought up makes room and comes back, and Compose knows it for its own afterwards."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.trials import end_engine, trial_during
from tests.main_loop.one_trial import IMAGE
from tests.real.compose import with_compose
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import service_image, stub_image

NAME = "home-assistant-1"
FILE = """services:
  assistant:
    image: local/assistant:1
    restart: unless-stopped
    volumes: ["learned:/learned"]
volumes: {learned: }
"""


@dataclass
class Home:
    """A folder `home` with a compose file whose one service runs."""

    scene: Scene
    folder: Path
    environment: dict[str, str]

    def compose(self, command: str) -> str:
        done = subprocess.run(
            ["docker", "compose", *command.split()],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def service(self) -> dict[str, Any]:
        attrs: dict[str, Any] = self.scene.docker().client().containers.get(NAME).attrs
        return attrs

    def is_healthy(self) -> bool:
        return bool(self.service()["State"]["Health"]["Status"] == "healthy")

    def learned(self) -> bytes:
        said = self.scene.docker().client().containers.get(NAME).exec_run(["cat", "/learned/a"]).output
        assert isinstance(said, bytes)
        return said


@pytest.fixture
def home(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[Home]:
    folder, client = tmp_path / "home", clean_engine.client()
    folder.mkdir()
    (folder / "compose.yaml").write_text(FILE)
    service_image(client, "local/assistant:1")
    stub_image(client, IMAGE, "never-ready")
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    scene.table["trial"]["displace"] = [f"container:{NAME}"]
    home = Home(scene, folder, {**os.environ, **with_compose(tmp_path), **clean_engine.environment})
    home.compose("up -d")
    scene.wait_until(home.is_healthy)
    client.containers.get(NAME).exec_run(["sh", "-c", "echo tea > /learned/a"])
    yield home
    home.compose("down -v -t 1")


def assert_compose_knows_it(home: Home) -> None:
    """Hold that the service runs as it did, and that Compose finds nothing to do."""
    home.scene.wait_until(home.is_healthy)
    assert home.learned() == b"tea\n"
    was = home.service()["Id"]
    said = home.compose("up -d")
    assert home.service()["Id"] == was, said
    assert home.compose("ps --services --status running").split() == ["assistant"]
    home.scene.assert_nothing_is_left([NAME])


def test_it_comes_back_and_compose_has_nothing_to_do(home: Home) -> None:
    before = home.service()["Id"]
    trial_during(home.scene, lambda: end_engine(home.scene))
    assert home.service()["Id"] == before
    assert_compose_knows_it(home)


def test_it_is_made_again_where_compose_took_it_down_meanwhile(home: Home) -> None:
    def meddle() -> None:
        home.compose("down")
        end_engine(home.scene)

    before = home.service()["Id"]
    trial_during(home.scene, meddle)
    assert home.service()["Id"] != before
    assert_compose_knows_it(home)


def test_made_anew_by_compose_in_the_middle_it_ends_the_trial(home: Home) -> None:
    before = home.service()["Id"]
    trial = trial_during(home.scene, lambda: home.compose("up -d --force-recreate"), code=6)
    assert trial["outcome"] == "bench"
    assert f"container {NAME} (" in trial["reason"]
    assert "stands in its place" in trial["reason"]
    assert home.service()["Id"] != before
    assert_compose_knows_it(home)
