"""A working engine is watched for hours, on a clock that does not take them: restarts and memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.demo.whole_year import world
from tests.trial.test_runner import GoodNotebook, order_in
from watcher.demo.simulated import GB, SimulatedHost
from watcher.demo.world import World
from watcher.errors import HostError
from watcher.host.clock import SystemClock
from watcher.model.container import ContainerLook
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.trial import Acceptance, Outcome, Trial
from watcher.model.verdict import BringUp
from watcher.ports import Lines
from watcher.trial.ladder import HOUR, lacking
from watcher.trial.runner import Runner
from watcher.trial.watching import Watching, seconds_between, started_over

__all__ = ["world"]  # the fixture

MB = 10**6


@dataclass
class QuickClock(SystemClock):
    """A sleep of seconds takes milliseconds."""

    ahead: float = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.002))
        self.ahead += seconds


@dataclass
class LookedAt(SimulatedHost):
    """Its engine holds and runs what `shows` says, by seconds since the first look."""

    clock: QuickClock = field(default_factory=QuickClock)
    shows: Callable[[float], ContainerLook | None] = lambda _: None
    looks: list[float] = field(default_factory=list)
    nvmap: Callable[[float], int | None] = lambda _: None

    def look(self, container: str) -> ContainerLook | None:
        self.looks.append(self.clock.monotonic())
        return self.shows(self.seconds)

    @property
    def seconds(self) -> float:
        return self.clock.monotonic() - self.looks[0] if self.looks else 0.0

    def facts(self) -> DeviceFacts:
        return replace(super().facts(), nvmap_used=self.nvmap(self.seconds))


def grows(mb_an_hour: float) -> Callable[[float], ContainerLook]:
    return lambda seconds: ContainerLook("once", int(2 * GB + mb_an_hour * MB * seconds / 3600), {1: "vllm"})


def core_that_lasts(life: float) -> Callable[[float], ContainerLook]:
    """Return looks at an engine whose core, under the same name, has a new id each `life` seconds."""
    return lambda seconds: ContainerLook("once", GB, {1: "vllm", 10 + int(seconds // life): "VLLM::EngineCore"})


def soaked(folder: Path, world: World, host: LookedAt, soak: timedelta = timedelta(hours=1)) -> tuple[Trial, str]:
    """Return the trial of an engine that works, and what was said of it while it was watched."""
    order = replace(order_in(folder, world), soak=soak)
    begun = Trial(order.candidate, DeviceState("36.4.4"), "cuda-allocator", host.clock.now(), id=1)
    runner = Runner(order, host, host.clock, GoodNotebook(), Lines(lambda _: None))
    trial = runner.run(begun)
    assert (runner.bug_of_ours, trial.outcome, trial.bring_up) == (None, Outcome.VERDICT, BringUp.WORKS)
    assert host.services["assistant"].healthy
    return trial, "\n".join(row.text for row in trial.evidence if row.text.startswith(("soak", "level")))


def figures(trial: Trial) -> Acceptance:
    assert trial.acceptance is not None
    return trial.acceptance


def test_a_steady_hour_is_stable(tmp_path: Path, world: World) -> None:
    host = LookedAt(shows=grows(0))
    trial, said = soaked(tmp_path, world, host)
    seen = figures(trial)
    assert seen.stable_seconds is not None
    assert seen.stable_seconds >= HOUR
    assert (seen.restarts, seen.memory_per_hour, seen.memory_lasts_seconds) == (0, 0, None)
    assert "soak: nothing started over" in said
    assert "2.0 GB of memory at the end, in 60 looks; it does not grow" in said
    assert "stable" not in said.replace("soak", "")
    assert 55 <= len(host.looks) <= 61, "one each minute"


def test_a_growth_that_the_device_cannot_bear_for_a_day_is_told_and_is_no_failure(tmp_path: Path, world: World) -> None:
    trial, said = soaked(tmp_path, world, LookedAt(shows=grows(1000)))
    seen = figures(trial)
    assert seen.memory_per_hour == pytest.approx(1000 * MB, rel=0.01)
    assert seen.memory_lasts_seconds == pytest.approx(10 * HOUR, rel=0.02), "10 GB are left on this device"
    assert "would use up the 10.0 GB that are left in 10.0 h: not stable" in said
    assert "level minimum: stable for 1h: its memory grows, and would be used up in 10.0 h" in said
    assert any("stable for 1h" in line for line in lacking(seen, "minimum"))


def test_a_growth_that_lasts_longer_is_told_and_is_stable(tmp_path: Path, world: World) -> None:
    trial, said = soaked(tmp_path, world, LookedAt(shows=grows(300)))
    assert figures(trial).memory_lasts_seconds is None
    assert "(300.0 MB an hour)" in said
    assert "not stable" not in said
    assert not any("stable" in line for line in lacking(figures(trial), "minimum"))


def test_what_only_the_gpu_holds_counts_on_a_jetson(tmp_path: Path, world: World) -> None:
    host = LookedAt(shows=grows(0), nvmap=lambda seconds: int(GB + 1000 * MB * seconds / 3600))
    trial, _ = soaked(tmp_path, world, host)
    assert figures(trial).memory_lasts_seconds is not None


@pytest.mark.parametrize(("life", "least", "most"), [(600.0, 5, 6), (70.0, 1, 50)], ids=["now-and-then", "loop"])
def test_a_core_that_starts_over_is_counted_and_takes_its_stability(
    tmp_path: Path, world: World, life: float, least: int, most: int
) -> None:
    """Of one that does not last until the next look only some ends are seen: one is enough."""
    trial, said = soaked(tmp_path, world, LookedAt(shows=core_that_lasts(life)))
    seen = figures(trial)
    assert seen.restarts is not None
    assert least <= seen.restarts <= most
    assert seen.stable_seconds is not None
    assert seen.stable_seconds < HOUR
    assert f"soak: started over {seen.restarts} times" in said
    assert "since the last of" in said


def test_a_container_that_was_started_again_is_counted(tmp_path: Path, world: World) -> None:
    trial, _ = soaked(tmp_path, world, LookedAt(shows=lambda seconds: ContainerLook(f"{seconds > 1800}", GB, {1: "a"})))
    assert figures(trial).restarts == 1


def test_a_docker_engine_that_does_not_answer_costs_looks_only(tmp_path: Path, world: World) -> None:
    def absent(_: float) -> ContainerLook:
        raise HostError("the trial container could not be looked at")

    trial, said = soaked(tmp_path, world, LookedAt(shows=absent))
    seen = figures(trial)
    assert seen.stable_seconds is not None
    assert seen.stable_seconds >= HOUR
    assert (seen.restarts, seen.memory_per_hour) == (None, None)
    assert "soak: the container could not be looked at" in said


def test_a_day_takes_no_more_memory_than_an_hour() -> None:
    clock = QuickClock()
    host = LookedAt(clock=clock, shows=grows(500))
    watching = Watching(host, "c", None, clock, timedelta(days=1))
    for minute in range(24 * 60):
        watching.look(watching.begun + 60 * minute)
        clock.ahead += 60
    assert len(watching._seconds) <= 120
    growth = watching.growth
    assert growth is not None
    assert growth.seconds > 10 * HOUR


def test_looks_are_a_minute_apart_or_less_where_the_soak_is_short() -> None:
    assert [seconds_between(soak) for soak in (5, 120, 3600, 86400)] == [1, 2, 60, 60]


def test_what_comes_and_goes_by_itself_has_not_started_over() -> None:
    lasting = {1: "vllm serve", 2: "core --port 41234"}
    assert started_over(lasting, lasting, {1: "vllm serve", 3: "core --port 50001"}) == 1
    assert started_over(lasting, lasting, {1: "vllm serve"}) == 0, "gone for good"
    assert started_over(lasting, lasting, {**lasting, 9: "nvidia-smi"}) == 0
    assert started_over(lasting, {**lasting, 8: "nvidia-smi"}, {**lasting, 9: "nvidia-smi"}) == 0
    pool = {1: "vllm serve", 4: "worker"}
    assert started_over(pool, {**pool, 5: "worker"}, {1: "vllm serve", 5: "worker"}) == 0, "the other was there before"
