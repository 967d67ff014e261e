"""When a source is asked again, and at which instant of a scheduled check. Pure."""

import hashlib
from datetime import datetime, timedelta

from watcher.model.facts import SourceState

LONGEST_BACK_OFF = timedelta(hours=24)
"""Also of what an upstream asks for, whatever it says: a source that is never due again is lost in silence."""
SPREAD = timedelta(seconds=4)
"""Over which the sources of one scheduled check start: not all in the same instant against one host."""
_DOUBLINGS = 17
"""So many make a day of a second."""


def next_look(state: SourceState | None, every: timedelta) -> datetime | None:
    """Return when a source's time comes on the schedule, None for at once."""
    if state is None or state.last_look is None:
        return None
    return state.last_look + max(_rest(state, every), _asked_for(state))


def is_due(state: SourceState | None, every: timedelta, now: datetime) -> bool:
    """Return whether its time has come; a last look in the future is a clock that was wrong then."""
    if state is None or state.last_look is None:
        return True
    # a quarter is forgiven, so that the jitter of the schedule does not skip a turn
    wait = max(_rest(state, every) - every / 4, _asked_for(state))
    return not timedelta(0) <= now - state.last_look < wait


def start_offset(name: str, over: timedelta) -> timedelta:
    """Return how long after the begin of a check a source starts: the same each time, another for each name."""
    return over * (int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32)


def _rest(state: SourceState, every: timedelta) -> timedelta:
    """Return the rest after a look: `every`, doubled with each further failure in a row up to a day."""
    if every >= LONGEST_BACK_OFF or _asked_for(state):
        return every
    doublings = min(max(state.failures - 1, 0), _DOUBLINGS)
    return min(every * (1 << doublings), LONGEST_BACK_OFF)


def _asked_for(state: SourceState) -> timedelta:
    """Return what the upstream itself asked for, up to a day, which takes the place of the back-off."""
    told = state.error.retry_after if state.failures and state.error else None
    # capped as a number: what an older database holds may be more than a timedelta can be
    return timedelta(seconds=min(told or 0, LONGEST_BACK_OFF.total_seconds()))
