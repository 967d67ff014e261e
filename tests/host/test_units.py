"""Displaced systemd units on a real systemd: what may be stopped, the way back, and a reboot in between."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.host.contract import wait_for
from tests.real.docker import PrivateDaemon
from tests.real.systemd import ACCOUNT, SystemdMachine, systemd_machine

PROGRAM = """
import json, sys
from dataclasses import asdict
from watcher.errors import WatcherError
from watcher.host.engine import Engine
from watcher.host.services import Services
from watcher.model.container import OwedService

services, (verb, *arguments) = Services(Engine("unix:///nowhere")), json.loads({order!r})
try:
    if verb == "examine":
        said = [asdict(owed) for owed in services.examine(*arguments)]
    else:
        said = [getattr(services, verb)(OwedService(**owed)) for owed in arguments]
        said = said if verb in ("is_back", "stop") else [asdict(report) for report in said]
except WatcherError as error:
    said = str(error)
print(json.dumps(said))
"""
RESTORE = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from watcher.host.restore import restore_all
print(json.dumps([asdict(report) for report in restore_all(Path("/var/lib/watcher"), None)]))
"""
OWE = """
import json
from datetime import UTC, datetime
from pathlib import Path
from watcher.host.owed import write_debt
from watcher.model.container import Debt, OwedService
services = tuple(OwedService(**owed) for owed in json.loads({owed!r}))
write_debt(Path("/var/lib/watcher/owed"), Debt(1, "unix:///nowhere", datetime.now(UTC), services))
print("true")
"""
PROGRAM_OF_THE_UNIT = '#!/bin/sh\nPYTHONPATH=/site:/code exec python3 -m watcher "$@"\n'
PLAIN = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture(scope="module")
def machine(docker_engine: PrivateDaemon) -> Iterator[SystemdMachine]:
    with systemd_machine(docker_engine) as machine:
        yield machine
    docker_engine.sweep()


def asked(machine: SystemdMachine, verb: str, *arguments: Any, user: str = "root") -> Any:
    return machine.python(PROGRAM.format(order=json.dumps([verb, *arguments])), user=user)


def displaced(machine: SystemdMachine, service: str, user: str = "root") -> list[dict[str, Any]]:
    """Stop the service with all that hangs on it, as a trial does."""
    owed: list[dict[str, Any]] = asked(machine, "examine", service, user=user)
    assert isinstance(owed, list), owed
    for one in reversed(owed):
        asked(machine, "stop", one, user=user)
    return owed


def settles(machine: SystemdMachine, owed: dict[str, Any], user: str = "root") -> dict[str, Any]:
    """Wait until it stands as before, and return the report."""
    wait_for(lambda: asked(machine, "settle", owed, user=user)[0]["state"] == "running")
    report: dict[str, Any] = asked(machine, "settle", owed, user=user)[0]
    return report


@pytest.mark.parametrize(("kind", "user"), [("systemd", "root"), ("systemd-user", ACCOUNT)])
def test_a_unit_is_stopped_started_and_seen_active_again(machine: SystemdMachine, kind: str, user: str) -> None:
    (machine.unit if kind == "systemd" else machine.user_unit)("llama.service")
    (owed,) = displaced(machine, f"{kind}:llama", user)
    assert (owed["service"], owed["name"]) == (f"{kind}:llama", "llama.service")
    assert machine.state("llama.service", of_account=kind == "systemd-user") == "inactive"
    assert asked(machine, "is_back", owed, user=user) == [False]
    assert asked(machine, "examine", f"{kind}:llama", user=user) == []
    report = asked(machine, "settle", owed, user=user)[0]
    assert report["state"] == "down"
    assert "start llama.service" in report["message"]
    asked(machine, "start", owed, user=user)
    assert asked(machine, "is_back", owed, user=user) == [True]
    settles(machine, owed, user)
    assert machine.state("llama.service", of_account=kind == "systemd-user") == "active"


def test_root_gives_an_accounts_unit_back(machine: SystemdMachine) -> None:
    machine.user_unit("llama.service")
    (owed,) = displaced(machine, "systemd-user:llama", ACCOUNT)
    asked(machine, "start", owed)
    settles(machine, owed)
    assert machine.state("llama.service", of_account=True) == "active"


