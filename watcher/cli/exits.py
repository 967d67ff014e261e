"""Exit codes of CONTRACT."""

from collections.abc import Iterable

DONE = 0
UNEXPECTED = 1
MUST_CHANGE = 2
SOURCES_FAILED = 3
STILL_DOWN = 5
NO_VERDICT = 6
INTERRUPTED = 130

_LOUDEST_FIRST = (STILL_DOWN, INTERRUPTED, UNEXPECTED, MUST_CHANGE, NO_VERDICT, SOURCES_FAILED, DONE)


def loudest(codes: Iterable[int]) -> int:
    """Return the one code that stands for several."""
    return min(codes, key=_LOUDEST_FIRST.index, default=DONE)
