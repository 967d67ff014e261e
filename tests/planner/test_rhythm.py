"""When a source is asked again: its own rhythm, a growing rest after failures, and what the upstream asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from watcher.model.facts import LookError, SourceState
from watcher.planner.rhythm import is_due, next_look, start_offset

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def state(failures: int, retry_after: int | None = None) -> SourceState:
    error = LookError("SourceUnavailable", "the upstream is in trouble", retry_after) if failures else None
    return SourceState("it", "feed", last_look=NOON, failures=failures, error=error)


@pytest.mark.parametrize(
    ("failures", "retry_after", "every", "expected"),
    [
        (0, None, HOUR, HOUR),
        (1, None, HOUR, HOUR),
        (2, None, HOUR, 2 * HOUR),
        (3, None, HOUR, 4 * HOUR),
        (5, None, HOUR, 16 * HOUR),
        (6, None, HOUR, DAY),
        (10**6, None, HOUR, DAY),
        (10**6, None, timedelta(seconds=1), DAY),
        (9, None, DAY, DAY),
        (9, None, 7 * DAY, 7 * DAY),
        (4, 60, HOUR, HOUR),
        (4, 6 * 3600, HOUR, 6 * HOUR),
        (1, 90, MINUTE, timedelta(seconds=90)),
        (1, 10**9, HOUR, DAY),
        (1, 252 * 10**9, HOUR, DAY),
        (1, 10**18, HOUR, DAY),
        (1, 10**9, 7 * DAY, 7 * DAY),
    ],
)
def test_how_long_a_source_rests(failures: int, retry_after: int | None, every: timedelta, expected: timedelta) -> None:
    assert next_look(state(failures, retry_after), every) == NOON + expected


def test_an_old_error_of_a_source_that_does_well_holds_nothing_back() -> None:
    well = SourceState("it", "feed", last_look=NOON, error=LookError("SourceUnavailable", "429", 6 * 3600))
    assert next_look(well, HOUR) == NOON + HOUR


@pytest.mark.parametrize(
    ("failures", "retry_after", "waited", "due"),
    [
        (0, None, 44 * MINUTE, False),
        (0, None, 45 * MINUTE, True),
        (2, None, 104 * MINUTE, False),
        (2, None, 105 * MINUTE, True),
        (1, 3600, 59 * MINUTE, False),
        (1, 3600, 60 * MINUTE, True),
        (1, 10**18, 23 * HOUR, False),
        (1, 10**18, DAY, True),
        (0, None, -MINUTE, True),
    ],
    ids=[
        "early",
        "a quarter forgiven",
        "backing off",
        "backed off",
        "held",
        "held to its end",
        "held for ever",
        "for a day at most",
        "a clock set back",
    ],
)
def test_its_time_has_come(failures: int, retry_after: int | None, waited: timedelta, due: bool) -> None:
    assert is_due(state(failures, retry_after), HOUR, NOON + waited) is due


def test_what_was_never_looked_at_is_due_at_once() -> None:
    for unseen in (None, SourceState("it", "feed")):
        assert is_due(unseen, HOUR, NOON)
        assert next_look(unseen, HOUR) is None


def test_sources_of_one_check_start_spread_over_its_seconds_and_each_at_its_own() -> None:
    over = timedelta(seconds=4)
    offsets = [start_offset(f"torch-{number}", over) for number in range(200)]
    assert offsets == [start_offset(f"torch-{number}", over) for number in range(200)]
    assert all(timedelta(0) <= offset < over for offset in offsets)
    for quarter in range(4):
        assert 25 <= sum(quarter <= offset.total_seconds() < quarter + 1 for offset in offsets) <= 75
    assert start_offset("torch", timedelta(0)) == timedelta(0)
