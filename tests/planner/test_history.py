"""What earlier trials on this device say to a later one."""

from dataclasses import replace

from tests.planner.worlds import HOUR, NOW, candidate, orin, trial
from watcher.model.trial import Outcome, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, EarlierStarts, FailureClass
from watcher.planner.history import earlier_starts

OLD, NEW = candidate("0.32.0-r36.4"), candidate("0.33.0-r36.4")
ASSERT = FailureClass.ALLOCATOR_NVML_ASSERT
BAD = Start("plain", Stage.READY, BringUp.FAILS, ASSERT)
OOM = Start("plain", Stage.READY, BringUp.FAILS, FailureClass.GENUINE_OOM)
GOOD = Start("plain", Stage.ACCEPT, BringUp.WORKS)
NOW_TRIED = trial(NEW, None, ended=NOW, number=9)


def before(*starts: Start, hours: float = 2, **keys: object) -> Trial:
    return replace(trial(OLD, ended=NOW - hours * HOUR), starts=starts, **keys)  # type: ignore[arg-type]


def test_failures_of_the_bugs_own_class_and_clean_starts_are_counted_per_profile() -> None:
    other = replace(BAD, profile="small")
    past = [before(BAD, GOOD, OOM), before(GOOD, BAD, other, hours=3)]
    assert earlier_starts(past, NOW_TRIED, ASSERT) == (
        EarlierStarts("plain", 2, 2, frozenset({OLD.fingerprint})),
        EarlierStarts("small", 1, 0, frozenset({OLD.fingerprint})),
    )


def test_what_was_started_otherwise_or_later_or_is_known_to_be_fixed_is_not_counted() -> None:
    past = [
        before(BAD, setup="setup-2"),
        before(BAD, bug_id="another"),
        before(BAD, candidate=replace(OLD, engine="llama-cpp")),
        before(GOOD, bug=BugState.FIXED),
        before(BAD, hours=-1),
        replace(NOW_TRIED, starts=(BAD,)),
    ]
    assert earlier_starts(past, NOW_TRIED, ASSERT) == ()


def test_a_trial_without_a_verdict_counts_by_its_starts_and_another_l4t_is_the_same_device() -> None:
    ended = before(BAD, outcome=Outcome.CANCELLED, device_state=orin("36.4.3").state)
    assert earlier_starts([ended], NOW_TRIED, ASSERT) == (EarlierStarts("plain", 1, 0),)
