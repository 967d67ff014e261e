"""Deadlines and signals for a trial: both break out of whatever call the main thread waits in.

A trial spends its time inside blocking calls (a pull, a log, a health check). Raising from the signal handler is the
one way that ends each of them at once, so that what is owed can be started within seconds. Nothing is raised outside
of a `deadline` block: bookkeeping and the way back are never torn apart, and a second Ctrl-C leaves no service down.

Python drops what is raised while it runs a finalizer, which may be at any moment; such a one is raised once more.
"""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP is what a terminal that is closed, or whose line is lost, sends."""
_ONCE_MORE_SECONDS = 0.01


class Interrupted(BaseException):
    """A signal of `ENDING` arrived. Not an Exception: no handler for ordinary trouble may swallow it."""


class DeadlinePassed(BaseException):
    """The stage, or the whole trial, ran out of time; `whole_trial` says which."""

    def __init__(self, whole_trial: bool) -> None:
        super().__init__("the trial's total time is over" if whole_trial else "the stage's time is over")
        self.whole_trial = whole_trial


class Interrupts:
    """Installs the handlers for one trial; a context manager, used in the main thread.

    `noted` is True once a signal asked the program to end.
    """

    def __init__(self) -> None:
        self.noted = False
        self._armed = False
        self._inside = False
        self._whole_trial = False
        self._total_ends: float | None = None

    def __enter__(self) -> "Interrupts":
        is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # by nohup
        heard = [number for number in ENDING if not (is_deaf and number is signal.SIGHUP)]
        self._previous = {number: signal.signal(number, self._end) for number in heard}
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._ring)
        self._previous_hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = self._previous_hook
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def start_total(self, seconds: float) -> None:
        """Let the trial's total run from now on."""
        self._total_ends = time.monotonic() + seconds

    @property
    def total_left(self) -> float:
        """Return the seconds until the trial's total is over; infinite while it does not run."""
        return math.inf if self._total_ends is None else self._total_ends - time.monotonic()

    def at_most(self, seconds: float) -> float:
        """Return how much of `seconds` the trial's total leaves."""
        return min(seconds, self.total_left)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Raise in the block: DeadlinePassed after `seconds` or at the trial's total, Interrupted on a signal."""
        left = self.at_most(seconds)
        self._whole_trial = left < seconds
        try:
            self._armed = self._inside = True
            if self.noted:
                raise Interrupted
            # zero would disarm the timer
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left))
            yield
        finally:
            self._armed = self._inside = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.noted = True
        if self._armed:
            self._armed = False  # once is enough: what the block still cleans up is not to be torn apart
            raise Interrupted

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise Interrupted if self.noted else DeadlinePassed(self._whole_trial)

    def _dropped(self, told: "sys.UnraisableHookArgs") -> None:
        if not isinstance(told.exc_value, (Interrupted, DeadlinePassed)):
            self._previous_hook(told)
        elif self._inside:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, _ONCE_MORE_SECONDS)
