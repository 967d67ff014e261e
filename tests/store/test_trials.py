"""Candidates are found again by content; trials keep their whole state and their way through the stages."""

from dataclasses import replace

import pytest

from tests.store.examples import HOUR, NOON, begun, candidate
from watcher.model.device import DeviceState
from watcher.model.trial import Acceptance, Outcome, Score, ServiceReport, ServiceState, Stage, Start
from watcher.model.verdict import (
    BringUp,
    BugState,
    ByteEvidence,
    Evidence,
    FailureClass,
    Rung,
    StaticReading,
    StaticRecord,
)
from watcher.store import statics, trials
from watcher.store.database import Store


def test_planning_twice_keeps_ids_and_adds_nothing(store: Store) -> None:
    found = (candidate("f1"), candidate("f2"))
    with store.transaction() as tx:
        first = trials.upsert_candidates(tx, found)
        again = trials.upsert_candidates(tx, tuple(reversed(found)))
        assert again == tuple(reversed(first))
        assert tuple(trials.candidates(tx)) == first
    assert [one.id for one in first] == [1, 2]


def test_first_sight_and_skip_outlive_a_new_plan(store: Store) -> None:
    with store.transaction() as tx:
        (first,) = trials.upsert_candidates(tx, (candidate(),))
        assert trials.set_skipped(tx, first.id)
        changed = replace(first, image="example/vllm:renamed", compatible=True, reasons=("newer",), due=True)
        (kept,) = trials.upsert_candidates(tx, (replace(changed, first_seen=NOON + HOUR, skipped=False),))
        assert kept == replace(changed, skipped=True)
        assert not trials.set_skipped(tx, 99)


def test_a_candidate_tried_by_hand_gets_its_first_sight_when_a_source_shows_it(store: Store) -> None:
    with store.transaction() as tx:
        trials.upsert_candidates(tx, (candidate(first_seen=None),))
        (kept,) = trials.upsert_candidates(tx, (candidate(first_seen=NOON),))
        assert kept.first_seen == NOON


def test_a_trial_comes_back_as_it_was_recorded(store: Store) -> None:
    with store.transaction() as tx:
        trial = trials.new_trial(tx, begun())
        done = replace(
            trial,
            finished_at=NOON + HOUR,
            stage=Stage.DONE,
            outcome=Outcome.VERDICT,
            failed_stage=Stage.READY,
            bug=BugState.PRESENT,
            bring_up=BringUp.FAILS,
            failure_class=FailureClass.ALLOCATOR_NVML_ASSERT,
            reason="the assert",
            starts=(Start("default", Stage.READY, BringUp.FAILS, FailureClass.GENUINE_OOM, 1, "logs/1.zst"),),
            deciding_start=0,
            evidence=(Evidence(Rung.BRING_UP, "INTERNAL ASSERT", "nvml-assert", 12),),
            basis=(Rung.STATIC, Rung.BRING_UP),
            acceptance=Acceptance(True, True, False, Score(30, 32), Score(66, 68), 1.4, 3600, "minimum", 72),
            displaced=("container:zoe-ollama",),
            away_seconds=212.5,
            owed=(ServiceReport("container:zoe-ollama", ServiceState.DOWN, "gone"),),
            by_hand=True,
            setup="abc",
        )
        trials.record_trial(tx, done, NOON + HOUR)
    with store.transaction() as tx:
        assert trials.trial(tx, trial.id) == done
        assert trials.trial(tx, 99) is None


@pytest.mark.parametrize("accuracy", ["0.97", "null"])
def test_figures_of_before_are_read(store: Store, accuracy: str) -> None:
    """An accuracy without its n was once a bare number: it says nothing, and must not hide the trial."""
    old = f'{{"completion": true, "phrases": {{"passed": 30, "total": 32}}, "tool_accuracy": {accuracy}}}'
    with store.transaction() as tx:
        trial = trials.new_trial(tx, begun())
        tx.change("UPDATE trials SET acceptance = ? WHERE id = ?", (old, trial.id))
    with store.transaction() as tx:
        found = trials.trial(tx, trial.id)
        assert found is not None
        assert found.acceptance == Acceptance(completion=True, phrases=Score(30, 32))


def test_the_journal_has_a_row_for_each_change_of_stage_and_only_for_those(store: Store) -> None:
    with store.transaction() as tx:
        trial = trials.new_trial(tx, begun())
        pulling = replace(trial, stage=Stage.PULL)
        trials.record_trial(tx, pulling, NOON + HOUR)
        trials.record_trial(tx, replace(pulling, by_hand=True), NOON + 2 * HOUR)
        trials.record_trial(tx, replace(pulling, stage=Stage.TEARDOWN, reason="no disk"), NOON + 3 * HOUR)
        assert trials.journal_of(tx, trial.id) == (
            trials.StageChange(None, Stage.PREFLIGHT, "", NOON),
            trials.StageChange(Stage.PREFLIGHT, Stage.PULL, "", NOON + HOUR),
            trials.StageChange(Stage.PULL, Stage.TEARDOWN, "no disk", NOON + 3 * HOUR),
        )


