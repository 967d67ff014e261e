"""The service: a small process that keeps the schedule and runs each round as a child of its own.

It imports neither SQLAlchemy nor httpx nor docker: on unified memory each megabyte is one that the model lacks.
"""

import logging
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from watcher.host.owed import broken_debts, read_debts
from watcher.jobs.heartbeat import beat
from watcher.ports import ReportProgress

HEARTBEAT_SECONDS = 60
OWED_SECONDS = 15 * 60
"""While a service is owed, a round is made so often: it pays first, and reminds where it cannot."""
_CHILD_PATIENCE_SECONDS = 330


@dataclass(slots=True)
class Service:
    """Runs `round_command` on the schedule until SIGTERM or SIGINT; `data_dir/heartbeat` tells that it lives.

    A round decides by stored looks which sources are due, so that a restart neither repeats nor skips one; the
    service only gives it its turns. `is_any_down` looks whether a service is owed and down; it loads what speaks to
    Docker, so that only the end asks.
    """

    round_command: Sequence[str]
    turn: timedelta
    jitter: timedelta
    data_dir: Path
    say: ReportProgress
    is_any_down: Callable[[], bool]
    popen: Callable[[Sequence[str]], "subprocess.Popen[bytes]"] = subprocess.Popen
    _child: "subprocess.Popen[bytes] | None" = None
    _ending: threading.Event = field(default_factory=threading.Event)
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def serve(self) -> int:
        """Return 0 once asked to end and the child is gone; its own exit code where a service stayed down."""
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        self.data_dir.mkdir(parents=True, exist_ok=True)
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a turn that comes during a long round is no trouble
        scheduler = BackgroundScheduler(timezone=UTC)
        now = datetime.now(UTC)
        jitter = int(min(self.jitter, self.turn / 2).total_seconds()) or None
        turn = IntervalTrigger(seconds=max(1, int(self.turn.total_seconds())), jitter=jitter)
        scheduler.add_job(self._beat, IntervalTrigger(seconds=HEARTBEAT_SECONDS), next_run_time=now)
        scheduler.add_job(self._round_if_owed, IntervalTrigger(seconds=OWED_SECONDS))
        scheduler.add_job(self._round, turn, next_run_time=now, coalesce=True, max_instances=1, misfire_grace_time=None)
        previous = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT)}
        scheduler.start()
        self.say(f"watching; a round every {self.turn}")
        while not self._ending.wait(1):  # a signal that comes just before an endless wait would not end it
            pass
        code = self._end_child()
        scheduler.shutdown(wait=False)
        for number, handler in previous.items():
            signal.signal(number, handler)
        return code

    def _beat(self) -> None:
        beat(self.data_dir)

    def _round(self) -> None:
        with self._starting:
            if self._ending.is_set() or (self._child is not None and self._child.poll() is None):
                return
            child = self._child = self.popen(self.round_command)
        code = child.wait()
        if code not in (0, 130):
            self.say(f"the round ended with exit code {code}")

    def _round_if_owed(self) -> None:
        folder = self.data_dir / "owed"
        if read_debts(folder) or broken_debts(folder):
            self._round()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending.set()

    def _end_child(self) -> int:
        """Let a trial give back what it displaced; its first two steps take seconds, health may take minutes."""
        with self._starting:  # a round that begins at this very moment is ended, too
            child = self._child
        if child is None or child.poll() is not None:
            return 0
        child.send_signal(signal.SIGTERM)
        try:
            code = child.wait(_CHILD_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        return 5 if code == 5 or self.is_any_down() else 0
