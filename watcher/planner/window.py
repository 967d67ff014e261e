"""The hours in which automatic trials may run, in the operator's own time zone."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

Hours = tuple[time, time] | None
"""Begin and end of each day's window; it may go over midnight. None: any time."""

_DAYS_AHEAD = 8


def fits(hours: Hours, zone: tzinfo, start: datetime, total: timedelta) -> bool:
    """Return whether something that takes `total` may start now and ends inside the window."""
    return hours is None or any(begin <= start and start + total <= end for begin, end in _around(hours, zone, start))


def next_start(hours: Hours, zone: tzinfo, after: datetime, total: timedelta) -> datetime | None:
    """Return the first moment from `after` on at which it fits; None where the window is too short for it."""
    if hours is None:
        return after
    starts = (max(begin, after) for begin, end in _around(hours, zone, after) if max(begin, after) + total <= end)
    return next(starts, None)


def window_start(hours: Hours, zone: tzinfo, now: datetime) -> datetime | None:
    """Return when the window that is open now opened; None outside of it, or where there is none."""
    if hours is None:
        return None
    return next((begin for begin, end in _around(hours, zone, now) if begin <= now < end), None)


def window_end(hours: Hours, zone: tzinfo, now: datetime) -> datetime | None:
    """Return when the window that is open now closes; None outside of it, or where there is none."""
    if hours is None:
        return None
    return next((end for begin, end in _around(hours, zone, now) if begin <= now < end), None)


def window_text(hours: Hours, zone: tzinfo) -> str:
    """Return it as people read it, with whose hours these are."""
    return "any time" if hours is None else f"{hours[0]:%H:%M}-{hours[1]:%H:%M} {zone}"


def _around(hours: tuple[time, time], zone: tzinfo, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows of the days around `moment`, in UTC: a day with a clock change has a longer or shorter one."""
    begin, end = hours
    today = moment.astimezone(zone).date()
    for days in range(-1, _DAYS_AHEAD):
        day = today + timedelta(days=days)
        last = day + timedelta(days=1) if end <= begin else day
        opens, closes = _reached(day, begin, zone), _reached(last, end, zone)
        if opens < closes:
            yield opens, closes


def _reached(day: date, clock: time, zone: tzinfo) -> datetime:
    """Return the first moment at which the clock on the wall shows this; where it jumps over it, the jump."""
    wall = datetime.combine(day, clock, zone)
    latest, earliest = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    if earliest >= latest:  # a usual time, or one that comes twice
        return latest
    before = earliest.astimezone(zone).utcoffset()
    seconds = range(int((latest - earliest).total_seconds()))
    jumped = bisect_left(
        seconds, True, key=lambda passed: (earliest + timedelta(seconds=passed)).astimezone(zone).utcoffset() != before
    )
    return earliest + timedelta(seconds=jumped)
