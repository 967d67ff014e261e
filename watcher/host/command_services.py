"""Displaced services that only the operator's own commands can stop, start and check.

The commands are recorded with the debt, so that the way back needs no configuration.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from watcher.errors import HostError, Refused, RestoreFailed
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport, ServiceState

Words = Mapping[str, str]
"""The operator's commands of one service, by `stop`, `start` and `check`; a shell reads them."""

_CHECK_SECONDS = 20.0
_STOP_SECONDS = 600.0
"""A stop takes the time that it needs; the deadline of the stage ends the wait."""
_ENDING_SECONDS = 30.0
"""How long a service may still be seen running after its stop command has ended."""
_START_SECONDS = 3.0
"""How long a start is waited for: others want to be started, too. It goes on, and the check says what came of it."""
_RETRY_SECONDS = 5.0
_CANNOT_RUN = (126, 127)
_SHOWN = 600


@dataclass(slots=True)
class CommandServices:
    """`known` holds the commands of the configuration, by name; `restore` has none and needs none."""

    known: Mapping[str, Words] = field(default_factory=dict)
    _starts: dict[str, "_Call"] = field(default_factory=dict)

    def examine(self, service: str) -> tuple[OwedService, ...]:
        name = service.partition(":")[2]
        if (words := self.known.get(name)) is None:
            raise Refused("no [[trial.commands]] has this name", service=service)
        code, said = _run(words["check"], _CHECK_SECONDS)
        if code in _CANNOT_RUN:
            raise Refused("the check command cannot be run", service=service, said=said)
        if code is None:
            raise HostError("the check command did not end in time", service=service)
        return (OwedService(service, "command", name, commands=dict(words)),) if code == 0 else ()

    def stop(self, owed: OwedService) -> None:
        """Run the stop command, then wait until the check says that the service has ended."""
        self._starts.pop(owed.service, None)
        code, said = _run(owed.commands["stop"], _STOP_SECONDS)
        if code != 0:
            raise HostError("the stop command failed", service=owed.service, exit_code=code, said=said)
        ends = time.monotonic() + _ENDING_SECONDS
        while self.is_back(owed):
            if time.monotonic() > ends:
                raise HostError("the stop command ended, but its check says that it still runs", service=owed.service)
            time.sleep(0.5)

    def is_back(self, owed: OwedService) -> bool:
        return _run(owed.commands["check"], _CHECK_SECONDS)[0] == 0

    def may_be_ending(self, owed: OwedService) -> bool:  # noqa: ARG002
        """Return False: whether a stop command of a dead watcher goes on cannot be seen."""
        return False

    def start(self, owed: OwedService) -> ServiceReport:
        """Run the start command, once: again only when it failed, since a service may come up long after it."""
        if self.is_back(owed):
            return ServiceReport(owed.service, ServiceState.RUNNING)
        call = self._starts.get(owed.service)
        if call is None or call.may_be_repeated():
            call = self._starts[owed.service] = _Call(owed.commands["start"])
        if code := call.wait(_START_SECONDS):
            raise RestoreFailed(
                "the start command failed",
                service=owed.service,
                exit_code=code,
                said=call.said,
                run=owed.commands["start"],
            )
        return ServiceReport(owed.service, ServiceState.RUNNING)

    def settle(self, owed: OwedService) -> ServiceReport:
        call = self._starts.get(owed.service)
        is_starting = call is not None and not call.wait(0)
        code, said = _run(owed.commands["check"], _CHECK_SECONDS)
        if code == 0:
            return ServiceReport(owed.service, ServiceState.RUNNING)
        found = f"its check says that it does not run (exit code {code}{': ' if said else ''}{said})"
        return ServiceReport(
            owed.service,
            ServiceState.DOWN,
            f"{found}; {owed.commands['start']}",
            is_starting=is_starting,
        )


class _Call:
    """A command that was begun, in a session of its own: what it starts outlives us and our terminal.

    `said` is the end of what it wrote, in one line, once it has ended.
    """

    def __init__(self, command: str) -> None:
        self.said = ""
        self._output = _output()
        self._ended_at: float | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
        try:
            self._process = subprocess.Popen(  # noqa: S603  these are the operator's own words
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=self._output or subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=kept,
            )
        except OSError as error:
            raise HostError("a command of the configuration could not be run", cause=str(error)) from None

    def wait(self, seconds: float) -> int | None:
        """Return the exit code; None when it has not ended by then."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._note_end()
        return code

    def may_be_repeated(self) -> bool:
        """Return whether it failed, a while ago."""
        return bool(self.wait(0)) and time.monotonic() - (self._ended_at or 0) > _RETRY_SECONDS

    def kill(self) -> None:
        """End it with all that it began."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._note_end()

    def _note_end(self) -> None:
        if self._ended_at is not None:
            return
        self._ended_at = time.monotonic()
        if self._output is not None:
            with self._output as output:
                output.seek(max(0, output.seek(0, os.SEEK_END) - _SHOWN))
                self.said = " ".join(output.read(_SHOWN).decode("utf-8", "replace").split())


def _run(command: str, seconds: float) -> tuple[int | None, str]:
    """Run a command to its end and return its exit code and what it said; None: it was ended after `seconds`."""
    call = _Call(command)
    try:
        code = call.wait(seconds)
    except BaseException:  # an interrupted stop must not stop the service after its new start
        call.kill()
        raise
    if code is None:
        call.kill()
    return code, call.said


def _output() -> IO[bytes] | None:
    """Return a file and no pipe: a service that is started keeps it, and would die of a pipe that nobody reads."""
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError:  # a full disk keeps nothing down; then nobody learns what the command said
        return None
