"""Window arithmetic: over midnight, and on the days on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from watcher.config.values import parse_window
from watcher.planner.window import fits, next_start, window_end

BERLIN = ZoneInfo("Europe/Berlin")
HALF = timedelta(minutes=30)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "start", "total", "answer"),
    [
        ("02:00-06:00", "2026-11-23 01:00", HALF, True),  # 02:00 in Berlin
        ("02:00-06:00", "2026-11-23 00:59", HALF, False),
        ("02:00-06:00", "2026-11-23 04:30", HALF, True),  # ends with the window
        ("02:00-06:00", "2026-11-23 04:31", HALF, False),
        ("22:00-02:00", "2026-11-23 21:00", HALF, True),
        ("22:00-02:00", "2026-11-23 23:30", HALF, True),  # half past midnight, of the evening before
        ("22:00-02:00", "2026-11-24 00:31", HALF, False),
        ("22:00-02:00", "2026-11-23 12:00", HALF, False),
        ("02:00-06:00", "2026-03-29 00:30", HALF, False),  # 01:30; then clocks go to 03:00
        ("02:00-06:00", "2026-03-29 01:00", 3 * timedelta(hours=1), True),
        ("02:00-06:00", "2026-03-29 01:00", 4 * timedelta(hours=1), False),  # the window is an hour shorter
        ("02:00-03:00", "2026-03-29 01:00", HALF, False),  # that hour does not exist
        ("02:00-06:00", "2026-10-25 00:00", 5 * timedelta(hours=1), True),  # an hour longer
        ("any", "2026-11-23 12:00", timedelta(days=3), True),
    ],
)
def test_a_trial_starts_only_where_it_also_ends_inside(hours: str, start: str, total: timedelta, answer: bool) -> None:
    assert fits(parse_window(hours), BERLIN, at(start), total) is answer


@pytest.mark.parametrize(
    ("hours", "after", "opens"),
    [
        ("02:00-06:00", "2026-11-23 12:00", "2026-11-24 01:00"),
        ("02:00-06:00", "2026-11-23 02:00", "2026-11-23 02:00"),
        ("02:00-06:00", "2026-11-23 04:45", "2026-11-24 01:00"),
        ("22:00-02:00", "2026-11-23 12:00", "2026-11-23 21:00"),
        ("02:00-03:00", "2026-03-28 12:00", "2026-03-30 00:00"),
        ("any", "2026-11-23 12:00", "2026-11-23 12:00"),
    ],
)
def test_the_next_start_is_the_first_moment_that_fits(hours: str, after: str, opens: str) -> None:
    start = next_start(parse_window(hours), BERLIN, at(after), HALF)
    assert start == at(opens)
    assert fits(parse_window(hours), BERLIN, start, HALF)


def test_a_window_that_is_too_short_never_opens() -> None:
    assert next_start(parse_window("02:00-02:20"), BERLIN, at("2026-11-23 12:00"), HALF) is None


def test_the_end_of_the_open_window_is_known() -> None:
    hours = parse_window("22:00-02:00")
    assert window_end(hours, BERLIN, at("2026-11-23 23:30")) == at("2026-11-24 01:00")
    assert window_end(hours, BERLIN, at("2026-11-23 12:00")) is None
    assert window_end(None, BERLIN, at("2026-11-23 12:00")) is None
