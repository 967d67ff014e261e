"""The shipped units on a real systemd: the watcher lives within what they allow, ends well, and survives a reboot."""

from collections.abc import Iterator

import pytest

from tests.host.contract import wait_for
from tests.main_loop.test_config_init import RELEASE
from tests.places import CHECKOUT
from tests.real.checkout import commands_of
from tests.real.docker import PrivateDaemon
from tests.real.systemd import ACCOUNT, SystemdMachine, systemd_machine

PAGE = commands_of((CHECKOUT / "docs" / "get-started.md").read_text())
NOT_TYPED = {"journalctl -u watcher -f"}
"""Goes on until somebody ends it."""
IN_A_CONTAINER = {
    'echo "DOCKER_GID=$(stat -c %g /var/run/docker.sock)" >> .env',
    "docker compose up -d",
    "docker compose exec watcher watcher status",
    "docker compose exec watcher watcher restore",
    "docker compose down --volumes",
}
"""The other way to run it. The slow tier goes it, by the README."""
_PROGRAM = '#!/bin/sh\nPYTHONPATH=/site:/code exec python3 -m watcher "$@"\n'
_CONFIG = '[device]\ndocker = "none"\n[[sources]]\nname = "device"\nkind = "device"\n'


@pytest.fixture(scope="module")
def machine(docker_engine: PrivateDaemon) -> Iterator[SystemdMachine]:
    # as on a real machine: part of what the units forbid is done with mounts of their own
    with systemd_machine(docker_engine, {"cap_add": ["SYS_ADMIN"]}) as machine:
        put(machine, "/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n')
        machine.run("chmod", "755", "/usr/local/bin/sudo")
        machine.run("groupadd", "docker")
        put(machine, "/etc/nv_tegra_release", f"{RELEASE}\n")
        machine.run("/bin/sh", "-c", "mkdir -p /checkout/deploy && ln -s /code/systemd /checkout/deploy/systemd")
        yield machine
    docker_engine.sweep()


def install(machine: SystemdMachine) -> None:
    put(machine, "/opt/watcher/bin/watcher", _PROGRAM)
    machine.run("chmod", "755", "/opt/watcher/bin/watcher")
    machine.run("ln", "-sf", "/opt/watcher/bin/watcher", "/usr/local/bin/watcher")


def put(machine: SystemdMachine, path: str, text: str) -> None:
    folder = path.rpartition("/")[0]
    machine.run("/bin/sh", "-c", f"mkdir -p {folder} && cat > {path} <<'END'\n{text}END")


def types(machine: SystemdMachine, block: list[str], folder: str) -> None:
    for line in block:
        if line not in NOT_TYPED:
            machine.run("/bin/sh", "-c", f"cd {folder} && {line}")


def test_the_page_makes_a_service_that_watches_ends_comes_again_and_can_be_taken_away(machine: SystemdMachine) -> None:
    configuration, units, run_container = PAGE["Leave it running"]
    service, program, end_container = PAGE["Take it away again"]
    assert {*run_container, *end_container} == IN_A_CONTAINER
    install(machine)
    put(machine, "/root/assistant/config.toml", _CONFIG)
    types(machine, ["watcher check-now --no-trial"], "/root/assistant")
    types(machine, configuration, "/root/assistant")
    types(machine, units, "/checkout")
    lives(machine)
    owner = machine.run("stat", "-c", "%U", "/var/lib/watcher", "/var/lib/watcher/watcher.db").split()
    assert owner == ["watcher", "watcher"], "root leaves nothing of its own there"
    by_hand, by_service = (
        first_seen(machine, f"{home}/watcher/watcher.db") for home in ("/root/.local/state", "/var/lib")
    )
    assert by_hand == by_service != "None", "it goes on with what was seen, and begins with no baseline"
    held = machine.run("/bin/sh", "-c", "cat /proc/$(systemctl show --property MainPID --value watcher)/status").split()
    assert [held[held.index(f"{name}:") + 1] for name in ("NoNewPrivs", "Seccomp", "CapBnd")] == ["1", "2", "0" * 16]
    machine.run("systemctl", "stop", "watcher")
    shown = machine.run("systemctl", "show", "watcher", "--property", "Result,ExecMainStatus")
    assert set(shown.split()) == {"Result=success", "ExecMainStatus=0"}
    machine.run("rm", "/var/lib/watcher/heartbeat")
    machine.reboot()
    lives(machine)
    types(machine, service, "/root")
    assert machine.state("watcher") == "inactive"
    types(machine, program, "/root")
    assert machine.run("find", "/etc", "/var/lib", "/opt", "/usr/local", "/root", "-name", "*watcher*") == ""


def first_seen(machine: SystemdMachine, database: str) -> str:
    """Return when the first fact of a database was seen."""
    asked = f"sqlite3.connect('file:{database}?mode=ro', uri=True).execute('select min(first_seen) from facts')"
    return str(machine.python(f"import json, sqlite3; print(json.dumps({asked}.fetchone()[0]))"))


def lives(machine: SystemdMachine) -> None:
    wait_for(lambda: machine.told("test", "-e", "/var/lib/watcher/watcher.db")[0] == 0, 90)
    wait_for(lambda: machine.told("test", "-e", "/var/lib/watcher/heartbeat")[0] == 0, 90)
    assert machine.state("watcher") == "active"


def test_the_service_of_an_account_watches(machine: SystemdMachine) -> None:
    home = f"/home/{ACCOUNT}"
    install(machine)
    put(machine, f"{home}/.config/watcher/config.toml", _CONFIG)
    machine.run(
        "/bin/sh", "-c", f"mkdir -p {home}/.config/systemd/user; cp /code/systemd/user/* {home}/.config/systemd/user/"
    )
    machine.run("chown", "-R", f"{ACCOUNT}:", home)
    machine.run("systemctl", "--user", "daemon-reload", user=ACCOUNT)
    machine.run("systemctl", "--user", "enable", "--now", "watcher-restore", "watcher", user=ACCOUNT)
    wait_for(lambda: machine.told("test", "-e", f"{home}/.local/state/watcher/watcher.db")[0] == 0, 90)
    assert machine.state("watcher", of_account=True) == "active"
