"""One call of the program: its global options, where it prints, and what it opens."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from watcher.model.text import printable

if TYPE_CHECKING:
    from watcher.config.settings import Settings
    from watcher.jobs.means import Means
    from watcher.ports import Display


@dataclass(frozen=True, slots=True)
class Call:
    """Facts go to stdout, progress and trouble to stderr; with `--json` one object and nothing else on stdout."""

    config: Path | None = None
    verbose: bool = False
    quiet: bool = False
    color: bool = True

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
        if self.quiet or not is_long or not can_redraw(sys.stderr):
            from watcher.ports import Lines

            yield Lines(self.say)
            return
        from watcher.cli.live import Live

        with Live(sys.stderr.fileno(), sys.stderr.encoding, self._wants_color) as live:
            yield live

    def say(self, line: str) -> None:
        """Tell progress, unless `-q`."""
        if not self.quiet:
            _tell(printable(line))

    def complain(self, line: str) -> None:
        """Tell trouble, always."""
        _tell(printable(line, 2000))

    @property
    def may_color(self) -> bool:
        return self._wants_color and sys.stdout.isatty()

    @property
    def _wants_color(self) -> bool:
        return self.color and "NO_COLOR" not in os.environ


def _tell(line: str) -> None:
    with suppress(OSError):  # nobody listens any more: no reason to leave a service down
        print(line, file=sys.stderr, flush=True)


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
