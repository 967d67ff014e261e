"""Programs for aarch64 on another machine: the kernel hands them to QEMU as long as a test wants that."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.debian import unpacked
from tests.real.docker import CannotRunHere

HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""This machine's architecture in Debian's and Docker's words."""
FOREIGN = "arm64"
HANDLERS = Path("/proc/sys/fs/binfmt_misc")
OWN = "watcher-test-"
_MAGIC = "7f454c460201010000000000000000000200b700"
_MASK = "ffffffffffffff00fffffffffffffffffeffffff"
"""The head of an ELF file of 64 bits for aarch64, and which of its bits count: the ABI and shared or not do not."""
_OPENED_BEFOREHAND = "F"
"""The kernel opens QEMU when it is told of it: in a container there is none to be found."""


@contextmanager
def emulated(architecture: str) -> Iterator[None]:
    """Let programs of an architecture run here, in containers too. Raises CannotRunHere.

    The kernel is told for the whole machine: under a name of this process's, which is taken back at the end.
    """
    if architecture == HERE:
        yield
        return
    if architecture != FOREIGN:
        raise CannotRunHere(f"nothing here runs programs for {architecture}")
    _mount()
    _forget_the_dead()
    if _is_handled():
        yield
        return
    name = f"{OWN}{os.getpid()}"
    _tell(name, unpacked("qemu-user") / "usr/bin/qemu-aarch64")
    try:
        yield
    finally:
        _forget(HANDLERS / name)


def _mount() -> None:
    """Mount what systemd mounts everywhere; it stays, for another run may be using it by now."""
    if not (HANDLERS / "register").exists():
        command = ["mount", "-t", "binfmt_misc", "binfmt_misc", str(HANDLERS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRunHere(f"programs for {FOREIGN} cannot be run here: {done.stderr.strip()}")


def _is_handled() -> bool:
    """Return whether the machine does it already, as containers need it; another run may end any time."""
    handlers = [path for path in HANDLERS.iterdir() if path.name not in ("register", "status")]
    texts = [path.read_text() for path in handlers if not path.name.startswith(OWN)]
    return any(_opens_beforehand(text) for text in texts if _MAGIC in text and text.startswith("enabled"))


def _opens_beforehand(handler: str) -> bool:
    return any(_OPENED_BEFOREHAND in line for line in handler.splitlines() if line.startswith("flags:"))


def _tell(name: str, program: Path) -> None:
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in bytes.fromhex(text)) for text in (_MAGIC, _MASK))
    try:
        (HANDLERS / "register").write_text(f":{name}:M::{magic}:{mask}:{program}:{_OPENED_BEFOREHAND}")
    except OSError as error:
        raise CannotRunHere(f"the kernel does not take QEMU for {FOREIGN}: {error}") from error


def _forget(handler: Path) -> None:
    handler.write_text("-1")


def _forget_the_dead() -> None:
    """Take back what a test run that was itself killed has left."""
    for handler in HANDLERS.glob(f"{OWN}*"):
        if not Path("/proc", handler.name.removeprefix(OWN)).exists():
            _forget(handler)
