"""The control under every combination of rungs: it takes away clean answers of the device, and nothing else."""

from dataclasses import replace
from itertools import product

import pytest

from tests.verdict.page import LOG, PROBE, STATIC
from tests.verdict.test_judge import BUG, WORKING
from watcher.model.trial import Stage
from watcher.model.verdict import (
    BugState,
    ControlReading,
    EarlierStarts,
    FailureClass,
    LogReading,
    ProbeReading,
    StaticReading,
    Verdict,
)
from watcher.verdict.control import wants_control
from watcher.verdict.judge import judge
from watcher.verdict.rungs import Rungs, StartSeen

CONTROL = ControlReading("lab/vllm:old", True)
SHOWED, DID_NOT, NOT_RUN = CONTROL, replace(CONTROL, shows=False), replace(CONTROL, shows=None, reason="it is gone")
COMBINATIONS = list(product(STATIC, (*PROBE, (BugState.UNKNOWN, False)), LOG))


def judged(
    static: BugState | None, probe: tuple[BugState | None, bool], log: BugState | None, control: ControlReading | None
) -> Verdict:
    start = StartSeen("p", Stage.READY, LogReading(FailureClass.OTHER_CRASH, log), exit_code=1) if log else None
    state, trap = probe
    return judge(
        Rungs(
            BUG,
            static=StaticReading("image", "i", static, "read", copies=("a",)) if static else None,
            probe=ProbeReading(state, trap, "probed", control=control) if state else None,
            starts=(start,) if start else (),
        )
    )


@pytest.mark.parametrize(("static", "probe", "log"), COMBINATIONS)
def test_only_a_control_that_does_not_show_the_bug_changes_an_answer(
    static: BugState | None, probe: tuple[BugState | None, bool], log: BugState | None
) -> None:
    without = judged(static, probe, log, None)
    for control in (SHOWED, NOT_RUN):
        same = judged(static, probe, log, control)
        assert (same.bug, same.basis, same.reason) == (without.bug, without.basis, without.reason)
        if probe[0] is not None:
            assert any("the control lab/vllm:old" in row.text for row in same.evidence)
    if probe[0] is None:
        return
    blank = (BugState.UNKNOWN, False) if probe[0] is BugState.FIXED else probe
    as_if = judged(static, blank, BugState.UNKNOWN if log is BugState.FIXED else log, None)
    assert judged(static, probe, log, DID_NOT).bug is as_if.bug
    if without.bug is BugState.PRESENT:
        assert judged(static, probe, log, DID_NOT).bug is BugState.PRESENT, "a present answer needs no control"


def test_what_the_evidence_says_of_each() -> None:
    fixed = (BugState.FIXED, True)
    told = [judged(None, fixed, None, control).evidence[-1].text for control in (SHOWED, DID_NOT, NOT_RUN)]
    assert told[0] == "the control lab/vllm:old, which has the bug, showed it under the same conditions"
    assert "did not show it" in told[1]
    assert told[2] == "the control lab/vllm:old was not run: it is gone"
    verdict = judged(None, fixed, None, DID_NOT)
    assert (verdict.bug, verdict.basis) == (BugState.UNKNOWN, ())
    assert told[1] in verdict.reason


def test_clean_starts_alone_say_fixed_only_where_the_control_does_not_contradict() -> None:
    bug = BUG.model_copy(update={"fixed_by_runs": 10})
    before = (EarlierStarts("v1", failures=9, clean=1),)
    rungs = Rungs(bug, starts=(WORKING,) * 20, earlier=before)
    assert judge(rungs).bug is BugState.FIXED
    probe = ProbeReading(BugState.UNKNOWN, False, "no trap", control=DID_NOT)
    assert judge(replace(rungs, probe=probe)).bug is BugState.UNKNOWN
    assert judge(replace(rungs, probe=replace(probe, control=SHOWED))).bug is BugState.FIXED


@pytest.mark.parametrize(
    ("static", "probe", "starts_follow", "wanted"),
    [
        (None, BugState.FIXED, False, True),
        (BugState.PRESENT, BugState.FIXED, True, True),
        (None, BugState.PRESENT, True, False),
        (BugState.UNKNOWN, BugState.UNKNOWN, True, True),
        (BugState.UNKNOWN, BugState.UNKNOWN, False, False),
        (BugState.FIXED, BugState.UNKNOWN, True, False),
    ],
)
def test_it_is_asked_where_a_clean_answer_could_decide(
    static: BugState | None, probe: BugState, starts_follow: bool, wanted: bool
) -> None:
    read = StaticReading("image", "i", static, "read") if static else None
    assert wants_control(read, ProbeReading(probe, probe is not BugState.UNKNOWN, "probed"), starts_follow) is wanted
