"""`restore`: from the owed files and Docker alone, at any time, as often as one likes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.clocks import SteppingClock
from tests.host.contract import wait_for
from tests.host.docker_world import DockerWorld
from tests.places import CHECKOUT
from watcher.host.clock import SystemClock
from watcher.host.lease import Lease
from watcher.host.names import TRIAL
from watcher.host.owed import broken_debts, read_debts, write_debt
from watcher.host.restore import CANCEL, restore_all
from watcher.model.container import Debt, OwedService
from watcher.model.trial import ServiceReport, ServiceState


def owe(docker: DockerWorld, data_dir: Path, *names: str, trial: int = 1) -> tuple[OwedService, ...]:
    """Write down and stop, as a trial does."""
    services = tuple(owed for name in names for owed in docker.host.examine(f"container:{name}"))
    write_debt(data_dir / "owed", Debt(trial, docker.engine.url, datetime.now(UTC), services))
    for owed in reversed(services):
        docker.host.stop_service(owed)
    return services


def restored(docker: DockerWorld, data_dir: Path, seconds: float = 30) -> dict[str, ServiceReport]:
    reports = restore_all(data_dir, docker.engine.url, SystemClock(), seconds)
    return {report.service: report for report in reports}


def test_nothing_owed_is_nothing_done(docker: DockerWorld, tmp_path: Path) -> None:
    assert restored(docker, tmp_path) == {}
    assert restored(docker, tmp_path / "not-there-yet") == {}


def test_a_stop_that_outlives_its_watcher_is_waited_out(docker: DockerWorld, tmp_path: Path) -> None:
    """Docker goes on with a stop that nobody waits for: what still runs would count as back, and end afterwards."""
    environment = {"SERVICE_STOP_SECONDS": "8"}
    docker.service("assistant", health=False, restart_policy={"Name": "unless-stopped"}, env=environment)
    began = docker.client.containers.get("assistant").attrs["State"]["StartedAt"]
    services = docker.host.examine("container:assistant")
    write_debt(tmp_path / "owed", Debt(1, docker.engine.url, datetime.now(UTC), services))
    stopping = threading.Thread(target=docker.host.stop_service, args=services)
    stopping.start()
    wait_for(lambda: docker.policy("assistant") == "always")
    time.sleep(0.5)  # the stop follows its policy at once, and shows nowhere before it has ended
    reports = restored(docker, tmp_path, 60)
    stopping.join()
    state = docker.client.containers.get("assistant").attrs["State"]
    assert (state["Running"], state["StartedAt"] > began) == (True, True)
    assert reports["container:assistant"].state is ServiceState.RUNNING
    assert (docker.policy("assistant"), read_debts(tmp_path / "owed")) == ("unless-stopped", ())


class SlowToStop:
    """A guardian, and its services: one that was told to stop ends after so many seconds, unless it is started then."""

    def __init__(self, clock: SteppingClock, stop_seconds: float) -> None:
        self.services = self
        self._clock, self._ends = clock, clock.monotonic() + stop_seconds
        self._started_again = False

    def _has_ended(self) -> bool:
        return self._clock.monotonic() >= self._ends

    def start(self, owed: OwedService) -> ServiceReport:
        self._started_again = self._has_ended()
        return ServiceReport(owed.service, ServiceState.RUNNING)

    def may_be_ending(self, _: OwedService) -> bool:
        return not self._has_ended()

    def settle(self, owed: OwedService) -> ServiceReport:
        is_down = self._has_ended() and not self._started_again
        return ServiceReport(owed.service, ServiceState.DOWN if is_down else ServiceState.RUNNING)

    def end_trial(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seconds", [1, 19, 21, 29])
def test_a_stop_of_any_length_is_followed_by_a_start(tmp_path: Path, seconds: float) -> None:
    clock = SteppingClock()
    services = (OwedService("container:assistant", "container", "assistant"),)
    write_debt(tmp_path / "owed", Debt(1, "unix:///nowhere", clock.now(), services))
    guardian: Any = SlowToStop(clock, seconds)
    (report,) = restore_all(tmp_path, None, clock, connect=lambda _url: guardian)
    assert (report.state, guardian.may_be_ending(services[0])) == (ServiceState.RUNNING, False)
    assert read_debts(tmp_path / "owed") == ()


class LateTrial(SlowToStop):
    """What a watcher ordered just before it died comes to be while the service is started."""

    is_left = False

    def start(self, owed: OwedService) -> ServiceReport:
        self.is_left = True
        return super().start(owed)

    def end_trial(self) -> None:
        self.is_left = False


def test_what_a_dead_watcher_had_just_ordered_is_removed_too(tmp_path: Path) -> None:
    clock = SteppingClock()
    write_debt(
        tmp_path / "owed",
        Debt(1, "unix:///nowhere", clock.now(), (OwedService("container:assistant", "container", "assistant"),)),
    )
    guardian: Any = LateTrial(clock, 0)
    restore_all(tmp_path, None, clock, connect=lambda _url: guardian)
    assert not guardian.is_left


def test_all_that_is_owed_comes_back_and_the_debt_is_gone(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", restart_policy={"Name": "unless-stopped"})
    docker.service("voice", health=False)
    owe(docker, tmp_path, "assistant", "voice")
    docker.host.start(docker.spec())
    reports = restored(docker, tmp_path)
    assert {name: report.state for name, report in reports.items()} == {
        "container:assistant": ServiceState.HEALTHY,
        "container:voice": ServiceState.RUNNING,
    }
    assert read_debts(tmp_path / "owed") == ()
    assert docker.client.containers.list(all=True, filters={"name": TRIAL}) == []
    assert (docker.policy("assistant"), docker.policy("voice")) == ("unless-stopped", "no")
    assert not (tmp_path / CANCEL).exists()
    assert restored(docker, tmp_path) == {}


def test_a_draft_of_a_killed_program_is_removed_unless_a_trial_is_alive(docker: DockerWorld, tmp_path: Path) -> None:
    (tmp_path / "owed").mkdir()
    draft = tmp_path / "owed" / "7.tmp"
    draft.write_text('{"schema": "watcher/ow')
    with Lease(tmp_path):
        restored(docker, tmp_path)
        assert draft.exists(), "its owner may be writing it"
    assert restored(docker, tmp_path) == {}
    assert not draft.exists()


def test_a_trial_that_died_before_it_owed_anything_is_removed(docker: DockerWorld, tmp_path: Path) -> None:
    docker.host.start(docker.spec())
    assert restored(docker, tmp_path) == {}
    assert docker.client.containers.list(all=True) == []
    assert docker.client.networks.list(names=[TRIAL]) == []


def test_one_service_that_cannot_come_back_keeps_no_other_down(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("lost", health=False)
    docker.service("assistant")
    lost, _ = owe(docker, tmp_path, "lost", "assistant")
    docker.client.containers.get("lost").remove()
    docker.client.images.remove(lost.image_id, force=True)
    reports = restored(docker, tmp_path, seconds=8)
    assert reports["container:assistant"].state is ServiceState.HEALTHY
    assert reports["container:lost"].state is ServiceState.DOWN
    assert "are gone" in reports["container:lost"].message
    (debt,) = read_debts(tmp_path / "owed")
    assert [owed.name for owed in debt.services] == ["lost"]
    assert docker.policy("assistant") == "no"
    docker.service("lost", health=False)
    assert restored(docker, tmp_path)["container:lost"].state is ServiceState.REPLACED
    assert read_debts(tmp_path / "owed") == ()


def test_debts_of_two_trials_are_paid_together(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", health=False)
    docker.service("voice", health=False)
    owe(docker, tmp_path, "assistant", trial=1)
    owe(docker, tmp_path, "voice", trial=2)
    assert {report.state for report in restored(docker, tmp_path).values()} == {ServiceState.RUNNING}
    assert read_debts(tmp_path / "owed") == ()


def test_an_unreadable_debt_is_reported_and_stays(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", health=False)
    owe(docker, tmp_path, "assistant", trial=1)
    broken = tmp_path / "owed" / "2.json"
    broken.write_text('{"trial_id": 2, "serv')
    reports = restored(docker, tmp_path)
    assert reports["container:assistant"].state is ServiceState.RUNNING
    assert reports["file:2.json"].state is ServiceState.DOWN
    assert str(broken) in reports["file:2.json"].message
    assert broken_debts(tmp_path / "owed") == (broken,)


def test_a_debt_on_an_engine_that_is_away_is_kept(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", health=False)
    (owed,) = owe(docker, tmp_path, "assistant")
    write_debt(tmp_path / "owed", Debt(2, f"unix://{tmp_path / 'gone'}", datetime.now(UTC), (owed,)))
    restored(docker, tmp_path, seconds=3)
    assert [debt.trial_id for debt in read_debts(tmp_path / "owed")] == [2]
    assert docker.runs("assistant")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK forgets sockets it cannot open
def test_restore_waits_for_an_engine_that_comes_up_late(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", restart_policy={"Name": "unless-stopped"})
    owe(docker, tmp_path, "assistant")
    docker.engine.kill()
    program = (
        "import sys; from pathlib import Path; from watcher.host.restore import restore_all;"
        f"print(*restore_all(Path({str(tmp_path)!r}), {docker.engine.url!r}, timeout_seconds=30), sep='\\n')"
    )
    restoring = subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    docker.restart_engine()
    said, _ = restoring.communicate(timeout=40)
    assert "HEALTHY" in said
    assert read_debts(tmp_path / "owed") == ()
    assert docker.policy("assistant") == "unless-stopped"


def test_what_docker_brought_back_by_itself_is_set_right(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", restart_policy={"Name": "unless-stopped"})
    (owed,) = owe(docker, tmp_path, "assistant")
    docker.engine.power_cut()
    docker.restart_engine()
    wait_for(lambda: docker.runs("assistant"))
    began = docker.inspect("assistant")["State"]["StartedAt"]
    assert restored(docker, tmp_path)["container:assistant"].state is ServiceState.HEALTHY
    assert docker.inspect("assistant")["State"]["StartedAt"] == began, "it was not started a second time"
    assert docker.policy("assistant") == "unless-stopped"
    assert owed.kept_tag not in docker.tags()


def test_a_live_trial_is_told_to_end_and_restore_does_not_wait_for_it_for_ever(
    docker: DockerWorld, tmp_path: Path
) -> None:
    docker.service("assistant", health=False)
    owe(docker, tmp_path, "assistant")
    docker.host.start(docker.spec())
    with Lease(tmp_path):  # a trial that does not listen
        begun = time.monotonic()
        report = restored(docker, tmp_path)["container:assistant"]
        assert time.monotonic() - begun < 20
        assert (tmp_path / CANCEL).exists()
    assert report.state is ServiceState.RUNNING
    assert docker.client.containers.list(all=True, filters={"name": TRIAL}) == []


def test_a_killed_restore_can_be_repeated(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", env={"SERVICE_WARM_UP": "3"})
    owe(docker, tmp_path, "assistant")
    program = (
        "from pathlib import Path; from watcher.host.restore import restore_all;"
        f"restore_all(Path({str(tmp_path)!r}), None)"
    )
    for seconds in (0.3, 0.8, 1.3):
        restoring = subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT)
        time.sleep(seconds)
        os.kill(restoring.pid, signal.SIGKILL)
        restoring.wait()
        assert len(read_debts(tmp_path / "owed")) == 1
    assert restored(docker, tmp_path)["container:assistant"].state is ServiceState.HEALTHY
    assert docker.policy("assistant") == "no"


def test_restore_needs_neither_configuration_nor_database(docker: DockerWorld, tmp_path: Path) -> None:
    docker.service("assistant", health=False)
    owe(docker, tmp_path, "assistant")
    program = (
        "import sys, json; from pathlib import Path; from watcher.host.restore import restore_all;"
        f"restore_all(Path({str(tmp_path)!r}), None);"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in ('sqlite3', 'pydantic', 'httpx')]))"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == []
    assert docker.runs("assistant")
