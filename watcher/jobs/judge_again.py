"""Read the logs of past trials again when the signatures have changed, and withdraw the verdicts that do not hold."""

import hashlib
from dataclasses import replace
from pathlib import Path

import watcher
from watcher.host.lease import lease_holder
from watcher.jobs.announce import WITHDRAWN
from watcher.jobs.means import Means
from watcher.model.notice import Notice, NoticeKind
from watcher.model.trial import Start, Trial
from watcher.model.verdict import BugState, LogReading
from watcher.planner.history import earlier_starts
from watcher.store import outbox, statics, trials

MOST = 5
"""Trials read again in one round, newest first: a log may hold 36 MB."""
JUDGED_BY = "judged-by"
"""The tables by which every kept verdict was judged: while they are the same files, nothing is loaded or asked."""


def judge_again(means: Means) -> tuple[Trial, ...]:
    """Judge some trials again whose logs were read by other signatures; return those whose verdict changed.

    Nothing happens while a trial runs. Each trial is one transaction: its verdict, its version and the notice.
    """
    stamp = f"{_stamp()} {means.settings.bug.id}"
    with means.store.reading() as tx:
        if trials.get_meta(tx, JUDGED_BY) == stamp:
            return ()
    if lease_holder(means.data_dir) is not None:
        return ()
    from watcher.verdict.signatures import VERSION  # its tables take a tenth of a second

    with means.store.reading() as tx:
        waiting = trials.judged_by_others(tx, means.settings.bug.id, VERSION, MOST)
    changed = [one for one in waiting if _is_withdrawn(means, one, VERSION)]
    if len(waiting) < MOST:
        with means.store.transaction() as tx:
            trials.set_meta(tx, JUDGED_BY, stamp)
    return tuple(changed)


def _stamp() -> str:
    """Return what changes whenever the tables of signatures could have, without loading them."""
    digest = hashlib.sha256(watcher.__version__.encode())
    for path in sorted((Path(watcher.__file__).parent / "verdict" / "signatures").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _is_withdrawn(means: Means, trial: Trial, version: str) -> bool:
    """Judge one trial and keep the result; return whether its verdict changed."""
    from watcher.verdict.again import Kept, judged_again, says

    bug, now = means.settings.bug, means.clock.now()
    logs = tuple(_reading(means.data_dir, start) for start in trial.starts)
    with means.store.transaction() as tx:
        if trials.trial(tx, trial.id) != trial:
            return False  # another process was faster
        read = statics.static_of(tx, trial.candidate.digest) if trial.candidate.digest else None
        earlier = earlier_starts(trials.started_before(tx, trial), trial, bug.failure_class)
        judged = judged_again(trial, bug, Kept(read.reading if read else None, logs, earlier))
        judged = replace(judged, signatures=version)
        if says(judged) == says(trial):
            trials.record_trial(tx, judged, now)
            return False
        reason = f"it said: {says(trial)}; by newer signatures: {says(judged)}"
        trials.withdraw_verdict(tx, judged, reason, now)
        key = f"withdrawn:{trial.id}:{version}"
        outbox.enqueue(tx, Notice(NoticeKind.VERDICT, key, WITHDRAWN, (str(trial.id),), now))
    means.say(f"the verdict of trial {trial.id} is withdrawn: {reason}")
    return True


def _reading(data_dir: Path, start: Start) -> LogReading | None:
    """Return what a log says now; None where it is gone, or was cut off and may say less than it did."""
    from watcher.trial.engine_log import is_whole, read_log
    from watcher.verdict.scan import scan

    if start.log is None or not (data_dir / start.log).is_file():
        return None
    try:
        reading = scan(read_log(data_dir / start.log))
    except OSError:
        return None
    return reading if is_whole(data_dir / start.log) or reading.bug is BugState.PRESENT else None
