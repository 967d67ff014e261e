"""Which units of a real systemd run a known engine: of the machine, and of an account."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.docker import PrivateDaemon
from tests.real.systemd import ACCOUNT, SystemdMachine, systemd_machine

_PROGRAM = """
import json
from watcher.config.load import read_presets
from watcher.host.found_units import running_units
services, trouble = running_units(read_presets())
print(json.dumps([[{one.service: one.refusal for one in services}, trouble]]))
"""
_UNIT = "[Service]\nExecStart={command}\n[Install]\nWantedBy={target}\n"


@pytest.fixture(scope="module")
def machine(docker_engine: PrivateDaemon) -> Iterator[SystemdMachine]:
    with systemd_machine(docker_engine) as machine:
        yield machine
    docker_engine.sweep()


def found(machine: SystemdMachine, user: str) -> dict[str, Any]:
    ((services, trouble),) = machine.python(_PROGRAM, user=user)
    assert (trouble is None) is (user == ACCOUNT), trouble  # root has no manager of its own here
    return dict(services)


def test_units_are_told_by_their_program_and_by_what_may_be_stopped(machine: SystemdMachine) -> None:
    script = "#!/bin/sh\nexec sleep infinity\n"
    for name in ("ollama", "llama-server"):
        machine.run("/bin/sh", "-c", f"printf '{script}' > /usr/local/bin/{name}; chmod +x /usr/local/bin/{name}")
    of_machine, of_account = "multi-user.target", "default.target"
    machine.unit("ollama.service", _UNIT.format(command="/usr/local/bin/ollama serve", target=of_machine))
    machine.unit(
        "by-hand.service", _UNIT.format(command="/usr/local/bin/ollama serve", target=of_machine), enable=False
    )
    machine.unit("web.service", _UNIT.format(command="/bin/sleep infinity", target=of_machine))
    machine.user_unit("zoe.service", _UNIT.format(command="/usr/local/bin/llama-server -m /m.gguf", target=of_account))
    as_root = found(machine, "root")
    assert set(as_root) == {"systemd:ollama.service", "systemd:by-hand.service"}
    assert as_root["systemd:ollama.service"] is None
    assert "systemctl enable by-hand.service" in as_root["systemd:by-hand.service"]
    assert "systemd-user:zoe.service" in found(machine, ACCOUNT)
