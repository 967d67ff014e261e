"""Tell people: all notices that wait become one message per channel, offered again until it is delivered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from watcher.errors import NotifyFailed
from watcher.host.kept import owed_reports
from watcher.host.owed import broken_debts, read_debts
from watcher.jobs.ailing import AILING, ailments
from watcher.jobs.health import SOURCE_MOVED, SOURCE_STALE, stale_now
from watcher.jobs.means import Means
from watcher.jobs.plan import meanings, rules_of
from watcher.model.answer import Answer
from watcher.model.container import Ailment
from watcher.model.facts import SourceState
from watcher.model.notice import Notice, NoticeKind
from watcher.model.trial import Outcome, Stage, Trial
from watcher.notify.message import Digest, PlannedTrial, SourceRemark, SourceTrouble, compose
from watcher.planner.reminders import reminder_number
from watcher.planner.window import window_text
from watcher.ports import Notifier
from watcher.store import candidates as candidate_store
from watcher.store import facts as fact_store
from watcher.store import outbox, trials
from watcher.store.transaction import Reading, Transaction

SOURCE_FAILED, SOURCE_RECOVERED, NEWS, TRIAL, OWED = "source-failed", "source-recovered", "news", "trial", "owed"
PLANNED, WITHDRAWN = "planned", "withdrawn"
"""Topics of notices: what their subjects are the names or ids of; of a planned trial its candidate and start."""


def announce(means: Means, answer: Answer) -> int:
    """Deliver what waits; return how many channels failed. A failed channel keeps its notices for later."""
    return sum(not _deliver(means, notifier, answer) for notifier in means.notifiers)


def note_trial(tx: Transaction, trial: Trial, now: datetime) -> None:
    """Put what is to be told of a trial into the outbox: what it still owes, and its end."""
    is_kept = any(report.makes_room for report in trial.owed)
    if trial.owed and not is_kept:
        outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, f"owed:{trial.id}", OWED, (str(trial.id),), now))
    if (trial.stage is Stage.DONE or is_kept) and trial.outcome is not Outcome.CANCELLED:
        kind = NoticeKind.VERDICT if trial.outcome is Outcome.VERDICT else NoticeKind.TROUBLE
        outbox.enqueue(tx, Notice(kind, _key(trial), TRIAL, (str(trial.id),), now))


def note_owed(tx: Transaction, data_dir: Path, now: datetime) -> None:
    """Remind of each trial's debt that is unpaid, with widening gaps; a gap that was slept through is told once."""
    folder = data_dir / "owed"
    debts = {str(debt.trial_id) for debt in read_debts(folder)} | {path.stem for path in broken_debts(folder)}
    for debt in sorted(debts):
        first = f"owed:{debt}"
        told_at = outbox.written_at(tx, first)
        number = 0 if told_at is None else reminder_number(now - told_at)
        subjects = (debt,) if debt.isdecimal() else ()
        outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, f"{first}:{number}" if number else first, OWED, subjects, now))


def _key(trial: Trial) -> str:
    """Return what tells this notice from others: a refusal for the same reason is told once."""
    if trial.outcome is not Outcome.REFUSED:
        return f"trial:{trial.id}"
    return f"refused:{trial.candidate.fingerprint[:16]}:{trial.setup}:{trial.reason.partition(' (')[0]}"


def _deliver(means: Means, notifier: Notifier, answer: Answer) -> bool:
    kinds = [NoticeKind(kind) for kind in means.settings.notify.on]
    with means.store.transaction() as tx:
        notices = outbox.pending(tx, notifier.channel, kinds, means.clock.now())
        if not notices:
            return True
        digest = _digest(tx, means, notices, answer)
    digest = replace(digest, events=meanings(means, means.device(), digest.events))
    ids = [notice.id for notice in notices]
    try:
        notifier.send(compose(digest))
    except NotifyFailed as error:
        means.say(f"{notifier.channel} did not take the message; it is offered again: {error}")
        with means.store.transaction() as tx:
            outbox.postpone(tx, notifier.channel, ids, means.clock.now())
        return False
    with means.store.transaction() as tx:
        outbox.delivered(tx, notifier.channel, ids, means.clock.now())
    return True


