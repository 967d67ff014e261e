"""Which host must not be asked before when, what each still grants, and how many requests it gets at once."""

import ipaddress
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from watcher.errors import SourceUnavailable
from watcher.model.budget import Budget
from watcher.ports import Clock

IN_FLIGHT = 4
IN_FLIGHT_HERE = 128
"""A server on this machine is nobody's shared upstream: there the limit only keeps threads in bounds."""
LONGEST_HOLD = timedelta(hours=24)
"""No host is left alone for longer, whatever it says and however wrong a clock is."""


class HostHolds:
    """What hosts asked of us, shared by all sources of a process and safe between threads.

    Hosts are written `name` or `name:port`, as `host_of` gives them.
    """

    def __init__(self, initial: Mapping[str, datetime], clock: Clock, budgets: Iterable[Budget] = ()) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}
        self._budgets: dict[str, Budget] = {}
        self._slots: dict[str, threading.BoundedSemaphore] = {}
        self.learn(initial, budgets)

    def now(self) -> datetime:
        return self._clock.now()

    def learn(self, until: Mapping[str, datetime], budgets: Iterable[Budget]) -> None:
        """Take in what other processes heard: the longer hold counts, and the newer budget.

        A hold beyond the longest, and a budget seen in the future, were stored by a clock that was wrong.
        """
        now = self.now()
        with self._lock:
            for host, end in until.items():
                if end <= now + LONGEST_HOLD:
                    self._until[host] = max(end, self._until.get(host, end))
            for budget in budgets:
                known = self._budgets.get(budget.host, budget)
                if known.seen_at <= budget.seen_at <= now:
                    self._budgets[budget.host] = budget

    def hold(self, host: str, wait: timedelta) -> None:
        """Leave `host` alone for `wait`; an earlier, longer hold stands."""
        until = self.now() + min(wait, LONGEST_HOLD)
        with self._lock:
            self._until[host] = max(until, self._until.get(host, until))

    def remaining(self, host: str) -> timedelta | None:
        """Return how long `host` must still be left alone, None when it may be asked."""
        with self._lock:
            until = self._until.get(host)
        left = until - self.now() if until else timedelta(0)
        return left if left > timedelta(0) else None

    def pending(self) -> dict[str, datetime]:
        """Return the holds that still run, for the next process."""
        now = self.now()
        with self._lock:
            return {host: until for host, until in self._until.items() if until > now}

    def note_budget(self, budget: Budget) -> None:
        """Keep what a host's latest answer says of its rate limit."""
        with self._lock:
            self._budgets[budget.host] = budget

    def budgets(self) -> tuple[Budget, ...]:
        """Return what still holds of the rate limits that hosts told, in order of the host."""
        now = self.now()
        with self._lock:
            return tuple(one for _, one in sorted(self._budgets.items()) if one.is_current(now))

    @contextmanager
    def slot(self, host: str, seconds: float) -> Iterator[None]:
        """Wait up to `seconds` for one of the host's few places. Raises SourceUnavailable."""
        with self._lock:
            slots = self._slots.setdefault(host, threading.BoundedSemaphore(_places(host)))
        if not slots.acquire(timeout=max(seconds, 0)):
            raise SourceUnavailable("the look ran out of time while other requests to this host went on", host=host)
        try:
            yield
        finally:
            slots.release()


def _places(host: str) -> int:
    name = host.rsplit(":", 1)[0].strip("[]") if host.count(":") == 1 or "]" in host else host
    if name == "localhost":
        return IN_FLIGHT_HERE
    try:
        return IN_FLIGHT_HERE if ipaddress.ip_address(name).is_loopback else IN_FLIGHT
    except ValueError:
        return IN_FLIGHT
