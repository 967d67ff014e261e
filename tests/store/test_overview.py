"""What is counted over all trials and notices, for the metrics and the page."""

from dataclasses import replace
from datetime import timedelta

from tests.store.examples import HOUR, NOON, begun, notice
from watcher.model.notice import NoticeKind
from watcher.model.trial import Outcome, Stage
from watcher.store import outbox, overview, trials
from watcher.store.database import Store

ALL = tuple(NoticeKind)


def test_trials_are_counted_by_how_they_ended(store: Store) -> None:
    with store.transaction() as tx:
        assert overview.trial_totals(tx) == overview.TrialTotals({}, 0.0)
        for outcome, away in ((Outcome.VERDICT, 212.5), (Outcome.VERDICT, None), (Outcome.BENCH, 30.0), (None, 1.0)):
            trials.new_trial(tx, replace(begun(), outcome=outcome, away_seconds=away))
        assert overview.trial_totals(tx) == overview.TrialTotals({Outcome.VERDICT: 2, Outcome.BENCH: 1}, 243.5)


def test_each_channel_has_what_it_has_not_taken(store: Store) -> None:
    with store.transaction() as tx:
        for key in ("a", "b", "c"):
            outbox.enqueue(tx, notice(key))
        outbox.enqueue(tx, notice("old", at=NOON - timedelta(days=30)))
        outbox.enqueue(tx, notice("t", NoticeKind.TROUBLE))
        waiting = outbox.pending(tx, "mail", ALL, NOON)
        outbox.delivered(tx, "mail", [waiting[0].id], NOON)
        outbox.postpone(tx, "mail", [waiting[1].id], NOON + HOUR)
        outbox.pending(tx, "slack", ALL, NOON)
        assert overview.undelivered(tx, ("mail", "slack", "new"), ALL) == {"mail": 3, "slack": 4, "new": 0}
        assert overview.undelivered(tx, ("slack",), (NoticeKind.TROUBLE,)) == {"slack": 1}
        assert overview.undelivered(tx, (), ALL) == {}


def test_the_journals_of_several_trials_are_kept_apart(store: Store) -> None:
    with store.transaction() as tx:
        one, other = trials.new_trial(tx, begun()), trials.new_trial(tx, begun())
        trials.record_trial(tx, replace(one, stage=Stage.PULL), NOON + HOUR)
        found = overview.journals(tx, [one.id, other.id, 77])
        assert found == {one.id: trials.journal_of(tx, one.id), other.id: trials.journal_of(tx, other.id), 77: ()}
        assert [change.new for change in found[one.id]] == [Stage.PREFLIGHT, Stage.PULL]
        assert overview.journals(tx, []) == {}
