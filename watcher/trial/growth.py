"""Whether memory grows, from looks at it one after another: a straight line through the second half of them. Pure.

The first half is let be: caches fill while an engine warms up. A growth counts where the line's slope is at least three
times its own standard error and each quarter of that half lies above the one before, so that neither noise nor a single
step is taken for one. It is a threat where it would use up what is left within a day.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LEAST_LOOKS = 12
"""In the half that counts; with fewer nothing is said."""
DAY = 24 * 3600
_SURE = 3
_QUARTERS = 4
_EVEN_SHARE = 1 / 3
"""What a quarter must rise at least, as a share of what an even growth would give it."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The line through the second half: bytes a second, over so many seconds; `counts` as the rule above says."""

    per_second: float
    seconds: float
    counts: bool

    @property
    def rise(self) -> float:
        """Return by how many bytes the line rises over its seconds."""
        return self.per_second * self.seconds

    def lasts(self, room: float) -> float | None:
        """Return after how many seconds `room` bytes are used up; None where that takes a day or it does not grow."""
        if not self.counts:
            return None
        seconds = max(0.0, room) / self.per_second
        return seconds if seconds < DAY else None


def growth_of(seconds: Sequence[float], held: Sequence[float]) -> Growth | None:
    """Return the growth of `held` bytes, looked at at `seconds`; None where there were too few looks."""
    half = len(seconds) // 2
    times, values = seconds[half:], held[half:]
    count = len(times)
    if count < LEAST_LOOKS or times[-1] <= times[0]:
        return None
    middle, mean = math.fsum(times) / count, math.fsum(values) / count
    spread = math.fsum((time - middle) ** 2 for time in times)
    slope = math.fsum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
    rest = math.fsum((value - mean - slope * (time - middle)) ** 2 for time, value in zip(times, values, strict=True))
    error = math.sqrt(rest / (count - 2) / spread)
    span = times[-1] - times[0]
    return Growth(slope, span, slope > 0 and slope >= _SURE * error and _is_steady(values, slope * span))


def _is_steady(values: Sequence[float], rise: float) -> bool:
    """Return whether each quarter lies above the one before, by a third of its even share at least."""
    size = len(values) // _QUARTERS
    means = [math.fsum(values[part * size : (part + 1) * size]) / size for part in range(_QUARTERS)]
    least = _EVEN_SHARE * rise / _QUARTERS
    return all(later - earlier >= least for earlier, later in pairwise(means))
