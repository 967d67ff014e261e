"""Images that vanish, cannot be fetched, or are for others: no verdict, and where possible the service never stops."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.forked import ForkServer
from tests.faults.table import Row
from tests.faults.test_deaths import at, forks, state_of
from tests.real.docker import PrivateDaemon
from tests.real.registry import running_registry
from tests.real.registry_door import Door, door_before
from tests.real.scene import Scene, scene_with

__all__ = ["forks"]  # the fixture

OLD, NEW = "0.32.0-r36.4-cu129-24.04", "0.33.0-r36.4-cu129-24.04"
REPOSITORY = "lab/vllm"
SMALL, BIG = 100_000, 8_000_000


@dataclass
class Lab:
    """A scene whose candidates come from a real registry; they have no engine in them, which is a verdict, too."""

    scene: Scene
    door: Door
    forks: ForkServer
    folder: Path
    life: contextlib.ExitStack

    @property
    def image(self) -> str:
        return f"{self.door.host}/{REPOSITORY}:{NEW}"

    def push(self, tag: str, *sizes: int, architecture: str = "amd64") -> str:
        """Push an image with layers that no engine has seen; return its digest."""
        layers = [{f"file-{number}": os.urandom(size)} for number, size in enumerate(sizes)]
        return self.door.registry.push_image(REPOSITORY, tag, layers, architecture)

    def trial(self, image: str, code: int) -> dict[str, Any]:
        trial: dict[str, Any] = self.scene.answer("trial", "run", image, "--force", code=code)["trial"]
        return trial

    def trial_paused(self, image: str, stage: str) -> tuple[int, Path]:
        """Start a trial that waits as a stage begins; return its pid and where it tells its end."""
        output = self.scene.folder / "output"
        command = self.scene.command("trial", "run", image, "--force", "--json")[3:]
        run = self.forks.start(command, output, at(stage), signal.SIGSTOP)
        self.scene.wait_until(lambda: state_of(run) in "TZ")
        assert state_of(run) == "T", output.read_text()
        return run, output

    def kill_registry(self) -> None:
        self.life.close()

    def start_registry(self) -> None:
        """Start it again where it was, with what it had."""
        port = int(self.door.registry.host.rpartition(":")[2])
        self.door.registry = self.life.enter_context(running_registry(self.folder, port=port))

    def half_loaded(self) -> list[Path]:
        """Return the files in which the engine keeps layers that it loads."""
        root = Path(self.scene.docker().client().info()["DockerRootDir"])
        return list((root / "tmp").glob("GetImageBlob*"))

    def pulled(self) -> list[str]:
        """Return the images of the lab that the engine has, by digest."""
        images = self.scene.docker().client().images.list()
        names = [name for image in images for name in image.attrs["RepoDigests"] or ()]
        return [name.partition("@")[2] for name in names if name.startswith(f"{self.door.host}/")]


@pytest.fixture(scope="module")
def scene(docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = scene_with(docker_engine, tmp_path_factory.mktemp("images"), [], [])
    scene.start_assistant()
    yield scene
    docker_engine.sweep()


@pytest.fixture
def lab(scene: Scene, tmp_path: Path, forks: ForkServer) -> Iterator[Lab]:
    folder = tmp_path / "registry"
    with contextlib.ExitStack() as life, door_before(life.enter_context(running_registry(folder))) as door:
        scene.table["engines"]["vllm"]["images"] = [f"{door.host}/{REPOSITORY}"]
        scene.table["store"]["data_dir"] = str(tmp_path / "data")
        scene.table["sources"] = []
        scene.table["trial"]["timeouts"] = {"restore": "60s"}
        yield Lab(scene, door, forks, folder, life)


def assert_never_stopped(scene: Scene, began: str) -> None:
    assert scene.assistant()["State"]["StartedAt"] == began
    scene.assert_all_is_as_before()


VANISHING = {"inspect": "inspect", "probe": "probe", "settle": "start"}
"""When somebody removes the image by force, and the stage that then finds it gone."""


@pytest.mark.parametrize("stage", VANISHING)
def test_an_image_that_somebody_removes_is_no_evidence_and_is_fetched_again(lab: Lab, stage: str) -> None:
    digest, began = lab.push(NEW, SMALL), lab.scene.assistant()["State"]["StartedAt"]
    run, output = lab.trial_paused(lab.image, stage)
    lab.scene.docker().client().images.remove(f"{lab.door.host}/{REPOSITORY}@{digest}", force=True)
    assert lab.pulled() == []
    os.kill(run, signal.SIGCONT)
    assert lab.forks.wait(run) == 6, output.read_text()
    (trial,) = lab.scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["failed_stage"]) == ("bench", VANISHING[stage])
    assert (trial["bug"]["state"], trial["bring_up"], trial["starts"]) == ("unknown", "untried", [])
    assert trial["reason"].startswith("the image is gone: somebody removed it")
    assert trial["image"] == lab.image
    if stage == "settle":
        lab.scene.assert_all_is_as_before()
    else:
        assert_never_stopped(lab.scene, began)
    assert lab.trial(lab.image, code=0)["outcome"] == "verdict", "it was fetched again"
    lab.scene.assert_all_is_as_before()


def test_a_registry_that_dies_in_the_middle_of_a_pull_is_asked_again_later(lab: Lab) -> None:
    scene, began = lab.scene, lab.scene.assistant()["State"]["StartedAt"]
    scene.table["sources"] = [{"name": "tags", "kind": "oci-tags", "image": f"{lab.door.host}/{REPOSITORY}",
                               "architecture": "amd64"}]  # fmt: skip
    scene.table["trial"]["timeouts"]["pull"] = "6s"
    lab.push(OLD, SMALL)
    assert scene.answer("check-now")["trials"] == []
    lab.push(NEW, SMALL, BIG)
    lab.door.cut_after, lab.door.cuts = 1_000_000, 1
    running = scene.started("check-now", "--json")
    scene.wait_until(lambda: lab.door.cuts == 0)
    lab.kill_registry()
    output, trouble = running.communicate(timeout=60)
    assert running.returncode == 6, output + trouble
    (trial,) = json.loads(output)["trials"]
    assert (trial["outcome"], trial["failed_stage"], trial["failure_class"]) == ("bench", "pull", "network-pull")
    assert trial["displaced"] == []
    assert "1 broken off and tried again" in trial["reason"]
    scene.wait_until(lambda: not lab.half_loaded())
    assert lab.pulled() == []
    assert_never_stopped(scene, began)
    (waiting,) = scene.answer("status")["waiting"]
    assert waiting["waiting_for"].startswith("again at ")
    assert "after trouble on our side: it was not fetched in time" in waiting["waiting_for"]
    del scene.table["trial"]["timeouts"]["pull"]
    lab.start_registry()
    later = scene.answer("check-now")
    assert (later["trials"], later["candidates"]) == ([], []), "not before half an hour has passed"
    assert lab.trial(lab.image, code=0)["outcome"] == "verdict", "by hand nothing waits"
    scene.assert_all_is_as_before()


def test_a_digest_that_does_not_exist_is_refused(lab: Lab) -> None:
    began, nowhere = lab.scene.assistant()["State"]["StartedAt"], f"sha256:{'0' * 64}"
    lab.push(NEW, SMALL)
    trial = lab.trial(f"{lab.door.host}/{REPOSITORY}@{nowhere}", code=6)
    assert (trial["outcome"], trial["failed_stage"], trial["displaced"]) == ("refused", "pull", [])
    assert "does not have this image any more" in trial["reason"]
    assert nowhere in trial["reason"]
    away = datetime.fromisoformat(trial["retry_at"]) - datetime.fromisoformat(trial["started_at"])
    assert timedelta(hours=24) <= away < timedelta(hours=24, minutes=1)
    assert_never_stopped(lab.scene, began)


OF_ANOTHER = {"an index without it": "does not exist for this device's architecture",
              "a single image": "the image is for arm64, this device is amd64"}  # fmt: skip


@pytest.mark.parametrize("form", OF_ANOTHER)
def test_an_image_of_another_architecture_is_refused(lab: Lab, form: str) -> None:
    began = lab.scene.assistant()["State"]["StartedAt"]
    if form == "a single image":
        lab.push(NEW, SMALL, architecture="arm64")
    else:
        lab.door.registry.push(REPOSITORY, NEW)
    trial = lab.trial(lab.image, code=6)
    assert (trial["outcome"], trial["failed_stage"], trial["displaced"]) == ("refused", "pull", [])
    assert OF_ANOTHER[form] in trial["reason"]
    assert_never_stopped(lab.scene, began)


ROWS = (
    Row("the image", "removed by force between two stages", "it was not stopped yet, or the trial's way back",
        "`bench`; the next trial fetches it again", len(VANISHING)),
    Row("the image", "its digest does not exist", "it is never stopped", "`refused`, again in a day", 1),
    Row("the image", "it is for another architecture", "it is never stopped", "`refused`", len(OF_ANOTHER)),
    Row("the registry", "dies in the middle of a layer", "it is never stopped",
        "`bench` `network-pull`, again after half an hour", 1),
)  # fmt: skip