def _digest(tx: Reading, means: Means, notices: Sequence[Notice], answer: Answer) -> Digest:
    event_ids = [int(number) for number in _subjects(notices, NEWS)]
    trial_ids = dict.fromkeys(int(number) for number in (*_subjects(notices, TRIAL), *_subjects(notices, OWED)))
    told = (trials.trial(tx, number) for number in trial_ids)
    states = fact_store.source_states(tx)
    failed = [
        SourceTrouble(name, error.message)
        for name in dict.fromkeys(_subjects(notices, SOURCE_FAILED))
        if name in states and (error := states[name].error) is not None
    ]
    recovered = [
        SourceTrouble(name, "", recovered=True) for name in dict.fromkeys(_subjects(notices, SOURCE_RECOVERED))
    ]
    ailing = _ailing(means, notices)
    return Digest(
        device=means.settings.device.name,
        answer=answer,
        events=fact_store.events_by_id(tx, event_ids),
        trials=tuple(trial for trial in told if trial is not None),
        troubles=(*failed, *recovered),
        source_remarks=(*_stale_remarks(tx, means, notices), *_moves(states, notices)),
        planned=tuple(_planned(tx, means, notices)),
        owed=owed_reports(means.data_dir),
        ailments=tuple(one for one in ailing.values() if one is not None),
        remarks=(
            *_withdrawals(tx, notices),
            *(f"{name} was ill when it was looked at, and is well now" for name in ailing if not ailing[name]),
        ),
        engines=means.settings.engine_titles,
    )


def _ailing(means: Means, notices: Sequence[Notice]) -> dict[str, Ailment | None]:
    """Return how the services stand now that were ill; nothing is asked where none was."""
    if not (names := dict.fromkeys(_subjects(notices, AILING))):
        return {}
    now = {one.service: one for one in ailments(means)}
    return {name: now.get(name) for name in names}


def _withdrawals(tx: Reading, notices: Sequence[Notice]) -> Iterator[str]:
    for number in dict.fromkeys(int(one) for one in _subjects(notices, WITHDRAWN)):
        trial, reason = trials.trial(tx, number), trials.withdrawal_of(tx, number)
        if trial is not None and reason is not None:
            yield f"The verdict of trial {number} ({trial.candidate.title}) is withdrawn: {reason}"


def _planned(tx: Reading, means: Means, notices: Sequence[Notice]) -> Iterator[PlannedTrial]:
    """Yield the trials to come, each as it was announced last; what was left out since is none."""
    starts = {int(one.subjects[0]): one.subjects[1] for one in notices if one.topic == PLANNED}
    if not starts:
        return
    rules = rules_of(means)
    for number, candidate in candidate_store.candidates_by_id(tx, starts).items():
        if candidate.compatible and not candidate.skipped:
            when = datetime.fromisoformat(starts[number])
            yield PlannedTrial(
                candidate, when, means.settings.trial.services, rules.total, window_text(rules.hours, rules.zone)
            )


def _stale_remarks(tx: Reading, means: Means, notices: Sequence[Notice]) -> Iterator[SourceRemark]:
    if names := dict.fromkeys(_subjects(notices, SOURCE_STALE)):
        stale = stale_now(means, tx, fact_store.source_states(tx))
        yield from (SourceRemark(name, stale[name].sentence, stale[name].is_unseen) for name in names if name in stale)


def _moves(states: Mapping[str, SourceState], notices: Sequence[Notice]) -> Iterator[SourceRemark]:
    for name in dict.fromkeys(_subjects(notices, SOURCE_MOVED)):
        if name in states and (host := states[name].moved_to_host):
            yield SourceRemark(name, f"now answers from {host}: write that address into config.toml", is_trouble=True)


def _subjects(notices: Sequence[Notice], topic: str) -> list[str]:
    return [subject for notice in notices if notice.topic == topic for subject in notice.subjects]
