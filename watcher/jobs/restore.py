"""Pay what is owed, before anything else; close the trials whose process died."""

from dataclasses import replace
from pathlib import Path

from watcher.config.settings import Settings
from watcher.errors import HostError
from watcher.host.lease import lease_holder
from watcher.host.owed import read_debts
from watcher.host.restore import restore_all
from watcher.jobs.announce import note_trial, owed_reports
from watcher.jobs.means import Means
from watcher.model.trial import Outcome, ServiceReport, Stage, Trial
from watcher.ports import ReportProgress
from watcher.store import trials
from watcher.store.database import Transaction


def pay_first(settings: Settings, say: ReportProgress) -> tuple[ServiceReport, ...]:
    """Pay what a dead process left owed, without the database; a trial that is alive is left alone."""
    data_dir = settings.store.data_dir
    if not _owes(data_dir) or lease_holder(data_dir) is not None:
        return ()
    say("a service is owed from an earlier trial: putting it back first")
    return restore_all(data_dir, settings.device.docker)


def settle_dead_trials(means: Means) -> tuple[ServiceReport, ...]:
    """Give each trial whose process is gone its end; return what is still down after `pay_first`."""
    if lease_holder(means.data_dir) is not None:
        return ()
    with means.store.transaction() as tx:
        dead = trials.unfinished_trials(tx)
    if not dead:
        return ()
    _remove_leftovers(means)
    down = owed_reports(means.data_dir)
    with means.store.transaction() as tx:
        for trial in dead:
            _close(tx, trial, means, down)
    return down


def _remove_leftovers(means: Means) -> None:
    if means.host is None:
        return
    try:
        means.host.remove_trial()
    except HostError as error:
        means.say(f"what an earlier trial left could not be removed yet: {error}")


def _close(tx: Transaction, trial: Trial, means: Means, down: tuple[ServiceReport, ...]) -> None:
    now = means.clock.now()
    if any(debt.trial_id == trial.id for debt in read_debts(means.data_dir / "owed")):
        closed = replace(trial, stage=Stage.RESTORE, owed=down)
    else:
        closed = replace(_ended(trial), finished_at=now)
    trials.record_trial(tx, closed, now)
    note_trial(tx, closed, now)


def _ended(trial: Trial) -> Trial:
    """Return a dead trial with its end: a verdict that was reached stays, else the bench failed."""
    ended = replace(trial, stage=Stage.DONE, owed=())
    if trial.outcome is not None:
        return ended
    reason = f"the watcher was ended in stage {trial.stage}, without a chance to finish"
    return replace(ended, outcome=Outcome.BENCH, failed_stage=trial.stage, reason=reason)


def _owes(data_dir: Path) -> bool:
    return bool(read_debts(data_dir / "owed"))
