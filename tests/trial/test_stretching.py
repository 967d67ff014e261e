"""Whatever goes wrong once an engine has shown that it works costs the level and no verdict."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.demo.whole_year import world
from tests.trial.test_runner import GoodNotebook, order_in
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import World
from watcher.errors import CannotStart, HostError, Refused
from watcher.host.clock import SystemClock
from watcher.host.owed import read_debts
from watcher.model.container import ContainerSpec, ContainerState
from watcher.model.device import DeviceState
from watcher.model.trial import Outcome, Stage, Trial
from watcher.model.verdict import BringUp
from watcher.ports import Lines
from watcher.trial.order import Order
from watcher.trial.runner import Runner

__all__ = ["world"]  # the fixture


@dataclass
class Faulty(SimulatedHost):
    """Its second engine fails at what is named: `start` by an error, `reach` for ever, or the kill of the first."""

    at: str = ""
    error: Exception = field(default_factory=lambda: HostError("the Docker engine does not answer"))
    engines: int = 0

    def start(self, spec: ContainerSpec) -> str:
        if spec.entrypoint[0] == "vllm":
            self.engines += 1
            if self.engines == 2 and self.at == "start":
                raise self.error
        return super().start(spec)

    def address(self, container: str, port: int) -> str:
        address = super().address(container, port)
        return "http://127.0.0.1:9" if self.engines == 2 and self.at == "reach" else address

    def kill(self, container: str) -> None:
        super().kill(container)
        if self.at == "kill":
            raise self.error

    def state(self, container: str) -> ContainerState:
        return replace(super().state(container), oom_killed=True) if self.at == "kill" else super().state(container)


def tried(folder: Path, world: World, host: Faulty, **changes: timedelta) -> tuple[Trial, str]:
    order: Order = replace(order_in(folder, world), level="stretch")
    timeouts = order.trial.timeouts.model_copy(update={key: to for key, to in changes.items() if key != "total"})
    section = order.trial.model_copy(update={"timeouts": timeouts, "total": changes.get("total", order.trial.total)})
    order = replace(order, trial=section)
    begun = Trial(order.candidate, DeviceState("36.4.4"), "cuda-allocator", SystemClock().now(), id=1)
    runner = Runner(order, host, SystemClock(), GoodNotebook(), Lines(lambda _: None))
    trial = runner.run(begun)
    assert runner.bug_of_ours is None
    assert (trial.stage, trial.owed, host.trial) == (Stage.DONE, (), None)
    assert host.services["assistant"].healthy
    assert read_debts(order.data_dir / "owed") == ()
    assert (trial.outcome, trial.bring_up, trial.failed_stage) == (Outcome.VERDICT, BringUp.WORKS, None), trial.reason
    return trial, "\n".join(row.text for row in trial.evidence)


def test_it_comes_back(tmp_path: Path, world: World) -> None:
    trial, said = tried(tmp_path, world, Faulty())
    assert [start.bring_up for start in trial.starts] == [BringUp.WORKS, BringUp.WORKS]
    assert trial.acceptance is not None
    assert trial.acceptance.ready_again_seconds is not None
    assert "recovery: it was ready again after" in said


@pytest.mark.parametrize(
    "error",
    [
        HostError("the Docker engine does not answer"),
        Refused("another watcher runs a trial on this engine"),
        CannotStart("the command does not exist in the image"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_second_start_that_fails(tmp_path: Path, world: World, error: Exception) -> None:
    trial, said = tried(tmp_path, world, Faulty(at="start", error=error))
    assert trial.acceptance is not None
    assert trial.acceptance.noticed_seconds is not None
    assert trial.acceptance.ready_again_seconds is None
    assert "recovery: given up: " in said
    assert str(error) in said


@pytest.mark.parametrize(
    "deadline", [{"ready": timedelta(seconds=4)}, {"total": timedelta(seconds=9)}], ids=["stage", "total"]
)
def test_a_second_start_that_is_never_ready(tmp_path: Path, world: World, deadline: dict[str, timedelta]) -> None:
    trial, said = tried(tmp_path, world, Faulty(at="reach"), **deadline)
    assert "recovery: given up: the" in said
    assert trial.starts[0].bring_up is BringUp.WORKS


def test_a_docker_engine_that_is_lost_at_the_kill_leaves_the_death_ours(tmp_path: Path, world: World) -> None:
    trial, said = tried(tmp_path, world, Faulty(at="kill"))
    assert "recovery: given up: the Docker engine does not answer" in said
    assert [start.bring_up for start in trial.starts] == [BringUp.WORKS]
