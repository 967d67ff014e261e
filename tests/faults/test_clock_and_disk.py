"""Clocks that jump: what is owed is back, and time is kept by the monotonic clock."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.demo.whole_year import world
from tests.faults.forked import CLOCK, ForkServer
from tests.faults.table import Row
from tests.faults.test_deaths import forks
from tests.main_loop.one_trial import IMAGE, stage_now
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import StubMode, stub_image
from tests.trial.test_runner import GoodNotebook, order_in
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import World
from watcher.host.clock import SystemClock
from watcher.host.owed import read_debts
from watcher.model.device import DeviceState
from watcher.model.trial import Outcome, Stage, Trial
from watcher.model.verdict import BringUp
from watcher.ports import Lines
from watcher.trial.order import Order
from watcher.trial.runner import Runner

__all__ = ["forks", "world"]  # the fixtures

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
YEARS = timedelta(days=3 * 365)
JUMPS = {"forward": YEARS, "backward": -YEARS}
STAGES = [stage for stage in Stage if stage is not Stage.DONE]


class JumpingClock(SystemClock):
    """Its time of day is off by `jump`; its monotonic clock goes on, as Linux promises."""

    jump = timedelta()

    def now(self) -> datetime:
        return super().now() + self.jump


class JumpingNotebook(GoodNotebook):
    """Sets the time of day as a stage begins."""

    def __init__(self, clock: JumpingClock, stage: Stage, jump: timedelta) -> None:
        super().__init__()
        self._clock, self._stage, self._jump = clock, stage, jump

    def step(self, trial: Trial) -> None:
        if trial.stage is self._stage:
            self._clock.jump = self._jump


class DeafHost(SimulatedHost):
    """Nothing listens where its engine should answer."""

    def address(self, container: str, port: int) -> str:
        return "http://127.0.0.1:9"


def run(order: Order, host: SimulatedHost, stage: Stage, jump: timedelta) -> tuple[Trial, JumpingClock]:
    clock = JumpingClock()
    trial = Trial(order.candidate, DeviceState("36.4.4"), "cuda-allocator", clock.now(), id=1)
    runner = Runner(order, host, clock, JumpingNotebook(clock, stage, jump), Lines(lambda _: None))
    trial = runner.run(trial)
    assert runner.bug_of_ours is None
    return trial, clock


def assert_given_back(trial: Trial, host: SimulatedHost, order: Order) -> None:
    assistant = host.services["assistant"]
    assert assistant.healthy
    assert assistant.policy == "unless-stopped"
    assert (trial.stage, trial.owed, host.trial) == (Stage.DONE, (), None)
    assert read_debts(order.data_dir / "owed") == ()


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_clock_that_jumps_changes_no_verdict(tmp_path: Path, world: World, stage: Stage, jump: str) -> None:
    host, order = SimulatedHost(), replace(order_in(tmp_path, world), soak=timedelta(seconds=1))
    begun = time.monotonic()
    trial, clock = run(order, host, stage, JUMPS[jump])
    took = time.monotonic() - begun
    assert_given_back(trial, host, order)
    assert trial.finished_at is not None
    assert abs(trial.finished_at - clock.now()) < timedelta(seconds=30), "told as the clock says it at the end"
    if stage is Stage.PREFLIGHT and jump == "backward":
        assert (trial.outcome, trial.away_seconds) == (Outcome.REFUSED, None), "nothing was stopped"
        return
    assert (trial.outcome, trial.bring_up) == (Outcome.VERDICT, BringUp.WORKS)
    assert trial.away_seconds is not None
    assert 1 < trial.away_seconds < took + 0.1, "the time away is real time"


@pytest.mark.parametrize("jump", JUMPS)
def test_deadlines_hold_whatever_the_time_of_day(tmp_path: Path, world: World, jump: str) -> None:
    host, order = DeafHost(), order_in(tmp_path, world)
    timeouts = order.trial.timeouts.model_copy(update={"ready": timedelta(seconds=3)})
    order = replace(order, trial=order.trial.model_copy(update={"timeouts": timeouts}))
    begun = time.monotonic()
    trial, _ = run(order, host, Stage.READY, JUMPS[jump])
    assert 3 <= time.monotonic() - begun < 60
    assert_given_back(trial, host, order)
    assert (trial.outcome, trial.bring_up, trial.failure_class) == (Outcome.VERDICT, BringUp.FAILS, "not-ready")


# --- in the middle of a wait, with the whole program ------------------------------------------------------------------


@dataclass(frozen=True)
class Wait:
    """A stage that lasts so many seconds, and how the trial ends after it whatever the time of day."""

    stage: str
    mode: StubMode
    code: int
    end: dict[str, Any]
    seconds: int = 3
    options: tuple[str, ...] = ()
    trial: dict[str, Any] = field(default_factory=dict)


WAITS = (
    Wait("settle", "healthy", 6, {"outcome": "bench", "failed_stage": "settle", "bring_up": "untried"},
         trial={"preflight": {"min_memory": "9GB"}, "timeouts": {"settle": "3s"}}),
    Wait("ready", "never-ready", 0, {"outcome": "verdict", "bring_up": "fails", "failure_class": "not-ready"},
         seconds=8, trial={"timeouts": {"ready": "8s"}}),
    Wait("soak", "healthy", 0, {"outcome": "verdict", "bring_up": "works", "failure_class": None},
         options=("--soak", "3s")),
)  # fmt: skip
NO_MEMORY = "MemTotal: 16000000 kB\nMemAvailable: 3000000 kB\n"
DAYS_OFF = {"forward": DAY, "backward": -DAY}


@pytest.fixture(scope="module")
def scene(docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = scene_with(docker_engine, tmp_path_factory.mktemp("clock"), ["local/vllm"], [])
    scene.start_assistant()
    yield scene
    docker_engine.sweep()


@pytest.mark.parametrize("jump", DAYS_OFF)
@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: wait.stage)
def test_a_clock_that_jumps_during_a_wait_changes_nothing(
    scene: Scene, forks: ForkServer, tmp_path: Path, wait: Wait, jump: str
) -> None:
    off, output, clock = DAYS_OFF[jump], scene.folder / "output", scene.folder / CLOCK
    stub_image(scene.docker().client(), IMAGE, wait.mode, STUB_DELAY="0.1")
    meminfo = Path(scene.table["device"]["root"]) / "proc" / "meminfo"
    meminfo.parent.mkdir(parents=True, exist_ok=True)
    meminfo.write_text(NO_MEMORY)
    scene.table["store"]["data_dir"] = str(tmp_path / "data")
    scene.table["trial"] = {"displace": scene.table["trial"]["displace"], **wait.trial}
    clock.write_text("0")
    begun = datetime.now(UTC)
    run = forks.start(scene.command("trial", "run", IMAGE, *wait.options, "--json")[3:], output)
    scene.wait_until(lambda: stage_now(scene) == wait.stage)
    waiting = time.monotonic()
    clock.write_text(str(off.total_seconds()))
    assert forks.wait(run) == wait.code, output.read_text()
    took, ended = time.monotonic() - waiting, datetime.now(UTC)
    clock.unlink()
    assert wait.seconds - 1 < took < wait.seconds + 40
    (trial,) = scene.answer("trials")["trials"]
    assert {name: trial[name] for name in wait.end} == wait.end
    assert trial["stage"] == "done"
    assert begun - SECOND <= datetime.fromisoformat(trial["started_at"]) <= ended
    finished = datetime.fromisoformat(trial["finished_at"]) - off
    assert ended - 10 * SECOND <= finished <= ended, "told as the clock says it at the end"
    assert wait.seconds - 1 < trial["away_seconds"] < (ended - begun).total_seconds(), "the time away is real time"
    if wait.stage == "soak":
        assert trial["acceptance"]["stable_seconds"] == wait.seconds
    scene.assert_all_is_as_before()


GROUP = "the clock"
ROWS = (
    Row(
        GROUP,
        "the time of day jumps by years, forward or backward, as any stage begins",
        "the trial's way back",
        "`works`; `refused` before anything is stopped where the clock is not set",
        len(STAGES) * len(JUMPS),
    ),
    Row(
        GROUP,
        "the time of day jumps while an engine does not get ready",
        "the stage's deadline, by the monotonic clock",
        "`fails` `not-ready`",
        len(JUMPS),
    ),
    Row(
        GROUP,
        "the time of day jumps by a day, forward or backward, in the middle of `settle`, `ready` and `soak`",
        "the trial's way back, at the same deadline as without it",
        "what it says without the jump",
        len(WAITS) * len(DAYS_OFF),
    ),
)
