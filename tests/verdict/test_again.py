"""A trial judged once more from what is kept of it: by the same signatures it is the same."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.worlds import candidate, trial
from tests.verdict.test_judge import ASSERT_LINE, BUG, CLEAN_ERROR, PROBE, READY, STATIC, WARNING, WORKING, failing
from watcher.model.trial import Outcome, Stage, Trial
from watcher.model.verdict import BugState, FailureClass, LogReading, ProbeReading, StaticReading
from watcher.trial.machine import Progress
from watcher.trial.seen import Seen, with_verdict
from watcher.verdict.again import Kept, judged_again, says
from watcher.verdict.judge import StartSeen
from watcher.verdict.scan import scan
from watcher.verdict.signatures import SIGNATURES, version_of

SERVED = replace(WORKING, exit_code=0)
STARTS = (
    SERVED,
    replace(SERVED, tool_ok=False),
    replace(SERVED, completion_ok=False),
    replace(SERVED, died_after_ready=True, ended_by_us=False),
    replace(SERVED, oom_killed=True, exit_code=137, ended_by_us=False),
    replace(SERVED, completion_ok=None, tool_ok=None),
    *(failing(log) for log in (CLEAN_ERROR, ASSERT_LINE, WARNING + CLEAN_ERROR, b"x\n")),
    failing(b"ModuleNotFoundError: No module named 'x'\n"),
    failing(b"x\n", oom_killed=True, exit_code=137),
    failing(READY, exit_code=None, deadline_passed=True, ended_by_us=True),
    failing(exit_code=None, cannot_execute="no such file"),
    failing(b"x\n", exit_code=143, ended_by_us=True),
)


def judged(
    starts: tuple[StartSeen, ...], static: StaticReading | None = None, probe: ProbeReading | None = None
) -> Trial:
    seen = Seen(BUG, static=static, probe=probe, starts=list(starts))
    seen.logs = [None if one.reading is None else f"logs/{number}" for number, one in enumerate(starts)]
    begun = trial(candidate("0.33.0-r36.4"), None)
    return replace(with_verdict(begun, Progress(Stage.DONE), seen), id=3)


@given(
    st.lists(st.sampled_from(STARTS), min_size=1, max_size=4),
    st.sampled_from((None, STATIC, replace(STATIC, state=BugState.FIXED))),
    st.sampled_from((None, PROBE, replace(PROBE, state=BugState.PRESENT), replace(PROBE, trap_set=False))),
)
def test_by_the_same_signatures_it_is_the_same(
    starts: list[StartSeen], static: StaticReading | None, probe: ProbeReading | None
) -> None:
    before = judged(tuple(starts), static, probe)
    if before.outcome is Outcome.VERDICT:
        logs = tuple(one.reading for one in starts)
        assert judged_again(before, BUG, Kept(static, logs)) == before


@given(st.lists(st.sampled_from(STARTS), min_size=2, max_size=4), st.integers(0, 3))
def test_logs_that_are_gone_change_nothing(starts: list[StartSeen], gone: int) -> None:
    before = judged(tuple(starts))
    logs = tuple(None if number == gone else one.reading for number, one in enumerate(starts))
    assert says(judged_again(before, BUG, Kept(None, logs))) == says(before)
    assert judged_again(before, BUG, Kept(None, (None,) * len(starts))) == before


@pytest.mark.parametrize(
    ("was", "log", "bug", "failure"),
    [
        (b"x\n", ASSERT_LINE, "present", "allocator-nvml-assert"),
        (ASSERT_LINE, b"x\n", "unknown", "other-crash"),
        (ASSERT_LINE, WARNING + CLEAN_ERROR, "fixed", "genuine-oom"),
        (CLEAN_ERROR, b"ModuleNotFoundError: No module named 'x'\n", "unknown", "python-deps"),
    ],
)
def test_what_a_log_says_now_decides(was: bytes, log: bytes, bug: str, failure: str) -> None:
    now = judged_again(judged((failing(was),)), BUG, Kept(None, (scan([log]),)))
    assert (now.bug.value, now.failure_class.value if now.failure_class else None) == (bug, failure)
    assert "Before newer signatures read its logs, it said: " in now.reason


def test_the_bytes_and_the_probe_still_speak_where_the_log_falls_silent() -> None:
    silent = Kept(STATIC, (LogReading(FailureClass.OTHER_CRASH, BugState.UNKNOWN),))
    assert judged_again(judged((failing(ASSERT_LINE),), STATIC), BUG, silent).bug is BugState.PRESENT
    assert judged_again(judged((failing(ASSERT_LINE),), STATIC, PROBE), BUG, silent).bug is BugState.UNKNOWN


def test_a_version_changes_with_anything_in_any_row() -> None:
    row, others = SIGNATURES[0], SIGNATURES[1:]
    changes = (
        {"weight": row.weight + 1},
        {"title": "another"},
        {"hints": (*row.hints, "x")},
        {"after_ready": not row.after_ready},
        {"unless": row.pattern},
    )
    versions = [version_of((replace(row, **one), *others)) for one in changes]
    assert len({version_of(SIGNATURES), version_of(others), *versions}) == len(changes) + 2


def test_a_change_far_inside_a_long_pattern_changes_the_version_too() -> None:
    row = SIGNATURES[0]
    one, two = (replace(row, pattern=re.compile("a" * 300 + end)) for end in "bc")
    flagged = replace(row, pattern=re.compile("a" * 300 + "b", re.IGNORECASE))
    assert len({version_of([each]) for each in (one, two, flagged)}) == 3
