"""Trials and their journal; with them candidates and the few single values (`get_meta`) that planning remembers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from watcher.model.device import DeviceState
from watcher.model.trial import Candidate, Outcome, ServiceReport, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, Evidence, FailureClass, ProbeReading, Rung
from watcher.store.candidates import candidates, candidates_by_id, set_skipped, upsert_candidates
from watcher.store.transaction import Reading, Transaction, Values
from watcher.store.values import (
    STORED_ACCEPTANCE,
    json_text,
    listed,
    moment,
    moment_if_any,
    reader,
    words,
    words_if_any,
)

__all__ = [
    "StageChange",
    "candidates",
    "candidates_by_id",
    "count",
    "get_meta",
    "journal_of",
    "judged_by_others",
    "last_ended",
    "new_trial",
    "of_content",
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
_SHAPES: Mapping[str, Any] = {
    "candidate": Candidate,
    "device_state": DeviceState,
    "starts": tuple[Start, ...],
    "evidence": tuple[Evidence, ...],
    "basis": tuple[Rung, ...],
    "acceptance": STORED_ACCEPTANCE,
    "displaced": tuple[str, ...],
    "owed": tuple[ServiceReport, ...],
    "probe": ProbeReading,
}
"""What is kept as JSON."""
_STAGES = words_if_any(Stage)
_READERS: Mapping[str, Callable[[Any], Any]] = {
    **{name: reader(shape) for name, shape in _SHAPES.items()},
    "started_at": moment,
    "finished_at": moment_if_any,
    "retry_at": moment_if_any,
    "stage": _STAGES.__getitem__,
    "failed_stage": _STAGES.__getitem__,
    "outcome": words_if_any(Outcome).__getitem__,
    "bug": words(BugState).__getitem__,
    "bring_up": words(BringUp).__getitem__,
    "failure_class": words_if_any(FailureClass).__getitem__,
    "by_hand": bool,
}
"""How a column is read; one that is not named is as it is stored."""
_OF_STARTS = ("id", "candidate", "device_state", "bug_id", "started_at", "bug", "starts", "setup")


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
    (number,) = tx.insert("trials", [_row_of(begun)])
    _note(tx, number, StageChange(None, begun.stage, begun.reason, begun.started_at))
    return replace(begun, id=number)


def record_trial(tx: Transaction, now: Trial, at: datetime) -> None:
    """Keep a trial as it stands; a change of stage leaves a row in the journal. Raises LookupError for a strange id."""
    stage = tx.value("SELECT stage FROM trials WHERE id = ?", (now.id,))
    if stage is None:
        raise LookupError(f"there is no trial {now.id}")
    if stage != now.stage:
        _note(tx, now.id, StageChange(Stage(stage), now.stage, now.reason, at))
    tx.update("trials", now.id, _row_of(now))


def trials(tx: Reading, limit: int | None = None) -> tuple[Trial, ...]:
    """Return the trials, newest first."""
    return _trials(tx, "ORDER BY id DESC LIMIT ?", (-1 if limit is None else limit,))


def trial(tx: Reading, number: int) -> Trial | None:
    return next(iter(_trials(tx, "WHERE id = ?", (number,))), None)


def of_content(tx: Reading, fingerprint: str) -> tuple[Trial, ...]:
    """Return the trials in which this content ran, newest first."""
    return _trials(tx, "WHERE json_extract(candidate, '$.fingerprint') = ? ORDER BY id DESC", (fingerprint,))


def started_before(tx: Reading, one: Trial) -> tuple[Trial, ...]:
    """Return the earlier trials of the same bug that started the engine with the same setup, newest first.

    They are whole in what `earlier_starts` reads of them.
    """
    alike = "WHERE bug_id = ? AND setup = ? AND started_at < ? AND starts != '[]' ORDER BY id DESC"
    return tuple(outlines(tx, _OF_STARTS, alike, (one.bug_id, one.setup, one.started_at)))


def on_boot(tx: Reading, boot_id: str | None) -> tuple[Trial, ...]:
    """Return the trials on one boot of the device; none where it is not known."""
    return () if boot_id is None else _trials(tx, "WHERE boot_id = ? ORDER BY id DESC", (boot_id,))


def last_ended(tx: Reading, outcomes: Iterable[Outcome], limit: int) -> tuple[Trial, ...]:
    """Return the trials with one of these outcomes that ended last, the last one first."""
    some = "WHERE outcome IN (SELECT value FROM json_each(?)) ORDER BY ended_at DESC, id LIMIT ?"
    return _trials(tx, some, (listed(outcomes), limit))


def count(tx: Reading) -> int:
    return int(tx.value("SELECT count(*) FROM trials"))


def unfinished_trials(tx: Reading) -> tuple[Trial, ...]:
    """Return the trials that did not reach their end, oldest first."""
    return _trials(tx, "WHERE stage != 'done' ORDER BY id")


def judged_by_others(tx: Reading, bug_id: str, signatures: str, limit: int) -> tuple[Trial, ...]:
    """Return trials of a bug that started an engine and were judged by other signatures than these, newest first."""
    some = """
        WHERE stage = 'done' AND outcome = 'verdict' AND starts != '[]' AND bug_id = ? AND signatures IS NOT ?
        ORDER BY id DESC LIMIT ?
    """
    return _trials(tx, some, (bug_id, signatures, limit))


def withdraw_verdict(tx: Transaction, judged: Trial, reason: str, at: datetime) -> None:
    """Keep another verdict on a trial that has ended; `reason` says what it said before."""
    record_trial(tx, judged, at)
    _note(tx, judged.id, StageChange(judged.stage, judged.stage, reason, at))


def withdrawal_of(tx: Reading, trial_id: int) -> str | None:
    """Return why the verdict on a trial was changed last, None where it never was."""
    changes = (one.reason for one in reversed(journal_of(tx, trial_id)) if one.old is one.new is Stage.DONE)
    return next(changes, None)


def journal_of(tx: Reading, trial_id: int) -> tuple[StageChange, ...]:
    """Return how a trial went from stage to stage."""
    query = "SELECT old_stage, new_stage, reason, at FROM journal WHERE trial_id = ? ORDER BY id"
    return tuple(map(stage_change, tx.rows(query, (trial_id,))))


def stage_change(row: Sequence[Any]) -> StageChange:
    """Return a change of stage as it was stored: old and new stage, reason, moment."""
    old, new, reason, at = row
    return StageChange(_STAGES[old], Stage(new), reason, moment(at))


def get_meta(tx: Reading, key: str) -> str | None:
    value: str | None = tx.value("SELECT value FROM meta WHERE key = ?", (key,))
    return value


def set_meta(tx: Transaction, key: str, value: str | None) -> None:
    """Keep a single value; None forgets it."""
    if value is None:
        tx.change("DELETE FROM meta WHERE key = ?", (key,))
    else:
        tx.upsert("meta", [{"key": key, "value": value}], by=("key",))


def outlines(tx: Reading, columns: Sequence[str], rest: str, values: Values = ()) -> Iterator[Trial]:
    """Yield trials of which some columns are read; what is left out is as in a trial that has just begun.

    Args:
        rest: what follows the table's name in the query.
    """
    readers = [_READERS.get(name) for name in columns]
    names = ", ".join(f"trials.{name}" for name in columns)
    for row in tx.each(f"SELECT {names} FROM trials {rest}", values):
        kept = {name: read(value) if read else value for name, read, value in zip(columns, readers, row, strict=True)}
        yield Trial(**kept)


def _note(tx: Transaction, trial_id: int, change: StageChange) -> None:
    row = {"trial_id": trial_id, "old_stage": change.old, "new_stage": change.new, "reason": change.reason}
    tx.insert("journal", [row | {"at": change.at}])


def _row_of(kept: Trial) -> dict[str, Any]:
    row = {name: getattr(kept, name) for name in _FIELDS if name != "id"}
    row |= {name: json_text(shape, row[name]) for name, shape in _SHAPES.items()}
    return row | {"candidate_id": kept.candidate.id}


def _trials(tx: Reading, rest: str, values: Values = ()) -> tuple[Trial, ...]:
    return tuple(outlines(tx, _FIELDS, rest, values))
