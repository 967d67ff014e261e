"""Reminders of what is owed come with widening gaps, then once a day."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from watcher.planner.reminders import reminder_number

MINUTE = timedelta(minutes=1)


def test_the_gaps_widen_up_to_a_day() -> None:
    due = [
        minutes
        for minutes in range(4 * 24 * 60)
        if reminder_number(minutes * MINUTE) > reminder_number((minutes - 1) * MINUTE)
    ]
    assert due == [15, 60, 240, 720, 1440, 2880, 4320]


def test_a_clock_that_was_set_back_reminds_of_nothing_new() -> None:
    assert reminder_number(timedelta(days=-3)) == 0


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4000)), st.timedeltas(min_value=timedelta(0)))
def test_a_later_look_never_reminds_of_an_earlier_one(down_for: timedelta, more: timedelta) -> None:
    more = min(more, timedelta(days=4000))
    assert reminder_number(down_for) <= reminder_number(down_for + more)