def test_what_does_not_run_or_has_failed_owes_nothing(machine: SystemdMachine) -> None:
    machine.unit("idle.service", start=False)
    machine.unit("broken.service", "[Service]\nExecStart=/bin/false\n", enable=False)
    wait_for(lambda: machine.state("broken.service") == "failed")
    for unit in ("idle", "broken", "nobody-is-called-so"):
        assert asked(machine, "examine", f"systemd:{unit}") == []


def test_what_systemd_stops_with_it_is_owed_and_started_after_it(machine: SystemdMachine) -> None:
    machine.unit("llama.service")
    machine.unit("voice.service", "[Unit]\nRequires=llama.service\nAfter=llama.service\n" + PLAIN)
    machine.unit("screen.service", "[Unit]\nPartOf=voice.service\n" + PLAIN)
    owed = displaced(machine, "systemd:llama")
    assert [one["name"] for one in owed] == ["llama.service", "voice.service", "screen.service"]
    assert {machine.state(one["name"]) for one in owed} == {"inactive"}
    for one in owed:
        asked(machine, "start", one)
    for one in owed:
        settles(machine, one)
    for name in ("voice.service", "screen.service"):
        machine.run("systemctl", "disable", "--now", name)


def test_what_must_not_be_stopped_is_refused(machine: SystemdMachine) -> None:
    machine.run("systemd-run", "--unit=passing.service", "sleep", "infinity")
    machine.unit("docker.service")
    machine.unit("masked.service", PLAIN)
    machine.run("rm", "/etc/systemd/system/masked.service")
    machine.run("systemctl", "mask", "masked.service")
    machine.unit("guarded.service", "[Unit]\nRefuseManualStop=yes\n" + PLAIN)
    reasons = {
        "passing": "stopping would delete it",
        "docker": "a trial needs Docker",
        "masked": "masked",
        "guarded": "must not be stopped or started by hand",
        "lla*": "without wildcards",
    }
    for unit, reason in reasons.items():
        assert reason in asked(machine, "examine", f"systemd:{unit}")
    machine.run("systemctl", "disable", "--now", "docker.service")


def test_the_watchers_own_unit_is_refused(machine: SystemdMachine) -> None:
    order = json.dumps(["examine", "systemd:itself"])
    machine.run("/bin/sh", "-c", f"cat > /tmp/itself.py <<'END'\n{PROGRAM.format(order=order)}\nEND")
    said = machine.run(
        "systemd-run", "--unit=itself", "--wait", "--pipe", "-E", "PYTHONPATH=/code", "python3", "/tmp/itself.py"
    )
    assert "this is the watcher's own unit" in said


def test_a_unit_that_no_boot_would_start_needs_the_restore_unit(machine: SystemdMachine) -> None:
    machine.unit("by-hand.service", enable=False)
    assert "systemctl enable by-hand.service" in asked(machine, "examine", "systemd:by-hand")
    machine.unit("watcher-restore.service", PLAIN, start=False)
    assert len(asked(machine, "examine", "systemd:by-hand")) == 1
    machine.run("systemctl", "disable", "watcher-restore.service")


def test_a_unit_has_the_time_it_needs_to_end_and_a_start_meanwhile_is_not_lost(machine: SystemdMachine) -> None:
    script = "trap 'sleep 6; echo saved >> /tmp/saved; exit 0' TERM; while :; do sleep 0.1; done"
    machine.unit("slow.service", f'[Service]\nExecStart=/bin/sh -c "{script}"\n[Install]\nWantedBy=multi-user.target\n')
    (owed,) = displaced(machine, "systemd:slow")
    assert machine.run("cat", "/tmp/saved") == "saved\n"
    asked(machine, "start", owed)
    settles(machine, owed)
    given_up = "systemctl stop --no-block slow.service; sleep 0.3; systemctl is-active slow.service"
    assert machine.run("/bin/sh", "-c", given_up, check=False) == "deactivating\n"
    asked(machine, "start", owed)
    settles(machine, owed)
    assert machine.run("cat", "/tmp/saved") == "saved\nsaved\n"


