"""The runner when our own code breaks: the way back is gone all the same, and the error is not swallowed."""

import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.demo.whole_year import world
from watcher.config.load import load_settings
from watcher.config.suites import BUILTIN, read_suite
from watcher.demo.simulated import SimulatedContainer, SimulatedHost
from watcher.demo.world import World
from watcher.demo.year import UPSTREAM
from watcher.errors import HostError
from watcher.host.clock import SystemClock
from watcher.host.owed import read_debts
from watcher.model.container import ContainerSpec, LocalImage, OwedService
from watcher.model.device import DeviceState
from watcher.model.trial import Candidate, Outcome, ServiceReport, Stage, Trial
from watcher.model.verdict import BringUp, StaticReading
from watcher.ports import Lines
from watcher.trial.exchange import EngineClient
from watcher.trial.order import Order
from watcher.trial.runner import Runner

__all__ = ["world"]  # the fixture

CONFIG = """
[device]
name = "orin"
docker = "unix:///nowhere"
[trial]
displace = ["container:assistant"]
[engines.vllm]
model = "/models/m"
"""
AWAY = list(Stage)[list(Stage).index(Stage.DISPLACE) : list(Stage).index(Stage.DONE) + 1]


class BrokenNotebook:
    """Keeps nothing, and breaks when a stage is written down."""

    def __init__(self, breaks_at: Stage) -> None:
        self._breaks_at = breaks_at

    def step(self, trial: Trial) -> None:
        if trial.stage is self._breaks_at:
            raise LookupError("a bug of ours")

    def pulling(self, reference: str, there: frozenset[str]) -> None: ...

    def pulled(self, image: LocalImage) -> None: ...

    def read(self, reading: StaticReading) -> None: ...

    def is_withdrawn(self) -> bool:
        return False


class GoodNotebook(BrokenNotebook):
    """Keeps nothing, and does not break."""

    def __init__(self) -> None:
        super().__init__(Stage.PREFLIGHT)

    def step(self, trial: Trial) -> None: ...


def order_in(folder: Path, world: World) -> Order:
    (folder / "config.toml").write_text(CONFIG)
    settings = load_settings(folder / "config.toml", {})
    image = f"{world.image(UPSTREAM)}:v0.33.0"
    return Order(
        candidate=Candidate("vllm", image, None, "content", compatible=True),
        engine=settings.engine,
        profiles=settings.engine.profiles,
        bug=settings.bug,
        trial=settings.trial,
        device=settings.device,
        data_dir=folder / "data",
    )


def run(order: Order, host: SimulatedHost, notebook: BrokenNotebook) -> tuple[Runner, Trial]:
    clock = SystemClock()
    trial = Trial(order.candidate, DeviceState("36.4.4"), "cuda-allocator", clock.now(), id=1)
    runner = Runner(order, host, clock, notebook, Lines(lambda _: None))
    return runner, runner.run(trial)


@pytest.mark.parametrize("stage", AWAY)
def test_a_bug_of_ours_at_any_stage_leaves_no_service_down(tmp_path: Path, world: World, stage: Stage) -> None:
    host, order = SimulatedHost(), order_in(tmp_path, world)
    runner, trial = run(order, host, BrokenNotebook(stage))
    assert isinstance(runner.bug_of_ours, LookupError), "it is the caller's to raise"
    assert trial.owed == ()
    assistant = host.services["assistant"]
    assert assistant.healthy
    assert assistant.policy == "unless-stopped"
    assert host.trial is None, "no engine is left"
    assert read_debts(order.data_dir / "owed") == ()


def test_without_one_the_engine_works_and_the_time_away_is_told(tmp_path: Path, world: World) -> None:
    begun = time.monotonic()
    runner, trial = run(order_in(tmp_path, world), SimulatedHost(), BrokenNotebook(Stage.PREFLIGHT))
    assert (trial.outcome, runner.bug_of_ours is None) == (Outcome.BENCH, False), "nothing was touched"
    runner, trial = run(order_in(tmp_path, world), SimulatedHost(), GoodNotebook())
    assert (trial.outcome, trial.bring_up, trial.stage) == (Outcome.VERDICT, BringUp.WORKS, Stage.DONE)
    assert trial.candidate.digest is not None, "a tag named by hand is known by its content once it is pulled"
    assert trial.away_seconds is not None
    assert 0 < trial.away_seconds < time.monotonic() - begun + 0.1, "rounded to a tenth"


