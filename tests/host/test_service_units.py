"""The shipped units on a real systemd: the watcher lives within what they allow, ends well, and survives a reboot."""

from collections.abc import Iterator

import pytest

from tests.host.contract import wait_for
from tests.real.docker import PrivateDaemon
from tests.real.systemd import ACCOUNT, SystemdMachine, systemd_machine

_PROGRAM = '#!/bin/sh\nPYTHONPATH=/site:/code exec python3 -m watcher "$@"\n'
_CONFIG = '[device]\ndocker = "none"\n[[sources]]\nname = "device"\nkind = "device"\n'


@pytest.fixture(scope="module")
def machine(docker_engine: PrivateDaemon) -> Iterator[SystemdMachine]:
    # as on a real machine: part of what the units forbid is done with mounts of their own
    with systemd_machine(docker_engine, {"cap_add": ["SYS_ADMIN"]}) as machine:
        put(machine, "/opt/watcher/bin/watcher", _PROGRAM)
        machine.run("chmod", "755", "/opt/watcher/bin/watcher")
        machine.run("groupadd", "docker")
        yield machine
    docker_engine.sweep()


def put(machine: SystemdMachine, path: str, text: str) -> None:
    folder = path.rpartition("/")[0]
    machine.run("/bin/sh", "-c", f"mkdir -p {folder} && cat > {path} <<'END'\n{text}END")


def test_the_service_of_the_machine_watches_ends_and_comes_again(machine: SystemdMachine) -> None:
    home = ("--home-dir", "/var/lib/watcher", "--shell", "/usr/sbin/nologin", "--groups", "docker")
    machine.run("useradd", "--system", *home, "watcher")
    put(machine, "/etc/watcher/config.toml", _CONFIG)
    machine.run("/bin/sh", "-c", "cp /code/systemd/watcher*.service /etc/systemd/system/ && systemctl daemon-reload")
    machine.run("systemctl", "enable", "--now", "watcher-restore", "watcher")
    lives(machine)
    owner = machine.run("stat", "-c", "%U", "/var/lib/watcher", "/var/lib/watcher/watcher.db").split()
    assert owner == ["watcher", "watcher"], "root leaves nothing of its own there"
    held = machine.run("/bin/sh", "-c", "cat /proc/$(systemctl show --property MainPID --value watcher)/status").split()
    assert [held[held.index(f"{name}:") + 1] for name in ("NoNewPrivs", "Seccomp", "CapBnd")] == ["1", "2", "0" * 16]
    machine.run("systemctl", "stop", "watcher")
    shown = machine.run("systemctl", "show", "watcher", "--property", "Result,ExecMainStatus")
    assert set(shown.split()) == {"Result=success", "ExecMainStatus=0"}
    machine.run("rm", "/var/lib/watcher/heartbeat")
    machine.reboot()
    lives(machine)


def lives(machine: SystemdMachine) -> None:
    wait_for(lambda: machine.told("test", "-e", "/var/lib/watcher/watcher.db")[0] == 0, 90)
    wait_for(lambda: machine.told("test", "-e", "/var/lib/watcher/heartbeat")[0] == 0, 90)
    assert machine.state("watcher") == "active"


def test_the_service_of_an_account_watches(machine: SystemdMachine) -> None:
    home = f"/home/{ACCOUNT}"
    put(machine, f"{home}/.config/watcher/config.toml", _CONFIG)
    machine.run(
        "/bin/sh", "-c", f"mkdir -p {home}/.config/systemd/user; cp /code/systemd/user/* {home}/.config/systemd/user/"
    )
    machine.run("chown", "-R", f"{ACCOUNT}:", home)
    machine.run("systemctl", "--user", "daemon-reload", user=ACCOUNT)
    machine.run("systemctl", "--user", "enable", "--now", "watcher-restore", "watcher", user=ACCOUNT)
    wait_for(lambda: machine.told("test", "-e", f"{home}/.local/state/watcher/watcher.db")[0] == 0, 90)
    assert machine.state("watcher", of_account=True) == "active"
