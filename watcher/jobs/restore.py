"""Close the trials whose process died, and remind of what they still owe."""

from collections.abc import Collection
from dataclasses import replace

from watcher.errors import HostError, LeaseHeld
from watcher.host.kept import kept_debts, owed_reports
from watcher.host.lease import Lease
from watcher.jobs.announce import note_owed, note_trial
from watcher.jobs.means import Means
from watcher.jobs.pay import seen_down
from watcher.model.trial import Outcome, ServiceReport, Stage, Trial
from watcher.store import trials
from watcher.store.transaction import Transaction


def settle_dead_trials(means: Means) -> tuple[ServiceReport, ...]:
    """Give each trial whose process is gone its end; return what is still down after `pay_first`."""
    if kept_debts(means.data_dir / "owed"):
        return seen_down(means.data_dir)
    try:
        with Lease(means.data_dir):  # else a trial that begins at this moment would be taken for a dead one
            down = seen_down(means.data_dir)
            _close_dead_trials(means, down)
    except LeaseHeld:
        return ()
    if down:
        with means.store.transaction() as tx:
            note_owed(tx, means.data_dir, means.clock.now())
    return down


def _close_dead_trials(means: Means, down: tuple[ServiceReport, ...]) -> None:
    with means.store.transaction() as tx:
        dead = trials.unfinished_trials(tx)
    if not dead:
        return
    _remove_leftovers(means)
    with means.store.transaction() as tx:
        for trial in dead:
            _close(tx, trial, means, {report.service for report in down})


def _remove_leftovers(means: Means) -> None:
    if means.host is None:
        return
    try:
        means.host.remove_trial()
    except HostError as error:
        means.say(f"what an earlier trial left could not be removed yet: {error}")


def _close(tx: Transaction, trial: Trial, means: Means, down: Collection[str]) -> None:
    now = means.clock.now()
    owed = tuple(report for report in owed_reports(means.data_dir, trial.id) if report.service in down)
    closed = replace(_ended(trial), finished_at=now)
    if owed:
        closed = replace(closed, stage=Stage.RESTORE, owed=owed, finished_at=None)
    trials.record_trial(tx, closed, now)
    note_trial(tx, closed, now)


def _ended(trial: Trial) -> Trial:
    """Return a dead trial with its end: a verdict that was reached stays, else the bench failed."""
    ended = replace(trial, stage=Stage.DONE, owed=())
    if trial.outcome is not None:
        return ended
    reason = f"the watcher was ended in stage {trial.stage}, without a chance to finish"
    return replace(ended, outcome=Outcome.BENCH, failed_stage=trial.stage, reason=reason)