class TakenAway(SimulatedHost):
    """Its engine gets healthy; when it is asked for an answer, somebody removes the container."""

    def address(self, container: str, port: int) -> str:
        host = self

        class Engine(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None: ...

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                host.remove_trial()

        self.server = HTTPServer(("127.0.0.1", 0), Engine)
        Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Told(GoodNotebook):
    """`restore` was called as soon as the container is gone."""

    def __init__(self, host: SimulatedHost) -> None:
        super().__init__()
        self._host, self._stage = host, Stage.PREFLIGHT

    def step(self, trial: Trial) -> None:
        self._stage = trial.stage

    def is_withdrawn(self) -> bool:
        return self._stage is Stage.ACCEPT and self._host.trial is None


def test_an_engine_that_somebody_removes_did_not_fail(tmp_path: Path, world: World) -> None:
    host = TakenAway()
    with closing(host):
        runner, trial = run(order_in(tmp_path, world), host, GoodNotebook())
    assert (trial.outcome, trial.bring_up, runner.interrupted) == (Outcome.BENCH, BringUp.UNTRIED, False)
    assert host.services["assistant"].healthy


def test_an_engine_that_restore_ends_did_not_fail(tmp_path: Path, world: World) -> None:
    host = TakenAway()
    with closing(host):
        runner, trial = run(order_in(tmp_path, world), host, Told(host))
    assert (trial.outcome, trial.bring_up, runner.interrupted) == (Outcome.CANCELLED, BringUp.UNTRIED, True)
    assert host.services["assistant"].healthy


class BusyHost(SimulatedHost):
    """An engine that cannot remove the trial's container while the service starts."""

    def remove_trial(self) -> None:
        if not self.services["assistant"].healthy and self.trial is not None:
            raise HostError("device or resource busy")
        super().remove_trial()


def test_a_trial_container_that_could_not_be_removed_is_removed_at_last(tmp_path: Path, world: World) -> None:
    host = BusyHost()
    _, trial = run(order_in(tmp_path, world), host, GoodNotebook())
    assert (trial.outcome, trial.stage) == (Outcome.VERDICT, Stage.DONE)
    assert host.trial is None


class SlowToMake(SimulatedHost):
    """Its engine goes on making a container that nobody waits for any more; it is there once the service starts."""

    def start(self, spec: ContainerSpec) -> str:
        if spec.entrypoint[0] != "vllm":
            return super().start(spec)
        raise HostError("the answer did not come in time")

    def start_service(self, owed: OwedService) -> ServiceReport:
        self.trial = SimulatedContainer("late")
        self.trial.end(0)
        return super().start_service(owed)


def test_a_container_that_comes_to_be_after_the_trial_was_cut_off_is_removed(tmp_path: Path, world: World) -> None:
    host = SlowToMake()
    _, trial = run(order_in(tmp_path, world), host, GoodNotebook())
    assert (trial.outcome, trial.failed_stage, trial.owed) == (Outcome.BENCH, Stage.START, ())
    assert host.trial is None


class DyingHost(SimulatedHost):
    """Our own code breaks on the way back."""

    def start_service(self, owed: OwedService) -> ServiceReport:
        super().start_service(owed)
        raise KeyError("State")


def test_a_bug_of_ours_on_the_way_back_does_not_end_it(tmp_path: Path, world: World) -> None:
    host, order = DyingHost(), order_in(tmp_path, world)
    _, trial = run(order, host, GoodNotebook())
    assert (trial.stage, trial.owed) == (Stage.DONE, ())
    assert read_debts(order.data_dir / "owed") == ()


@pytest.mark.parametrize(
    ("accept", "total"), [(timedelta(seconds=2), timedelta(minutes=5)), (timedelta(minutes=5), timedelta(seconds=4))]
)
def test_a_question_that_is_not_given_up_in_time_costs_figures_and_no_verdict(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, accept: timedelta, total: timedelta
) -> None:
    """Whichever deadline rings: by then the engine has shown that it works."""
    monkeypatch.setattr(EngineClient, "ask", lambda *_: time.sleep(60))
    order = order_in(tmp_path, world)
    timeouts = order.trial.timeouts.model_copy(update={"accept": accept})
    trial_section = order.trial.model_copy(update={"timeouts": timeouts, "total": total})
    order = replace(order, suite=read_suite(BUILTIN, tmp_path, []), trial=trial_section)
    begun, host = time.monotonic(), SimulatedHost()
    runner, trial = run(order, host, GoodNotebook())
    assert time.monotonic() - begun < 40
    assert (trial.outcome, trial.bring_up, trial.stage) == (Outcome.VERDICT, BringUp.WORKS, Stage.DONE)
    assert (runner.bug_of_ours, trial.failed_stage) == (None, None)
    assert trial.acceptance is not None
    assert (trial.acceptance.tool_call, trial.acceptance.phrases) == (True, None)
    assert any("0 of 32 were asked" in row.text for row in trial.evidence)
    assert host.services["assistant"].healthy


def test_every_repeat_has_the_total_to_itself(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = EngineClient.complete

    def slow(client: EngineClient) -> object:
        time.sleep(1.5)
        return complete(client)

    monkeypatch.setattr(EngineClient, "complete", slow)
    order = order_in(tmp_path, world)
    order = replace(order, repeats=5, trial=order.trial.model_copy(update={"total": timedelta(seconds=6)}))
    assert order.longest == timedelta(seconds=30)
    _, trial = run(order, SimulatedHost(), GoodNotebook())
    assert [start.bring_up for start in trial.starts] == [BringUp.WORKS] * 5, trial.reason
    assert trial.outcome is Outcome.VERDICT


class SleepCounting(SystemClock):
    """Remembers for how long it was asked to sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


def test_of_several_repeats_only_the_last_is_soaked(tmp_path: Path, world: World) -> None:
    order = replace(order_in(tmp_path, world), repeats=3, soak=timedelta(seconds=2))
    clock, host = SleepCounting(), SimulatedHost()
    runner = Runner(order, host, clock, GoodNotebook(), Lines(lambda _: None))
    trial = runner.run(Trial(order.candidate, DeviceState("36.4.4"), "cuda-allocator", clock.now(), id=1))
    assert len(trial.starts) == 3
    assert trial.acceptance is not None
    assert trial.acceptance.stable_seconds == 2
    assert 1 <= len([seconds for seconds in clock.slept if seconds > 0.6]) <= 3, "no other pause of a trial is so long"
