"""Repeated starts: k of n in words, and clean ones against what earlier trials showed."""

from dataclasses import replace

import pytest

from tests.verdict.test_judge import BUG, FAILED_CLEAN, FAILED_WITH_ASSERT, PROBE, STATIC, WORKING
from watcher.model.verdict import BringUp, BugState, EarlierStarts, Rung
from watcher.verdict.judge import judge
from watcher.verdict.rungs import Rungs, StartSeen

EARLIER = EarlierStarts("v1", failures=3, clean=7, shown_by=frozenset({"old"}))
BY_RUNS = BUG.model_copy(update={"fixed_by_runs": 20})


def clean(n: int, profile: str = "v1") -> tuple[StartSeen, ...]:
    return (replace(WORKING, profile=profile),) * n


def test_several_starts_are_told_as_k_of_n_with_how_the_others_failed() -> None:
    seen = judge(Rungs(BUG, starts=(*clean(7), *(FAILED_WITH_ASSERT,) * 2, FAILED_CLEAN)))
    assert (seen.bug, seen.bring_up) == (BugState.PRESENT, BringUp.WORKS)
    assert seen.reason.endswith(
        "the engine works with profile v1 in 7 of 10 starts (95 %: 40 to 89 %); the others fail"
        " (allocator-nvml-assert, genuine-oom)."
    )
    assert "fails with profile v1 in 2 of 2 starts" in judge(Rungs(BUG, starts=(FAILED_CLEAN,) * 2)).reason
    assert " of 1 " not in judge(Rungs(BUG, starts=clean(1))).reason


def test_only_starts_with_the_deciding_profile_that_said_something_are_counted() -> None:
    cut = replace(WORKING, completion_ok=None, tool_ok=None)
    told = judge(Rungs(BUG, starts=(replace(FAILED_CLEAN, profile="v0"), *clean(2), cut))).reason
    assert "with profile v1 in 2 of 2 starts" in told


def test_a_fault_that_earlier_starts_showed_is_not_seen_and_never_said_to_be_gone() -> None:
    seen = judge(Rungs(BUG, starts=clean(10), earlier=(EARLIER,)))
    assert (seen.bug, seen.bring_up, seen.failure_class) == (BugState.UNKNOWN, BringUp.WORKS, None)
    assert "not seen in 10 starts, seen in 3 of 10 before; the chance that it hid is 6 %" in seen.reason


@pytest.mark.parametrize(
    "rungs",
    [
        Rungs(BUG, starts=clean(10)),
        Rungs(BUG, starts=clean(10), earlier=(replace(EARLIER, failures=0),)),
        Rungs(BUG, starts=clean(10, "v2"), earlier=(EARLIER,)),
        Rungs(BUG, starts=(FAILED_CLEAN,), earlier=(EARLIER,)),
        Rungs(BUG, static=STATIC, starts=clean(10), earlier=(EARLIER,)),
        Rungs(BUG, probe=PROBE, starts=clean(10), earlier=(EARLIER,)),
        Rungs(BUG, starts=(*clean(10), FAILED_WITH_ASSERT), earlier=(EARLIER,)),
    ],
    ids=["nothing before", "no failure before", "other profile", "none clean", "bytes", "probe", "seen now"],
)
def test_where_another_rung_speaks_or_nothing_can_be_compared_there_is_no_chance_to_tell(rungs: Rungs) -> None:
    assert "not seen in" not in judge(rungs).reason


def test_a_bug_whose_folder_says_so_is_fixed_by_enough_clean_starts() -> None:
    seen = judge(Rungs(BY_RUNS, starts=clean(20), earlier=(EARLIER,), content="new"))
    assert (seen.bug, Rung.BRING_UP in seen.basis) == (BugState.FIXED, True)
    assert "taken for fixed by clean starts alone: not seen in 20 starts" in seen.reason


@pytest.mark.parametrize(
    ("rungs", "state"),
    [
        (Rungs(BUG, starts=clean(500), earlier=(EARLIER,)), "unknown"),
        (Rungs(BY_RUNS, starts=clean(19), earlier=(EARLIER,)), "unknown"),
        (Rungs(BY_RUNS, starts=clean(500)), "unknown"),
        (Rungs(BY_RUNS, starts=clean(20), earlier=(replace(EARLIER, failures=1, clean=200),)), "unknown"),
        (Rungs(BY_RUNS, starts=(*clean(20), FAILED_CLEAN), earlier=(EARLIER,)), "unknown"),
        (Rungs(BY_RUNS, starts=clean(20), earlier=(EARLIER,), content="old"), "unknown"),
        (Rungs(BY_RUNS.model_copy(update={"probe": "#"}), starts=clean(20), earlier=(EARLIER,)), "unknown"),
        (Rungs(BY_RUNS, static=STATIC, starts=clean(20), earlier=(EARLIER,)), "present"),
        (Rungs(BY_RUNS, starts=(*clean(20), FAILED_WITH_ASSERT), earlier=(EARLIER,)), "present"),
    ],
    ids=["not asked for", "too few", "nothing before", "too rare before", "one was not clean", "this very content",
         "it has a probe", "the bytes", "seen now"],
)  # fmt: skip
def test_else_clean_starts_never_say_fixed(rungs: Rungs, state: str) -> None:
    assert judge(rungs).bug.value == state
