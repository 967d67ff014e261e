"""A command of the operator that scores the engine in place of the phrases."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from watcher.model.trial import Acceptance, Score
from watcher.trial.machine import Event

CANNOT_TELL = 125
_KEPT_BYTES = 64_000
"""The figures stand at the end of what a command writes; what comes before is let go."""
_LAST_READS = 100
"""What left the group may hold the output open, and write for ever."""
_LOOK_EVERY = 1.0
_MOST = 1_000_000
_REMARK = 200


@dataclass(frozen=True, slots=True)
class ScoreCommand:
    """The words of `acceptance.command`, run in `folder`; `pattern` has the groups `passed` and `total`."""

    words: tuple[str, ...]
    pattern: str
    folder: Path


@dataclass(slots=True)
class Scoring:
    """Runs the command beside the engine. `score` stays None where it could not tell."""

    command: ScoreCommand
    url: str
    model: str
    score: Score | None = None
    remark: str = "it was not run to its end"

    def ask(self, until: float, give_way: Callable[[], None], still_well: Callable[[], Event | None]) -> Event | None:
        """Run the command; return the engine's end where it died meanwhile. `until` is on the monotonic clock."""
        try:
            process = self._begun()
        except (OSError, ValueError) as error:
            self.remark = f"it could not be run: {getattr(error, 'strerror', None) or error}"
            return still_well()
        output, code = _watched(process, until, give_way)
        if code is None:
            self.remark = "it did not end in the time of this stage and was ended"
        else:
            self.score, self.remark = scored(output, code, self.command.pattern)
        return still_well()

    def measured(self, seen: Acceptance) -> Acceptance:
        return replace(seen, phrases=self.score)

    def told(self) -> tuple[str, ...]:
        return (f"command {self.command.words[0]}: {self.remark}",)

    def _begun(self) -> "subprocess.Popen[bytes]":
        # the watcher's own settings may hold secrets: they are none of the command's business
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
        return subprocess.Popen(  # noqa: S603  these are the operator's own words
            self.command.words,
            cwd=self.command.folder,
            env=kept | {"WATCHER_ENGINE_URL": self.url, "WATCHER_MODEL": self.model},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def scored(output: str, code: int, pattern: str) -> tuple[Score | None, str]:
    """Return the last score in the output, else what the exit code says, and a line on how it was found. Pure."""
    if code == CANNOT_TELL:
        return None, f"it cannot tell (exit code {code})"
    matches = list(re.finditer(pattern, output))
    if not matches:
        score = Score(int(code == 0), 1)
        said = " ".join(output.split())[-_REMARK:]
        return score, f"no score in its output; exit code {code}{f': {said}' if said else ''}"
    last = matches[-1]
    passed, total = _number(last["passed"]), _number(last["total"])
    if passed is None or total is None or not 0 < total <= _MOST or passed > total:
        return None, f"its last score makes no sense: {last[0][:_REMARK]}"
    return Score(passed, total), f"{passed} of {total}, exit code {code}"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _watched(process: "subprocess.Popen[bytes]", until: float, give_way: Callable[[], None]) -> tuple[str, int | None]:
    """Return the end of what the command wrote, and its exit code; None where its time was over."""
    kept, looked, ended = bytearray(), time.monotonic(), False
    with process:
        try:
            while not (ended := _has_ended(process)) and time.monotonic() < until:
                _read(process, kept)
                if time.monotonic() - looked >= _LOOK_EVERY:
                    give_way()
                    looked = time.monotonic()
        finally:  # whatever ends the wait, nothing of the command's group is left
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        for _ in range(_LAST_READS):
            if not _read(process, kept, seconds=0):
                break
    return kept.decode("utf-8", "replace"), code if ended else None


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Return whether it ended, and leave it unreaped: so long nobody else gets the id of its group."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _read(process: "subprocess.Popen[bytes]", kept: bytearray, seconds: float = 0.1) -> bool:
    """Read what is there, waiting for it at most so long; return whether there may be more."""
    assert process.stdout is not None, "it was asked for"
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    chunk = os.read(process.stdout.fileno(), _KEPT_BYTES) if ready else b""
    kept += chunk
    del kept[:-_KEPT_BYTES]
    if ready and not chunk and seconds:  # it closed its output and works on
        time.sleep(seconds)
    return bool(chunk)
