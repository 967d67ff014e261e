"""Trials and their journal; with them candidates and the few single values (`get_meta`) that planning remembers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, func, insert, select, text, update

from watcher.model.trial import Outcome, Stage, Trial
from watcher.store.candidates import candidates, set_skipped, upsert_candidates
from watcher.store.database import Transaction
from watcher.store.tables import journal, meta
from watcher.store.tables import trials as table
from watcher.store.upsert import CHUNK, upsert

__all__ = [
    "StageChange",
    "candidates",
    "count",
    "get_meta",
    "journal_of",
    "judged_by_others",
    "last_ended",
    "new_trial",
    "record_trial",
    "set_meta",
    "set_skipped",
    "trial",
    "trials",
    "unfinished_trials",
    "upsert_candidates",
    "withdraw_verdict",
    "withdrawal_of",
]
_FIELDS = tuple(field.name for field in fields(Trial))
_OF_STARTS = select(
    *(table.c[name] for name in ("id", "candidate", "device_state", "bug_id", "started_at", "bug", "starts", "setup"))
)
_TRIALS = select(*(table.c[name] for name in _FIELDS))


@dataclass(frozen=True, slots=True)
class StageChange:
    """A row of the journal; `old` is None where the trial began."""

    old: Stage | None
    new: Stage
    reason: str
    at: datetime


def new_trial(tx: Transaction, begun: Trial) -> Trial:
    """Keep a trial that begins and return it with its id; its candidate is kept too where it was not."""
    candidate = begun.candidate if begun.candidate.id else upsert_candidates(tx, (begun.candidate,))[0]
    begun = replace(begun, candidate=candidate)
    number = tx.execute(insert(table).returning(table.c.id), _values(begun)).scalar_one()
    _note(tx, number, StageChange(None, begun.stage, begun.reason, begun.started_at))
    return replace(begun, id=number)


def record_trial(tx: Transaction, now: Trial, at: datetime) -> None:
    """Keep a trial as it stands; a change of stage leaves a row in the journal. Raises LookupError for a strange id."""
    old = tx.execute(select(table.c.stage).where(table.c.id == now.id)).scalar_one_or_none()
    if old is None:
        raise LookupError(f"there is no trial {now.id}")
    if old is not now.stage:
        _note(tx, now.id, StageChange(old, now.stage, now.reason, at))
    tx.execute(update(table).where(table.c.id == now.id), _values(now))


def trials(tx: Transaction, limit: int | None = None) -> tuple[Trial, ...]:
    """Return the trials, newest first."""
    return _found(tx, _TRIALS.order_by(table.c.id.desc()).limit(limit))


def trial(tx: Transaction, number: int) -> Trial | None:
    return next(iter(_found(tx, _TRIALS.where(table.c.id == number))), None)


def started_before(tx: Transaction, one: Trial) -> tuple[Trial, ...]:
    """Return the earlier trials of the same bug that started the engine with the same setup, newest first.

    They are whole in what `earlier_starts` reads of them.
    """
    alike = and_(table.c.bug_id == one.bug_id, table.c.setup == one.setup, table.c.started_at < one.started_at)
    return tuple(outlines(tx, _OF_STARTS.where(alike, text("starts != '[]'")).order_by(table.c.id.desc())))


def on_boot(tx: Transaction, boot_id: str | None) -> tuple[Trial, ...]:
    """Return the trials on one boot of the device; none where it is not known."""
    return () if boot_id is None else _found(tx, _TRIALS.where(table.c.boot_id == boot_id).order_by(table.c.id.desc()))


def last_ended(tx: Transaction, outcomes: Iterable[Outcome], limit: int) -> tuple[Trial, ...]:
    """Return the trials with one of these outcomes that ended last, the last one first."""
    query = _TRIALS.where(table.c.outcome.in_(tuple(outcomes)))
    return _found(tx, query.order_by(table.c.ended_at.desc(), table.c.id).limit(limit))


def count(tx: Transaction) -> int:
    return tx.execute(select(func.count()).select_from(table)).scalar_one()


def unfinished_trials(tx: Transaction) -> tuple[Trial, ...]:
    """Return the trials that did not reach their end, oldest first."""
    # written out, not bound: only so does SQLite see that the partial index fits
    return _found(tx, _TRIALS.where(text("stage != 'done'")).order_by(table.c.id))


def judged_by_others(tx: Transaction, bug_id: str, signatures: str, limit: int) -> tuple[Trial, ...]:
    """Return trials of a bug that started an engine and were judged by other signatures than these, newest first."""
    is_other = table.c.signatures.is_distinct_from(signatures)
    ended = and_(table.c.stage == Stage.DONE, table.c.outcome == Outcome.VERDICT, text("starts != '[]'"))
    query = _TRIALS.where(ended, table.c.bug_id == bug_id, is_other)
    return _found(tx, query.order_by(table.c.id.desc()).limit(limit))


def withdraw_verdict(tx: Transaction, judged: Trial, reason: str, at: datetime) -> None:
    """Keep another verdict on a trial that has ended; `reason` says what it said before."""
    record_trial(tx, judged, at)
    _note(tx, judged.id, StageChange(judged.stage, judged.stage, reason, at))


def withdrawal_of(tx: Transaction, trial_id: int) -> str | None:
    """Return why the verdict on a trial was changed last, None where it never was."""
    changes = (one.reason for one in reversed(journal_of(tx, trial_id)) if one.old is one.new is Stage.DONE)
    return next(changes, None)


def journal_of(tx: Transaction, trial_id: int) -> tuple[StageChange, ...]:
    """Return how a trial went from stage to stage."""
    query = select(journal).where(journal.c.trial_id == trial_id).order_by(journal.c.id)
    return tuple(StageChange(row.old_stage, row.new_stage, row.reason, row.at) for row in tx.execute(query))


def get_meta(tx: Transaction, key: str) -> str | None:
    return tx.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()


def set_meta(tx: Transaction, key: str, value: str | None) -> None:
    """Keep a single value; None forgets it."""
    if value is None:
        tx.execute(delete(meta).where(meta.c.key == key))
    else:
        upsert(tx, meta, [{"key": key, "value": value}])


def outlines(tx: Transaction, query: Select[*tuple[Any, ...]]) -> Iterator[Trial]:
    """Yield trials of which a query reads some columns; what it leaves out is as in a trial that has just begun."""
    names = [column.name for column in query.selected_columns]
    for rows in tx.execute(query).partitions(CHUNK):  # rows that are fetched one by one take longer
        yield from (Trial(**dict(zip(names, row, strict=True))) for row in rows)


def _note(tx: Transaction, trial_id: int, change: StageChange) -> None:
    row = {"trial_id": trial_id, "old_stage": change.old, "new_stage": change.new, "reason": change.reason}
    tx.execute(insert(journal), row | {"at": change.at})


def _values(kept: Trial) -> dict[str, Any]:
    values = {name: getattr(kept, name) for name in _FIELDS if name != "id"}
    return values | {"candidate_id": kept.candidate.id}


def _found(tx: Transaction, query: Select[Any]) -> tuple[Trial, ...]:
    return tuple(Trial(*row) for row in tx.execute(query).all())
