"""Watching an engine that works: what starts over in its container, and whether its memory grows."""

import contextlib
import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from watcher.errors import HostError
from watcher.model.container import ContainerLook
from watcher.model.trial import Acceptance
from watcher.ports import Clock, Host
from watcher.trial.growth import Growth, growth_of
from watcher.trial.machine import Event

_MOST_LOOKS = 120
"""When there are as many, every other one is let go, and the next are taken half as often."""
_LOOKS_WANTED = 60
_OFTENEST, _SELDOMEST = 1.0, 60.0
_PAUSE = 5.0
_NUMBER = re.compile(r"\d+")


def seconds_between(soak: float) -> float:
    """Return how far apart looks are: a minute, less where the soak is short."""
    return min(_SELDOMEST, max(_OFTENEST, soak / _LOOKS_WANTED))


@dataclass(slots=True)
class Watching:
    """The looks at one container. Times are on the monotonic clock.

    Attributes:
        limit: bytes that the container may hold; None where nothing but the device limits it.
        soak: for how long it is watched; `every`: seconds from one look to the next.
        room: bytes that were left at the last look.
        restarts: how often the container, or a program in it that had lasted, was seen to have started over.
    """

    host: Host
    container: str
    limit: int | None
    clock: Clock
    soak: timedelta
    begun: float = field(init=False)
    every: float = field(init=False)
    room: float | None = None
    restarts: int = 0
    _restarted: float | None = None
    _due: float = -math.inf
    _seconds: "array[float]" = field(default_factory=lambda: array("d"))
    _held: "array[float]" = field(default_factory=lambda: array("d"))
    _last: ContainerLook | None = None
    _lasting: Mapping[int, str] = field(default_factory=dict)
    _adds_gpu: bool | None = None

    def __post_init__(self) -> None:
        self.begun = self.clock.monotonic()
        self.every = seconds_between(self.soak.total_seconds())

    def to_its_end(self, give_way: Callable[[], None], still_well: Callable[[], Event | None]) -> Event | None:
        """Watch it for as long as was asked; return its end where it dies meanwhile."""
        ends = self.begun + self.soak.total_seconds()
        while (now := self.clock.monotonic()) < ends:
            give_way()
            if (dead := still_well()) is not None:
                return dead
            self.look(now)
            self.clock.sleep(min(_PAUSE, self.every, max(0.0, ends - self.clock.monotonic())))
        return None

    def look(self, now: float) -> None:
        """Look where it is time for it; a Docker engine that does not answer costs the look and nothing else."""
        if now < self._due:
            return
        self._due = now + self.every
        with contextlib.suppress(HostError):
            if (seen := self.host.look(self.container)) is None:
                return
            self._count_restarts(seen, now)
            self._measure(seen, now)

    def _count_restarts(self, seen: ContainerLook, now: float) -> None:
        last, self._last = self._last, seen
        if last is None:
            return
        if seen.started != last.started:
            again, self._lasting = 1, {}
        else:
            again = started_over(self._lasting, last.programs, seen.programs)
            self._lasting = {pid: name for pid, name in seen.programs.items() if last.programs.get(pid) == name}
        if again:
            self.restarts += again
            self._restarted = now

    def _measure(self, seen: ContainerLook, now: float) -> None:
        """Keep what is held. On a Jetson what the GPU holds is no container's: the device's whole is added then."""
        facts = self.host.facts()
        if self._adds_gpu is None:
            self._adds_gpu = facts.nvmap_used is not None
        if seen.memory is None or (self._adds_gpu and facts.nvmap_used is None):
            return
        if len(self._seconds) == _MOST_LOOKS:
            self._seconds, self._held = self._seconds[::2], self._held[::2]
            self.every *= 2
        self._seconds.append(now - self.begun)
        self._held.append(seen.memory + (facts.nvmap_used or 0 if self._adds_gpu else 0))
        rooms = [facts.memory_available, None if self.limit is None else self.limit - seen.memory]
        self.room = min((room for room in rooms if room is not None), default=None)

    @property
    def growth(self) -> Growth | None:
        return growth_of(self._seconds, self._held)

    def measured(self, seen: Acceptance) -> Acceptance:
        """Return the figures with how long it was stable: since the last restart, or since it was ready."""
        growth = self.growth
        since = self.begun if self._restarted is None else self._restarted
        return replace(
            seen,
            stable_seconds=int(self.clock.monotonic() - since),
            restarts=self.restarts if self._last is not None else None,
            memory_per_hour=round(growth.per_second * 3600) if growth else None,
            memory_lasts_seconds=self._lasts(growth),
        )

    def _lasts(self, growth: Growth | None) -> int | None:
        lasts = growth.lasts(self.room) if growth and self.room is not None else None
        return None if lasts is None else int(lasts)

    def told(self) -> tuple[str, ...]:
        """Return a line on each thing that was watched, with its figures."""
        if self._last is None:
            return ("soak: the container could not be looked at",)
        lines = [f"soak: {f'started over {self.restarts} times' if self.restarts else 'nothing started over'}"]
        if not self._held:
            return (*lines, "soak: its memory could not be seen")
        held = f"soak: {_size(self._held[-1])} of memory at the end, in {len(self._held)} looks"
        growth = self.growth
        if growth is None:
            return (*lines, f"{held}: too few to tell whether it grows")
        if not growth.counts:
            return (*lines, f"{held}; it does not grow")
        return (*lines, f"{held}; {self._told_growth(growth)}")

    def _told_growth(self, growth: Growth) -> str:
        grew = (
            f"it grew by {_size(growth.rise)} in the last {growth.seconds:.0f} s "
            f"({_size(growth.per_second * 3600)} an hour)"
        )
        lasts = self._lasts(growth)
        if lasts is None or self.room is None:
            return grew
        return f"{grew} and would use up the {_size(self.room)} that are left in {lasts / 3600:.1f} h: not stable"


def started_over(lasting: Mapping[int, str], before: Mapping[int, str], now: Mapping[int, str]) -> int:
    """Return how many programs that had lasted are gone while the same ones run under ids not seen before. Pure.

    What comes and goes by itself, such as a helper that is asked each few seconds, was never seen twice and is not one.
    """
    gone = Counter(_shape(name) for pid, name in lasting.items() if now.get(pid) != name)
    new = Counter(_shape(name) for pid, name in now.items() if before.get(pid) != name)
    return (gone & new).total()


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _shape(command: str) -> str:
    """Return the command without its numbers: a port or an id differs from one life to the next."""
    return _NUMBER.sub("#", command)