def test_trials_come_newest_first_and_unfinished_ones_are_found(store: Store) -> None:
    with store.transaction() as tx:
        made = [trials.new_trial(tx, begun()) for _ in range(3)]
        trials.record_trial(tx, replace(made[1], stage=Stage.DONE), NOON)
        assert [trial.id for trial in trials.trials(tx)] == [3, 2, 1]
        assert [trial.id for trial in trials.trials(tx, limit=2)] == [3, 2]
        assert [trial.id for trial in trials.unfinished_trials(tx)] == [1, 3]


def test_what_counts_for_a_trial_is_found_by_boot_and_by_setup(store: Store) -> None:
    another = DeviceState("36.4.4", "540.4.0", "another boot")
    starts = (Start("recommended", Stage.READY, BringUp.FAILS, FailureClass.GENUINE_OOM),)
    started = replace(begun(), starts=starts)
    with store.transaction() as tx:
        for row in (
            started,
            replace(started, device_state=another),
            replace(started, setup="other"),
            replace(started, bug_id="other"),
            replace(started, started_at=NOON + HOUR),
            replace(started, started_at=NOON + 2 * HOUR),
            begun(),
        ):
            trials.new_trial(tx, row)
        before = trials.started_before(tx, replace(begun(), started_at=NOON + HOUR))
        assert [(trial.id, trial.starts) for trial in before] == [(2, starts), (1, starts)]
        assert [trial.id for trial in trials.on_boot(tx, "another boot")] == [2]
        assert trials.on_boot(tx, None) == ()


def test_a_trial_shows_its_candidate_as_it_was_tried(store: Store) -> None:
    with store.transaction() as tx:
        trial = trials.new_trial(tx, begun())
        trials.upsert_candidates(tx, (replace(candidate(), image="example/vllm:moved"),))
        kept = trials.trial(tx, trial.id)
        assert kept is not None
        assert kept.candidate.image == "example/vllm:f1"
        assert kept.candidate.id == 1


def test_trials_are_found_by_the_content_that_ran(store: Store) -> None:
    """What was named by its tag is known by its content only once it is pulled."""
    named = candidate("name:example/vllm:f1")
    with store.transaction() as tx:
        trial = trials.new_trial(tx, begun(named))
        pulled = replace(trial.candidate, fingerprint="f1")
        trials.record_trial(tx, replace(trial, candidate=pulled, stage=Stage.DONE), NOON)
        trials.new_trial(tx, begun(candidate("f2")))
        assert [one.id for one in trials.of_content(tx, "f1")] == [trial.id]
        assert trials.of_content(tx, "name:example/vllm:f1") == ()


def test_recording_a_trial_that_was_never_begun_is_an_error(store: Store) -> None:
    with store.transaction() as tx, pytest.raises(LookupError, match="there is no trial 7"):
        trials.record_trial(tx, replace(begun(), id=7), NOON)


def test_unfinished_trials_are_found_through_their_index(store: Store) -> None:
    with store.transaction() as tx:
        plan = tx.rows("EXPLAIN QUERY PLAN SELECT * FROM trials WHERE stage != 'done' ORDER BY id")
    assert "ix_trials_unfinished" in str(plan)


def test_single_values_are_kept_replaced_and_forgotten(store: Store) -> None:
    with store.transaction() as tx:
        assert trials.get_meta(tx, "paused-until") is None
        trials.set_meta(tx, "paused-until", "2026")
        trials.set_meta(tx, "paused-until", "2027")
        assert trials.get_meta(tx, "paused-until") == "2027"
        trials.set_meta(tx, "paused-until", None)
        assert trials.get_meta(tx, "paused-until") is None


def reading(source: str, state: BugState, hour: int) -> StaticRecord:
    found = StaticReading("t", "wheel", state, "seen", "2.14.0", (ByteEvidence("torch/lib/x.so", "text"),), 9, ("x",))
    return StaticRecord(source, "torch", "torch.whl", "2.14.0", "sha256:aa", found, NOON + hour * HOUR)


def test_the_ledger_keeps_one_reading_per_content_and_source(store: Store) -> None:
    with store.transaction() as tx:
        statics.save_static(tx, reading("cu126", BugState.UNKNOWN, 0))
        statics.save_static(tx, reading("cu128", BugState.FIXED, 1))
        statics.save_static(tx, reading("cu126", BugState.FIXED, 2))
        expected = (reading("cu128", BugState.FIXED, 1), reading("cu126", BugState.FIXED, 2))
        assert statics.static_records(tx) == expected
        assert statics.static_of(tx, "sha256:aa") == expected[1]
        assert statics.static_of(tx, "sha256:bb") is None
