"""Services of the operator's own commands: run by a real shell, recorded with the debt, given back from it alone."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watcher.errors import HostError, Refused, RestoreFailed
from watcher.host.command_services import CommandServices
from watcher.host.engine import Engine
from watcher.host.owed import read_debts, write_debt
from watcher.host.restore import restore_all
from watcher.host.services import Services
from watcher.model.container import Debt, OwedService
from watcher.model.trial import ServiceState

NOWHERE = "unix:///nowhere/docker.sock"


@pytest.fixture
def words(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return commands that run a process of their own, whose number stands in a file."""
    pid = tmp_path / "pid"
    yield {
        "start": f"echo starting >> {tmp_path}/starts; sleep 1000 & echo $! > {pid}",
        "stop": f"kill $(cat {pid}); rm {pid}",
        "check": f"test -e {pid} && kill -0 $(cat {pid})",
    }
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


def services_of(words: dict[str, str]) -> Services:
    return Services(Engine(NOWHERE), {"llama": words})


def running(words: dict[str, str]) -> tuple[Services, OwedService]:
    """Start the service, and return it as it would be owed."""
    services = services_of(words)
    services.start(OwedService("command:llama", "command", "llama", commands=words))
    (owed,) = services.examine("command:llama")
    return services, owed


def test_a_command_service_is_stopped_started_and_seen_to_run(words: dict[str, str], tmp_path: Path) -> None:
    services = services_of(words)
    assert services.examine("command:llama") == ()
    services, owed = running(words)
    services.stop(owed)
    assert not services.is_back(owed)
    report = services.settle(owed)
    assert report.state is ServiceState.DOWN
    assert words["start"] in report.message
    services.start(owed)
    services.start(owed)
    assert services.settle(owed).state is ServiceState.RUNNING
    assert (tmp_path / "starts").read_text() == "starting\n" * 2, "what runs is not started again"


def test_restore_knows_the_commands_from_the_owed_file(words: dict[str, str], tmp_path: Path) -> None:
    services, owed = running(words)
    write_debt(tmp_path / "data" / "owed", Debt(1, NOWHERE, datetime.now(UTC), (owed,)))
    services.stop(owed)
    (report,) = restore_all(tmp_path / "data", None)
    assert report.state is ServiceState.RUNNING
    assert read_debts(tmp_path / "data" / "owed") == ()
    assert (tmp_path / "starts").read_text() == "starting\n" * 2, "started once"


def test_a_start_that_takes_its_time_is_not_begun_twice(words: dict[str, str], tmp_path: Path) -> None:
    services, owed = running(words)
    services.stop(owed)
    slow = {**words, "start": f"sleep 5; {words['start']}"}
    owed = OwedService("command:llama", "command", "llama", commands=slow)
    write_debt(tmp_path / "data" / "owed", Debt(1, NOWHERE, datetime.now(UTC), (owed,)))
    (report,) = restore_all(tmp_path / "data", None)
    assert report.state is ServiceState.RUNNING
    assert (tmp_path / "starts").read_text() == "starting\n" * 2


def test_a_start_that_fails_shows_what_it_said(words: dict[str, str]) -> None:
    services, owed = running(words)
    services.stop(owed)
    broken = OwedService(
        "command:llama", "command", "llama", commands={**words, "start": "seq 9999; echo no model; exit 3"}
    )
    with pytest.raises(RestoreFailed, match=r"exit_code=3, said=.* no model") as failed:
        services.start(broken)
    assert len(str(failed.value)) < 900
    assert not services.settle(broken).is_starting


def test_a_stop_that_fails_or_stops_nothing_is_told(words: dict[str, str]) -> None:
    services, owed = running(words)
    with pytest.raises(HostError, match=r"exit_code=4, said=not allowed"):
        services.stop(
            OwedService("command:llama", "command", "llama", commands={**words, "stop": "echo not allowed; exit 4"})
        )
    assert services.is_back(owed)


def test_a_check_that_cannot_be_run_is_not_taken_for_a_service_that_is_down(words: dict[str, str]) -> None:
    with pytest.raises(Refused, match="check command cannot be run"):
        services_of({**words, "check": "no-such-program"}).examine("command:llama")
    with pytest.raises(Refused, match=r"no \[\[trial.commands\]\] has this name"):
        services_of(words).examine("command:other")


def test_an_interrupted_stop_ends_with_us(words: dict[str, str], tmp_path: Path) -> None:
    """Else it would stop the service after its new start."""
    running(words)
    slow = OwedService(
        "command:llama", "command", "llama", commands={**words, "stop": f"sleep 3; touch {tmp_path}/stopped"}
    )
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            CommandServices().stop(slow)
    finally:
        signal.signal(signal.SIGALRM, previous)
    time.sleep(3.5)
    assert not (tmp_path / "stopped").exists()


def test_secrets_of_the_watcher_do_not_reach_the_commands(
    words: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHER_GITHUB__TOKEN", "not-a-real-one")
    with pytest.raises(RestoreFailed) as failed:
        services_of(words).start(
            OwedService("command:llama", "command", "llama", commands={**words, "start": "env; exit 1"})
        )
    assert "not-a-real-one" not in str(failed.value.fields["said"])
