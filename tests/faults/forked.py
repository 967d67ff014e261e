"""The program as a forked process: everything is imported once, so that a run that is to be killed costs no start.

Its time of day is off by as many seconds as the file `CLOCK` beside its output says, at any moment (nothing: none).

The server (`python -m tests.faults.forked`) forks for each run and keeps no thread. A run may be told to write down its
effects, or to send itself a signal just before or after one of them: SIGKILL dies there, SIGSTOP waits there until the
test sends SIGCONT. An effect is a step that somebody else can see: a call that changes the engine, an owed file, a row
of the database.
"""

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import watcher
from tests.places import CHECKOUT

KILLED = -signal.SIGKILL
CLOCK = "clock-is-off-by"


@dataclass(frozen=True, slots=True)
class Moment:
    """Just `before` or `after` the `nth` time (from 1) that an effect happens in one run."""

    effect: str
    nth: int
    when: str

    def __str__(self) -> str:
        return f"{self.when}-{self.effect}-{self.nth}"


class ForkServer:
    """Runs the program's command line in children of one process that has imported it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(
        self,
        arguments: Sequence[str],
        output: Path,
        moment: Moment | None = None,
        number: signal.Signals = signal.SIGKILL,
        record: Path | None = None,
    ) -> int:
        """Fork a run and return its pid; what it prints goes to the file `output`."""
        at = [moment.effect, moment.nth, moment.when] if moment else None
        told = {"run": list(arguments), "output": str(output), "at": at, "signal": number, "record": str(record or "")}
        return int(self._ask(told))

    def wait(self, pid: int) -> int:
        """Return the exit code of a run, minus the signal for one that was killed."""
        return int(self._ask({"wait": pid}))

    def run(
        self,
        arguments: Sequence[str],
        output: Path,
        moment: Moment | None = None,
        number: signal.Signals = signal.SIGKILL,
        record: Path | None = None,
    ) -> int:
        return self.wait(self.start(arguments, output, moment, number, record))

    def _ask(self, told: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server has ended"
        return json.loads(answer)


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forked"],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # leaving closes its input, which ends it
        yield ForkServer(process)


# --- the side of the server -------------------------------------------------------------------------------------------


def serve() -> None:
    _import_all()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a run prints by mistake is no answer
    for line in sys.stdin:
        told = json.loads(line)
        if "wait" in told:
            _, status = os.waitpid(told["wait"], 0)
            print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _run(told)
        print(pid, file=answers, flush=True)


def _run(told: dict[str, Any]) -> None:
    from watcher.cli import run_command_line

    code = 1
    try:
        os.setsid()
        output = os.open(told["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _watch_effects(_Effects(told))
        _set_clock(Path(told["output"]).with_name(CLOCK))
        code = run_command_line(told["run"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()  # of the test's own making: the program shows its errors itself
        raise
    finally:
        os._exit(code)


def _import_all() -> None:
    """Import what a run imports where it is needed: in a child it would be imported anew each time."""
    for heavy in ("apprise", "docker", "sqlalchemy.dialects.sqlite", "rich.console"):
        importlib.import_module(heavy)
    for module in pkgutil.walk_packages(watcher.__path__, "watcher."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _set_clock(offset: Path) -> None:
    """Let the program's clock be off by what the file says now; its monotonic clock goes on, as Linux promises."""
    from watcher.host.clock import SystemClock

    right = SystemClock.now

    def now(clock: SystemClock) -> datetime:
        seconds = float(offset.read_text()) if offset.exists() else 0.0
        return right(clock) + timedelta(seconds=seconds)

    clock: Any = SystemClock
    clock.now = now


class _Effects:
    """Counts effects; sends the process a signal at one moment, or writes them all down."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._moment = Moment(*told["at"]) if told["at"] else None
        self._signal = told["signal"]
        self._record = Path(told["record"]) if told["record"] else None
        self._times: Counter[str] = Counter()

    def around(self, effect: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self._times[effect] += 1
            nth = self._times[effect]
            if self._record is not None:
                with self._record.open("a") as record:
                    record.write(f"{effect} {nth}\n")
            self._perhaps_signal(Moment(effect, nth, "before"))
            answer = call(*arguments, **named)
            self._perhaps_signal(Moment(effect, nth, "after"))
            return answer

        return watched

    def _perhaps_signal(self, moment: Moment) -> None:
        if moment == self._moment:
            os.kill(os.getpid(), self._signal)


def _watch_effects(effects: _Effects) -> None:
    """Put the watch around everything that leaves a mark outside of the process."""
    from watcher.host import docker_host, owed, restore
    from watcher.jobs import try_next
    from watcher.trial import displacing, runner

    host: Any = docker_host.DockerHost
    for name in ("pull", "start", "signal", "remove_trial", "stop_service", "start_service", "settle_service"):
        setattr(host, name, effects.around(name, getattr(host, name)))
    for name in ("write_debt", "clear_debt"):
        watched = effects.around(name, getattr(owed, name))
        for module in (displacing, runner, restore):
            if hasattr(module, name):
                setattr(module, name, watched)
    notebook: Any = try_next.StoredNotebook
    for name in ("step", "pulling", "pulled", "read"):
        setattr(notebook, name, effects.around(f"row-{name}", getattr(notebook, name)))
    try_next_module: Any = try_next
    try_next_module._opened = effects.around("row-opened", try_next_module._opened)


if __name__ == "__main__":
    serve()
