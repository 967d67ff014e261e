"""Whatever dies while Docker still waits for a service to end: it runs again afterwards, and goes on running."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.forked import KILLED, ForkServer
from tests.faults.table import Row
from tests.faults.test_deaths import Ground, forks
from tests.main_loop.one_trial import IMAGE
from tests.real.docker import PrivateDaemon, private_daemon
from tests.real.scene import ASSISTANT, OWN_POLICY, Scene, scene_with
from tests.real.stub_engine import service_image, stub_image

__all__ = ["forks"]  # the fixture

STOP_SECONDS = 2


@dataclass(frozen=True)
class Stopping:
    """A trial whose service was told to end, and has not ended."""

    ground: Ground
    run: int
    began: str
    told_at: float

    @property
    def scene(self) -> Scene:
        return self.ground.scene

    def kill(self) -> None:
        os.kill(self.run, signal.SIGKILL)
        assert self.ground.finish(self.run) == KILLED, self.ground.output.read_text()

    def restart_daemon(self) -> None:
        self.ground.engine.kill()
        self.ground.engine.start()

    def assert_back_for_good(self, *outcomes: str) -> None:
        """Hold that it was started anew, and still runs when the stop that was ordered must be over."""
        started = self.scene.assistant()["State"]["StartedAt"]
        assert started > self.began, "what was told to end cannot count as back"
        self.scene.wait_until(lambda: time.monotonic() > self.told_at + STOP_SECONDS + 1)
        assert self.ground.call("check-now", "--no-trial") == 0
        self.ground.assert_all_is_well(*outcomes)
        assert self.scene.assistant()["State"]["StartedAt"] == started


@pytest.fixture(scope="module")
def ground(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with private_daemon(tmp_path_factory.mktemp("engine")) as engine:
        scene = scene_with(engine, tmp_path_factory.mktemp("scene"), ["local/vllm"], [])
        stub_image(engine.client(), IMAGE, "healthy", STUB_DELAY="0.1")
        image = service_image(engine.client(), "local/assistant:1", SERVICE_STOP_SECONDS=str(STOP_SECONDS))
        engine.client().containers.run(image, name=ASSISTANT, detach=True, restart_policy=OWN_POLICY)
        yield Ground(scene, forks, engine)


@pytest.fixture
def stopping(ground: Ground) -> Stopping:
    ground.scene.wait_until(ground.scene.assistant_is_healthy)
    began, since = ground.scene.assistant()["State"]["StartedAt"], time.time()
    run = ground.forks.start(ground.command("trial", "run", IMAGE, "--force"), ground.output)
    ground.scene.wait_until(lambda: was_told_to_end(ground.engine, since))
    return Stopping(ground, run, began, time.monotonic())


def was_told_to_end(engine: PrivateDaemon, since: float) -> bool:
    api: Any = engine.client().api  # the stubs know whole seconds only
    asked = {"container": ASSISTANT, "event": "kill"}
    return any(api.events(since=since, until=time.time(), filters=asked, decode=True))


def test_the_program_is_killed_and_restore_runs(stopping: Stopping) -> None:
    stopping.kill()
    assert stopping.ground.call("restore") == 0
    stopping.assert_back_for_good("bench")


def test_the_program_is_killed_and_a_check_runs(stopping: Stopping) -> None:
    stopping.kill()
    assert stopping.ground.call("check-now", "--no-trial") == 0
    stopping.assert_back_for_good("bench")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_program_is_asked_to_end(stopping: Stopping, number: signal.Signals) -> None:
    os.kill(stopping.run, number)
    assert stopping.ground.finish(stopping.run) == 130, stopping.ground.output.read_text()
    stopping.assert_back_for_good("cancelled")


def test_restore_is_called_beside_the_program(stopping: Stopping) -> None:
    assert stopping.ground.call("restore") == 0
    assert stopping.ground.finish(stopping.run) == 130, stopping.ground.output.read_text()
    stopping.assert_back_for_good("cancelled")


def test_the_daemon_is_killed_and_started_again(stopping: Stopping) -> None:
    stopping.restart_daemon()
    assert stopping.ground.finish(stopping.run) in (5, 6), stopping.ground.output.read_text()
    assert stopping.ground.call("restore") == 0
    stopping.assert_back_for_good("bench")


def test_program_and_daemon_are_killed(stopping: Stopping) -> None:
    stopping.kill()
    stopping.restart_daemon()
    assert stopping.ground.call("restore") == 0
    stopping.assert_back_for_good("bench")


WHILE = "while Docker still waits for a slow service to end"
ROWS = (
    Row("the program", f"SIGKILL {WHILE}", "`watcher restore`, or the next `check-now`, waits the stop out",
        "`bench`", 2),
    Row("the program", f"SIGTERM, SIGINT and `restore` {WHILE}", "the program itself, when the stop is over; exit 130",
        "`cancelled`", 3),
    Row("Docker", f"the daemon killed {WHILE}, alone or together with the program, and started again",
        "Docker's own restart policy, then `restore` closes the books", "`bench`", 2),
)  # fmt: skip
