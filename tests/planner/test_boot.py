"""What happened on a boot makes later evidence weak, or keeps automatic trials off."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.planner.worlds import HOUR, NOW, candidate, orin, trial
from watcher.model.trial import Outcome, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, FailureClass, Rung
from watcher.planner.boot import doubt, doubt_about, gpu_failures, is_quarantined
from watcher.planner.by_hand import reason_not_again

NEWS = candidate("0.33.0-r36.4")
ASSERT = FailureClass.ALLOCATOR_NVML_ASSERT


def failed(
    failure_class: FailureClass = ASSERT, hours_ago: float = 1, boot: str | None = "boot-1", **keys: object
) -> Trial:
    """Return a trial whose engine failed so, and which says so by the bring-up alone."""
    values: dict[str, object] = {
        "starts": (Start("plain", Stage.READY, BringUp.FAILS, failure_class),),
        "failure_class": failure_class,
        "basis": (Rung.BRING_UP,),
    }
    ended = NOW - timedelta(hours=hours_ago)
    return trial(NEWS, ended=ended, device=orin(boot=boot), **(values | keys))  # type: ignore[arg-type]


def test_two_bench_trials_in_a_row_on_one_boot_are_the_quarantine() -> None:
    bench = [trial(NEWS, Outcome.BENCH, ended=NOW - hours * HOUR) for hours in (2, 1)]
    assert is_quarantined(bench, "boot-1")
    assert not is_quarantined(bench, "boot-2")
    assert not is_quarantined(bench[:1], "boot-1")
    assert not is_quarantined([*bench, trial(NEWS, ended=NOW)], "boot-1")
    assert is_quarantined([*bench, trial(NEWS, Outcome.REFUSED, ended=NOW)], "boot-1")
    assert not is_quarantined(bench, "boot-1", cleared_at=NOW)


def test_only_starts_that_may_leave_memory_mapped_count_and_only_those_of_this_boot() -> None:
    starts = tuple(Start("p", Stage.READY, BringUp.FAILS, one) for one in (ASSERT, FailureClass.GENUINE_OOM, None))
    past = [
        failed(starts=starts),
        failed(FailureClass.PYTHON_DEPS),
        failed(boot="boot-0"),
        trial(NEWS, Outcome.BENCH, starts=starts[:1], device=orin(boot="boot-1")),
    ]
    assert gpu_failures(past, "boot-1") == 3
    assert gpu_failures([failed(boot=None)], None) == 0, "without a boot's name nothing is known of it"


@pytest.mark.parametrize(
    ("weak", "keys"),
    [
        (True, {}),
        (True, {"bug": BugState.UNKNOWN, "failure_class": FailureClass.GENUINE_OOM}),
        (True, {"bug": BugState.FIXED, "failure_class": FailureClass.GENUINE_OOM, "basis": (Rung.STATIC,)}),
        (False, {"basis": (Rung.STATIC, Rung.BRING_UP)}),
        (False, {"basis": (Rung.PROBE, Rung.BRING_UP)}),
        (False, {"failure_class": FailureClass.ARCH_MISMATCH}),
        (False, {"bring_up": BringUp.WORKS, "failure_class": None}),
        (False, {"outcome": Outcome.BENCH}),
    ],
)
def test_a_failure_that_left_over_memory_could_explain_is_weak_evidence(weak: bool, keys: dict[str, object]) -> None:
    verdict = replace(failed(), **keys)  # type: ignore[arg-type]
    assert (doubt(verdict, failures_before=2) is not None) is weak
    assert doubt(verdict, failures_before=0) is None


def test_the_failures_before_a_trial_count_never_its_own_or_later_ones() -> None:
    first, second = failed(hours_ago=3), failed(hours_ago=1)
    past: Sequence[Trial] = (second, first)
    assert doubt_about(first, past) is None
    assert "failed once before on this boot" in (doubt_about(second, past) or "")


def test_weak_evidence_may_be_confirmed_by_hand_after_a_reboot_and_only_once() -> None:
    first, weak = failed(hours_ago=3), failed(hours_ago=2)
    here, rebooted = orin(boot="boot-1"), orin(boot="boot-2")
    other = replace(first, candidate=candidate("0.32.0-r36.4"))

    def asked(past: Sequence[Trial], device: object) -> str | None:
        return reason_not_again(NEWS, past, device, "setup-1")  # type: ignore[arg-type]

    assert asked((weak, other), here) is not None, "before the reboot it would be weak again"
    assert asked((weak, other), rebooted) is None
    assert asked((first,), rebooted) is not None, "the first one was no weak evidence"
    assert asked((first, weak), rebooted) is None, "the last verdict is the one that stands"
    confirmed = failed(hours_ago=1, boot="boot-2")
    assert asked((confirmed, weak, other), rebooted) is not None
