"""Disks that fill up: the engine's own during a pull, the watcher's before a trial and at its worst moments."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.forked import ForkServer, Moment
from tests.faults.table import Row
from tests.faults.test_deaths import at, forks, state_of
from tests.main_loop.one_trial import IMAGE
from tests.real.disk import fill, small_disk
from tests.real.docker import PrivateDaemon, private_daemon
from tests.real.registry import running_registry
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image

__all__ = ["forks"]  # the fixture

ENGINE_BYTES, LEFT_BYTES = 900_000_000, 40_000_000
LAYER_BYTES = 2 * LEFT_BYTES
"""Of zeros: a layer of some hundred kilobytes to whoever only sees it packed."""
DATA_BYTES = 4_000_000
REPOSITORY = "lab/vllm"


def test_an_engine_whose_disk_fills_up_during_a_pull_gives_no_verdict_and_works_on(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", ENGINE_BYTES) as disk,
        private_daemon(disk) as engine,
        running_registry(tmp_path / "registry") as registry,
    ):
        scene = scene_with(engine, tmp_path, [f"{registry.host}/{REPOSITORY}"], [])
        scene.start_assistant()
        show_disk_of(engine, scene)
        fill(disk, LEFT_BYTES)
        began, free = scene.assistant()["State"]["StartedAt"], shutil.disk_usage(disk).free
        registry.push_image(REPOSITORY, "1", [{"file": bytes(LAYER_BYTES)}])
        trial = scene.answer("trial", "run", f"{registry.host}/{REPOSITORY}:1", code=6)["trial"]
        assert (trial["outcome"], trial["failed_stage"], trial["displaced"]) == ("refused", "pull", [])
        assert "the disk became full during the pull" in trial["reason"]
        assert trial["retry_at"] is not None
        assert scene.assistant()["State"]["StartedAt"] == began
        scene.wait_until(lambda: shutil.disk_usage(disk).free > free - 1_000_000)
        registry.push_image(REPOSITORY, "2", [{"file": os.urandom(1000)}])
        again = scene.answer("trial", "run", f"{registry.host}/{REPOSITORY}:2")["trial"]
        assert again["outcome"] == "verdict"
        scene.assert_all_is_as_before()


def show_disk_of(engine: PrivateDaemon, scene: Scene) -> None:
    """Let the device's root have the folder in which its engine keeps images."""
    place = Path(str(engine.client().info()["DockerRootDir"]))
    seen = Path(scene.table["device"]["root"]) / str(place).lstrip("/")
    seen.parent.mkdir(parents=True)
    seen.symlink_to(place)


# --- the watcher's own disk -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stub_image(docker_engine.client(), IMAGE, "healthy", STUB_DELAY="0.1")
    scene = scene_with(docker_engine, tmp_path_factory.mktemp("disk"), ["local/vllm"], [])
    scene.start_assistant()
    yield scene
    docker_engine.sweep()


@pytest.fixture
def disk(scene: Scene, tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "data", DATA_BYTES) as disk:
        scene.table["store"]["data_dir"] = str(disk)
        yield disk


@pytest.mark.parametrize("has_database", [False, True], ids=["an empty folder", "a database"])
def test_a_data_folder_that_is_full_beforehand_stops_no_service(scene: Scene, disk: Path, has_database: bool) -> None:
    began = scene.assistant()["State"]["StartedAt"]
    if has_database:
        assert scene.watcher("check-now").returncode == 0
    filler = fill(disk)
    done = scene.watcher("trial", "run", IMAGE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert scene.assistant()["State"]["StartedAt"] == began
    scene.assert_all_is_as_before()
    filler.unlink()
    assert scene.answer("trial", "run", IMAGE)["trial"]["bring_up"] == "works"


@dataclass(frozen=True)
class Full:
    """When the data folder gets full, and what the trial says when there is room again."""

    when: str
    moment: Moment
    outcome: str
    bring_up: str
    said: str = ""
    stopped: bool = True


FULL = (
    Full("before it is written down what is owed", Moment("write_debt", 1, "before"), "bench", "untried",
         "what is owed could not be written down", stopped=False),
    Full("when the service has just stopped", Moment("stop_service", 1, "after"), "bench", "untried",
         "the disk is full"),
    Full("while a working engine is watched", at("soak"), "verdict", "works"),
    Full("when the service is about to start again", Moment("start_service", 1, "before"), "verdict", "works"),
    Full("before the note of what was owed is removed", Moment("clear_debt", 1, "before"), "verdict", "works"),
)  # fmt: skip


@pytest.mark.parametrize("full", FULL, ids=lambda full: full.when)
def test_a_data_folder_that_gets_full_keeps_no_service_down(
    scene: Scene, disk: Path, forks: ForkServer, full: Full
) -> None:
    began, output = scene.assistant()["State"]["StartedAt"], scene.folder / "output"
    run = forks.start(scene.command("trial", "run", IMAGE)[3:], output, full.moment, signal.SIGSTOP)
    scene.wait_until(lambda: state_of(run) in "TZ")
    filler = fill(disk)
    os.kill(run, signal.SIGCONT)
    scene.wait_until(lambda: "is not written yet" in output.read_text() or state_of(run) == "Z")
    scene.wait_until(scene.assistant_is_healthy)
    filler.unlink()
    assert forks.wait(run) == (0 if full.outcome == "verdict" else 6), output.read_text()
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["stage"], trial["bring_up"]) == (full.outcome, "done", full.bring_up), trial
    assert full.said in trial["reason"]
    assert (scene.assistant()["State"]["StartedAt"] != began) == full.stopped
    scene.assert_all_is_as_before()


GROUP = "the disk"
ROWS = (
    Row(GROUP, "the engine's fills up during a pull, by a layer that looks small while it is packed",
        "it is never stopped", "`refused`, again in 6 hours", 1),
    Row(GROUP, "the watcher's is full before the trial", "it is never stopped", "no trial; exit code 1", 2),
    *(Row(GROUP, f"the watcher's gets full {full.when}", "the trial's way back" if full.stopped else
          "it is never stopped", f"`{full.outcome}`, written when there is room", 1) for full in FULL),
)  # fmt: skip
