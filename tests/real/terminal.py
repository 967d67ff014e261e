"""A terminal: a program runs in it as a shell would start it there, and what a person sees is read off its screen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

import pyte

from tests.places import CHECKOUT

CTRL_C = b"\x03"
_END_OF_DRAWING = re.compile(rb"(?<=\x1b\[A)")


@dataclass
class Terminal:
    """An emulated xterm.

    Attributes:
        raw: all that the program wrote.
        seen: each line that ever stood on the screen.
    """

    process: "subprocess.Popen[bytes]"
    screen: Any
    raw: bytearray = field(default_factory=bytearray)
    seen: set[str] = field(default_factory=set)
    _master: int = -1
    _is_open: bool = True

    def lines(self) -> list[str]:
        """Return what stands on the screen now, without the empty lines at the end."""
        lines = [str(line).rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def resize(self, columns: int, rows: int) -> None:
        _set_size(self._master, columns, rows)
        self.screen.resize(rows, columns)

    def hang_up(self) -> None:
        """Close the window, or lose the line."""
        if self._is_open:
            self._is_open = False
            self._reader.join()
            os.close(self._master)

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._master)

    def wait_until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, "not on the screen in time:\n" + "\n".join(self.lines())
            time.sleep(0.02)

    def end(self, seconds: float = 120) -> int:
        """Wait for the program's end, and for all that it wrote; return its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def start_reading(self, master: int) -> None:
        self._master = master
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = pyte.ByteStream(self.screen)
        with suppress(OSError):  # Linux says EIO when nobody has the terminal open any more
            while self._is_open:
                if not select.select([self._master], [], [], 0.1)[0]:
                    continue
                piece = os.read(self._master, 65536)
                self.raw += piece
                for drawing in _END_OF_DRAWING.split(piece):  # one read may bring several
                    stream.feed(drawing)
                    self.seen.update(self.lines())


@contextmanager
def on_terminal(
    command: Sequence[str],
    columns: int = 100,
    rows: int = 80,
    stdout: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """Run a program as the foreground of a terminal of its own; `stdout` takes its output elsewhere."""
    master, slave = pty.openpty()
    _set_size(slave, columns, rows)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WATCHER_", "NO_COLOR"))}
    process = subprocess.Popen(
        ["env", "--default-signal=HUP", "setsid", "--ctty", *command],  # these tests may run under `nohup`
        cwd=CHECKOUT,
        stdin=slave,
        stdout=stdout or slave,
        stderr=slave,
        env={**kept, "TERM": "xterm", **(env or {})},
    )
    os.close(slave)
    terminal = Terminal(process, pyte.Screen(columns, rows))
    terminal.start_reading(master)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        terminal.hang_up()


def _set_size(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