def test_a_unit_that_is_still_starting_is_waited_for_and_not_back(machine: SystemdMachine) -> None:
    text = "[Service]\nExecStartPre=/bin/sleep 4\n" + PLAIN.removeprefix("[Service]\n")
    machine.unit("warm.service", text)
    (owed,) = displaced(machine, "systemd:warm")
    asked(machine, "start", owed)
    report = asked(machine, "settle", owed)[0]
    assert (report["state"], report["is_starting"]) == ("down", True)
    settles(machine, owed)


def test_a_unit_that_ends_after_its_start_is_not_back_and_can_be_started_later(machine: SystemdMachine) -> None:
    script = "! test -e /tmp/broken && exec sleep infinity"
    text = f'[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=2\n[Service]\nExecStart=/bin/sh -c "{script}"\n'
    machine.unit("frail.service", text + "[Install]\nWantedBy=multi-user.target\n")
    (owed,) = displaced(machine, "systemd:frail")
    machine.run("touch", "/tmp/broken")
    for _ in range(4):  # oftener than systemd allows
        asked(machine, "start", owed)
        report = asked(machine, "settle", owed)[0]
        assert report["state"] == "down", report
    wait_for(lambda: "systemctl start frail.service" in asked(machine, "settle", owed)[0]["message"])
    machine.run("rm", "/tmp/broken")
    asked(machine, "start", owed)
    settles(machine, owed)


def test_a_unit_that_was_not_well_before_is_owed_as_running_only(machine: SystemdMachine) -> None:
    text = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=2\n"
    machine.unit("ill.service", text + "[Install]\nWantedBy=multi-user.target\n")
    wait_for(lambda: machine.state("ill.service") == "activating")
    (owed,) = displaced(machine, "systemd:ill")
    asked(machine, "start", owed)
    assert "not well before" in settles(machine, owed)["message"]
    machine.run("systemctl", "disable", "--now", "ill.service")


def test_systemd_that_does_not_answer_is_told(machine: SystemdMachine) -> None:
    machine.run("useradd", "--uid", "1234", "nobody-home", check=False)
    said = asked(machine, "start", {"service": "systemd-user:x", "kind": "systemd-user", "name": "x", "user_id": 1234})
    assert "systemd refused" in said


def owe(machine: SystemdMachine, owed: list[dict[str, Any]]) -> None:
    machine.python(OWE.format(owed=json.dumps(owed)))


def test_after_a_reboot_systemd_brings_an_enabled_unit_back_without_us(machine: SystemdMachine) -> None:
    machine.unit("llama.service")
    owe(machine, displaced(machine, "systemd:llama"))
    machine.reboot()
    assert machine.state("llama.service") == "active"
    (report,) = machine.python(RESTORE)
    assert report["state"] == "running"
    assert machine.run("ls", "/var/lib/watcher/owed") == ""


def test_after_a_reboot_the_shipped_unit_brings_back_what_systemd_does_not(machine: SystemdMachine) -> None:
    machine.run(
        "/bin/sh",
        "-c",
        f"mkdir -p /opt/watcher/bin && cat > /opt/watcher/bin/watcher <<'END'\n{PROGRAM_OF_THE_UNIT}END",
    )
    machine.run("chmod", "+x", "/opt/watcher/bin/watcher")
    machine.run("cp", "/code/systemd/watcher-restore.service", "/etc/systemd/system/")
    machine.run("systemctl", "enable", "watcher-restore.service")
    machine.unit("by-hand.service", enable=False)
    owe(machine, displaced(machine, "systemd:by-hand"))
    machine.reboot()
    wait_for(lambda: machine.state("by-hand.service") == "active", 60)
    wait_for(lambda: machine.run("ls", "/var/lib/watcher/owed") == "", 60)
    wait_for(lambda: machine.state("watcher-restore.service") == "inactive", 60)
    assert "Result=success" in machine.run("systemctl", "show", "--property", "Result", "watcher-restore.service")
