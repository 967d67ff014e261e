"""How often a person is told that a service is still down: at once, then with widening gaps, at last once a day."""

from datetime import timedelta

_AFTER = (timedelta(0), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
_EACH = timedelta(days=1)


def reminder_number(down_for: timedelta) -> int:
    """Return which reminder is the newest that is due, counted from 0; `down_for` runs from the first one."""
    daily = max(0, int(down_for / _EACH))
    return sum(after <= down_for for after in _AFTER[1:]) + daily
