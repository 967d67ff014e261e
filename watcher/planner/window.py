"""The hours in which automatic trials may run, in the operator's own time zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo

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


def window_end(hours: Hours, zone: tzinfo, now: datetime) -> datetime | None:
    """Return when the window that is open now closes; None outside of it, or where there is none."""
    if hours is None:
        return None
    return next((end for begin, end in _around(hours, zone, now) if begin <= now < end), None)


def _around(hours: tuple[time, time], zone: tzinfo, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows of the days around `moment`, in UTC: a day with a clock change has a longer or shorter one."""
    begin, end = hours
    today = moment.astimezone(zone).date()
    for days in range(-1, _DAYS_AHEAD):
        day = today + timedelta(days=days)
        last = day + timedelta(days=1) if end <= begin else day
        opens = datetime.combine(day, begin, zone).astimezone(UTC)
        closes = datetime.combine(last, end, zone).astimezone(UTC)
        if opens < closes:
            yield opens, closes
