"""What a person sees on a terminal while it lasts: two lines that are drawn anew, below the lines that stay.

A thread of its own draws, by itself: the thread that works only leaves what is to be shown. So a signal never breaks
into a drawing, a terminal that takes nothing (Ctrl-S, a line that hangs) holds up no trial, and as each drawing is one
write, which leaves the cursor shown and at its beginning, whatever kills the program leaves a terminal as it was.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from watcher.model.text import printable

_TICK_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0
"""For the last lines, on a terminal that takes nothing."""
_LOG_TAIL = 4096
_LEAST_WORDS = 8
"""Columns below which what is done is left out, so that the time is seen."""
_WITH_ENGINE = ("ready", "accept", "soak", "teardown")
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
# a character that is wider than it was counted is cut at the edge instead of taking a line more
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the first line says; `begun` is on the monotonic clock."""

    stage: str
    doing: str
    seconds: float | None
    begun: float = field(default_factory=time.monotonic)

    def line(self, now: float, width: int) -> str:
        """Return the line, at most `width` long; where that is little the time stays and the words go."""
        passed = clock_text(now - self.begun)
        times = passed if self.seconds is None else f"{passed} of {clock_text(self.seconds)}"
        start = f"{self.stage}  " if self.stage else ""
        room = width - len(start) - 3 - len(times)
        if room >= _LEAST_WORDS:
            return f"{start}{printable(self.doing, room)}   {times}"
        short = f"{self.stage} {times}".strip()
        return short if len(short) <= width else printable(f"{self.stage} {passed}", width)


class Live:
    """The display on a terminal, a context manager: nothing of the two lines is left at the end."""

    def __init__(self, terminal: int, encoding: str, color: bool) -> None:
        self._terminal, self._encoding, self._color = terminal, encoding, color
        self._lines: SimpleQueue[list[str] | None] = SimpleQueue()
        self._shown = Shown("", "looking", None)
        self._update = ""
        self._log = b""
        self._drawn = ""
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)

    def __enter__(self) -> "Live":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.put(None)
        self._thread.join(_PATIENCE_SECONDS)

    def say(self, line: str) -> None:
        self._lines.put([printable(line)])

    def update(self, line: str) -> None:
        self._update = line

    def stage(self, name: str, doing: str, seconds: float | None) -> None:
        self._update = ""
        if name not in _WITH_ENGINE:
            self._log = b""
        self._shown = Shown(name, doing, seconds)
        self._lines.put([])  # nothing that stays, but a short stage is over before the next half second

    def engine_log(self, piece: bytes) -> None:
        self._log = (self._log + piece[-_LOG_TAIL:])[-_LOG_TAIL:]

    # --- the thread that draws ------------------------------------------------------------------------------------

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they break out of what the main thread does
        try:
            while (lines := self._arrived()) is not None:
                self._draw(lines)
            self._write(f"\r{_ERASE_BELOW}" if self._drawn else "")
        except OSError:  # the terminal is gone
            return

    def _arrived(self) -> list[str] | None:
        """Return the lines of the next half second, as soon as there is one or another stage; None at the end."""
        lines: list[str] = []
        try:
            said = self._lines.get(timeout=_TICK_SECONDS)
            while said is not None:
                lines += said
                said = self._lines.get_nowait()
        except Empty:
            return lines
        if lines:
            self._draw(lines)
        return None

    def _draw(self, lines: list[str]) -> None:
        stay = "".join(f"{line}\n" for line in lines)
        if not self._is_in_foreground():
            self._drawn = ""  # what stands below the cursor is the shell's
            self._write(stay)
            return
        block = self._block()
        if lines or block != self._drawn:
            self._write((f"\r{_ERASE_BELOW}{stay}" if lines else "\r") + block)
            self._drawn = block

    def _block(self) -> str:
        """Return both lines with what brings the cursor back to where they begin."""
        columns, rows = _size(self._terminal)
        width = max(1, columns - 1)
        shown = self._shown
        first = shown.line(time.monotonic(), width)
        if first.startswith(shown.stage):
            first = self._styled(_BOLD, shown.stage) + first[len(shown.stage) :]
        if rows < 2:
            return f"{_NO_WRAP}{first}{_WRAP}{_ERASE_BELOW}\r"
        second = _without_middle(printable(self._update), width) if self._update else last_line(self._log, width)
        second = self._styled(_DIM, second)
        return f"{_NO_WRAP}{first}{_ERASE_LINE}\n{second}{_WRAP}{_ERASE_BELOW}\r\x1b[A"

    def _styled(self, style: str, text: str) -> str:
        return f"{style}{text}{_PLAIN}" if self._color and text else text

    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # it is not the terminal that governs this process
            return True

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        while data:  # past sys.stderr, whose lock a terminal that takes nothing would hold for ever
            data = data[os.write(self._terminal, data) :]


def clock_text(seconds: float) -> str:
    """Return a length of time as a clock shows it: `0:42`, `15:00`, `1:00:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def last_line(log: bytes, width: int) -> str:
    """Return the last line of an engine's log that says something, harmless and cut; of a redrawn one the last part."""
    from watcher.verdict.lines import shown

    for line in reversed(log.decode("utf-8", "replace").replace("\r", "\n").split("\n")):
        if clean := printable(shown(line), width):
            return clean
    return ""


def _without_middle(text: str, width: int) -> str:
    """Cut a line whose end says how far it is."""
    if len(text) <= width:
        return text
    start = (width - 1) // 4
    return f"{text[:start]}…{text[len(text) - (width - 1 - start) :]}"


def _size(terminal: int) -> tuple[int, int]:
    """Return columns and rows; a terminal that does not know counts as an ordinary one."""
    try:
        columns, rows = os.get_terminal_size(terminal)
    except OSError:
        return 80, 24
    return columns or 80, rows or 24
