"""Clocks that jump: what is owed is back, and time is kept by the monotonic clock."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.table import Row
from tests.trial.test_runner import GoodNotebook, order_in
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import World
from watcher.demo.year import DAYS
from watcher.host.clock import SystemClock
from watcher.host.owed import read_debts
from watcher.model.device import DeviceState
from watcher.model.trial import Outcome, Stage, Trial
from watcher.model.verdict import BringUp
from watcher.ports import Lines
from watcher.trial.order import Order
from watcher.trial.runner import Runner

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


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        for today in DAYS:
            world.live(today)
        yield world


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
)
