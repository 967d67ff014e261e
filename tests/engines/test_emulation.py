"""The kernel is told of QEMU for as long as it is wanted, and then as it was, whoever was killed in between."""

import os
import signal
import subprocess
import sys

import pytest

from tests.places import CHECKOUT
from tests.real.docker import CannotRunHere
from tests.real.emulation import FOREIGN, HANDLERS, HERE, OWN, emulated

pytestmark = pytest.mark.engines
_WAITS = f"""
from tests.real.emulation import emulated
with emulated("{FOREIGN}"):
    print("emulated", flush=True)
    input()
"""


def own() -> set[str]:
    """Return what tests have told the kernel; it may not even be there to be told."""
    return {handler.name.removeprefix(OWN) for handler in HANDLERS.glob(f"{OWN}*")}


def test_what_a_killed_run_left_is_taken_back() -> None:
    try:
        with emulated(FOREIGN):
            assert (str(os.getpid()) in own()) == (HERE != FOREIGN)
    except CannotRunHere as reason:
        pytest.skip(str(reason))
    command = [sys.executable, "-c", _WAITS]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "emulated\n"
        assert (str(other.pid) in own()) == (HERE != FOREIGN)
        os.kill(other.pid, signal.SIGKILL)
    with emulated(FOREIGN):
        assert str(other.pid) not in own()
    assert str(os.getpid()) not in own()
