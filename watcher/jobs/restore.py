"""Pay what is owed, before anything else; close the trials whose process died."""

from dataclasses import replace
from pathlib import Path

from watcher.errors import HostError, LeaseHeld
from watcher.host.kept import kept_debts
from watcher.host.lease import Lease, lease_holder
from watcher.host.owed import read_debts
from watcher.jobs.announce import note_owed, note_trial, owed_reports
from watcher.jobs.means import Means
from watcher.model.trial import Outcome, ServiceReport, Stage, Trial
from watcher.ports import ReportProgress
from watcher.store import trials
from watcher.store.database import Transaction


def pay_first(data_dir: Path, docker_url: str, say: ReportProgress) -> tuple[ServiceReport, ...]:
    """Pay what a dead process left owed, without database and settings.

    A trial that is alive is left alone, and so is an engine that a person keeps.
    """
    debts = read_debts(data_dir / "owed")
    if not debts or lease_holder(data_dir) is not None or len(kept_debts(data_dir / "owed")) == len(debts):
        return ()
    from watcher.host.restore import restore_all  # nearly never needed, and each round starts here

    say("a service is owed from an earlier trial: putting it back first")
    return restore_all(data_dir, docker_url)


def still_down(data_dir: Path) -> tuple[ServiceReport, ...]:
    """Return what is owed while nothing is there to give it back: no process, and no engine kept in its place."""
    if lease_holder(data_dir) is not None:
        return ()
    return tuple(report for report in owed_reports(data_dir) if not report.makes_room)


def settle_dead_trials(means: Means) -> tuple[ServiceReport, ...]:
    """Give each trial whose process is gone its end; return what is still down after `pay_first`."""
    if kept_debts(means.data_dir / "owed"):
        return still_down(means.data_dir)
    try:
        with Lease(means.data_dir):  # else a trial that begins at this moment would be taken for a dead one
            _close_dead_trials(means)
    except LeaseHeld:
        return ()
    down = still_down(means.data_dir)
    if down:
        with means.store.transaction() as tx:
            note_owed(tx, means.data_dir, means.clock.now())
    return down


def _close_dead_trials(means: Means) -> None:
    with means.store.transaction() as tx:
        dead = trials.unfinished_trials(tx)
    if not dead:
        return
    _remove_leftovers(means)
    with means.store.transaction() as tx:
        for trial in dead:
            _close(tx, trial, means)


def _remove_leftovers(means: Means) -> None:
    if means.host is None:
        return
    try:
        means.host.remove_trial()
    except HostError as error:
        means.say(f"what an earlier trial left could not be removed yet: {error}")


def _close(tx: Transaction, trial: Trial, means: Means) -> None:
    now, owed = means.clock.now(), owed_reports(means.data_dir, trial.id)
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
