"""One call of the program: its global options, where it prints, and what it opens."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from watcher.cli.log import log_line, tell
from watcher.model.text import printable

if TYPE_CHECKING:
    from watcher.config.settings import Settings
    from watcher.jobs.means import Means
    from watcher.ports import Display


@dataclass(frozen=True, slots=True)
class Call:
    """Facts go to stdout, progress and trouble to stderr; with `--json` one object and nothing else on stdout.

    `log` is the format in which a service writes, with the time; None for a person who waits.
    """

    config: Path | None = None
    verbose: bool = False
    quiet: bool = False
    color: bool = True
    log: str | None = None

    def as_service(self) -> "Call":
        from watcher.config.place import read_log_format

        return replace(self, log=read_log_format(self.config))

    def settings(self) -> "Settings":
        from watcher.config.load import load_settings

        settings = load_settings(self.config)
        if settings.origin is None:
            self.say("no config.toml was found: watching with built-in defaults, trying nothing")
        return settings

    @contextmanager
    def means(self, is_long: bool = False, is_scheduled: bool = False) -> Iterator["Means"]:
        """Open what the jobs work with; `is_long` shows on a terminal how far the program is."""
        from watcher.app import open_means

        settings = self.settings()
        with self._display(is_long) as display, open_means(settings, display, is_scheduled=is_scheduled) as means:
            yield means

    @contextmanager
    def _display(self, is_long: bool) -> Iterator["Display"]:
        if self.log is not None:
            from watcher.ports import Stages

            yield Stages(self.say)
            return
        if self.quiet or not is_long or not can_redraw(sys.stderr):
            from watcher.ports import Lines

            yield Lines(self.say)
            return
        from watcher.cli.live import Live

        with Live(sys.stderr.fileno(), sys.stderr.encoding, self._wants_color) as live:
            yield live

    def say(self, line: str, **figures: Any) -> None:
        """Tell progress, unless `-q`; `figures` are for a log in JSON."""
        if not self.quiet:
            tell(log_line(self.log, "info", line, **figures) if self.log else printable(line))

    def complain(self, line: str) -> None:
        """Tell trouble, always."""
        tell(log_line(self.log, "error", line) if self.log else printable(line, 2000))

    @property
    def may_color(self) -> bool:
        return self._wants_color and sys.stdout.isatty()

    @property
    def _wants_color(self) -> bool:
        return self.color and "NO_COLOR" not in os.environ


def can_redraw(stream: TextIO) -> bool:
    """Return whether the stream is a terminal on which lines can be drawn anew."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def show(line: str = "") -> None:
    """Print one line of facts; upstream text in it is made harmless."""
    print(_sayable(_indented(line)))


def _indented(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))] + printable(line, 2000)


def _sayable(line: str) -> str:
    """Return the line as far as the terminal's encoding can show it."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)


def show_bold(call: Call, line: str) -> None:
    safe = _sayable(printable(line, 2000))
    print(f"\x1b[1m{safe}\x1b[0m" if call.may_color else safe)


def show_json(document: dict[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # an old locale, or half a surrogate pair from upstream
        text = json.dumps(document, indent=2)
    print(text)
