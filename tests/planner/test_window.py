"""Window arithmetic: over midnight, and on the days on which clocks change."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.config.values import parse_window
from watcher.planner.window import fits, next_start, window_end, window_start

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


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC")
MINUTE = timedelta(minutes=1)
CHANGES = (
    "2026-03-28 12:00",  # Europe
    "2026-10-24 12:00",
    "2026-03-07 18:00",  # America
    "2026-10-31 18:00",
    "2026-04-04 00:00",  # Lord Howe, by half an hour
    "2026-10-03 00:00",
    "2011-12-29 18:00",  # Apia leaves out a day
    "2011-09-24 00:00",
    "2026-06-15 12:00",
)


@dataclass(frozen=True)
class ByMinutes:
    """Windows as one would read them from the clock on the wall, a minute at a time."""

    hours: tuple[time, time]
    walls: list[tuple[datetime, datetime]]

    @staticmethod
    def around(hours: tuple[time, time], zone: ZoneInfo, moment: datetime) -> "ByMinutes":
        first = moment - timedelta(days=2)
        moments = [first + number * MINUTE for number in range(6 * 24 * 60)]
        return ByMinutes(hours, [(one, one.astimezone(zone).replace(tzinfo=None)) for one in moments])

    def windows(self) -> list[tuple[datetime, datetime]]:
        begin, end = self.hours
        days = sorted({wall.date() + timedelta(days=more) for _, wall in self.walls for more in (-1, 0)})
        found = []
        for day in days:
            last = day + timedelta(days=1) if end <= begin else day
            opens, closes = self.reached(datetime.combine(day, begin)), self.reached(datetime.combine(last, end))
            if opens and closes and opens < closes:
                found.append((opens, closes))
        return found

    def reached(self, wanted: datetime) -> datetime | None:
        if wanted < self.walls[0][1]:
            return None
        return next((moment for moment, wall in self.walls if wall >= wanted), None)


TIMES = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    hours=st.tuples(TIMES, TIMES),
    near=st.sampled_from(CHANGES).map(at),
    minutes=st.integers(0, 36 * 60),
    total=st.integers(1, 26 * 60).map(lambda minutes: minutes * MINUTE),
)
def test_the_next_start_is_what_the_clock_on_the_wall_says(
    zone: ZoneInfo, hours: tuple[time, time], near: datetime, minutes: int, total: timedelta
) -> None:
    after = near + minutes * MINUTE
    windows = ByMinutes.around(hours, zone, after).windows()
    assert fits(hours, zone, after, total) == any(opens <= after and after + total <= end for opens, end in windows)
    starts = next_start(hours, zone, after, total)
    soon = [max(opens, after) for opens, end in windows if max(opens, after) + total <= end]
    if soon:
        assert starts == soon[0]
    if starts is not None:
        assert fits(hours, zone, starts, total)
        opened, closes = window_start(hours, zone, starts), window_end(hours, zone, starts)
        assert opened is not None
        assert closes is not None
        assert opened <= starts
        assert starts + total <= closes


def test_an_end_that_the_clock_jumps_over_is_the_jump() -> None:
    hours = parse_window("01:00-02:30")
    assert fits(hours, BERLIN, at("2026-03-29 00:30"), HALF)
    assert not fits(hours, BERLIN, at("2026-03-29 00:31"), HALF), "at 02:00 it is 03:00"
