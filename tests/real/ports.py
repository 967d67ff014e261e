"""Free ports and the end of processes that a test started."""

import socket
import subprocess
import time
from collections.abc import Callable

STARTS_WITHIN = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    """Poll until `ready`; fail with the program's name when it ends or takes too long."""
    give_up = time.monotonic() + STARTS_WITHIN
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode} instead of starting")
        if time.monotonic() > give_up:
            raise RuntimeError(f"{what} did not start within {STARTS_WITHIN:.0f} s")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
