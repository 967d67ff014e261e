"""What is dropped with age: events, the way of old trials through their stages, notices that were delivered.

What an answer stands on is never dropped: facts, readings of builds, candidates, trials with their evidence.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from watcher.model.trial import Outcome, Stage, Start
from watcher.store.transaction import Reading, Transaction
from watcher.store.values import moment, reader

EVENTS, JOURNAL, NOTICES = timedelta(days=730), timedelta(days=365), timedelta(days=365)
_NAMED_BY_ID = ("look:%", "trial:%", "withdrawn:%")
"""Keys that can never be written again, since an id or a look is in them. All others are kept: each is told once."""
_read_starts = reader(tuple[Start, ...])


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many rows went."""

    events: int = 0
    journal: int = 0
    notices: int = 0


@dataclass(frozen=True, slots=True)
class KeptLogs:
    """The logs of a trial, as paths relative to `data_dir`.

    `deciding` is the one that its verdict stands on, None where there is none; `ended` None while it runs.
    """

    trial: int
    ended: datetime | None
    logs: tuple[str, ...]
    deciding: str | None


def drop_old(tx: Transaction, now: datetime) -> Dropped:
    """Drop what is older than it is kept for, and return how many rows that were."""
    return Dropped(_drop_events(tx, now - EVENTS), _drop_journal(tx, now - JOURNAL), _drop_notices(tx, now - NOTICES))


def kept_logs(tx: Reading) -> dict[int, KeptLogs]:
    """Return the logs of each trial that started an engine, or still runs, by its number."""
    query = """
        SELECT id, stage, ended_at, outcome, starts, deciding_start FROM trials WHERE starts != '[]' OR stage != 'done'
    """
    found: dict[int, KeptLogs] = {}
    for number, stage, ended_at, outcome, stored, deciding in tx.rows(query):
        starts = _read_starts(stored)
        logs = tuple(start.log for start in starts if start.log)
        ended = moment(ended_at) if stage == Stage.DONE else None
        chosen = -1 if deciding is None else deciding
        is_verdict = outcome == Outcome.VERDICT and starts
        found[number] = KeptLogs(number, ended, logs, starts[chosen].log if is_verdict else None)
    return found


def _drop_events(tx: Transaction, before: datetime) -> int:
    return tx.change("DELETE FROM events WHERE seen_at < ?", (before,))


def _drop_journal(tx: Transaction, before: datetime) -> int:
    """Drop the stages of trials that ended long ago; why a verdict was changed stays."""
    statement = """
        DELETE FROM journal
        WHERE trial_id IN (SELECT id FROM trials WHERE stage = 'done' AND finished_at < ?)
          AND NOT (old_stage IS 'done' AND new_stage = 'done')
    """
    return tx.change(statement, (before,))


def _drop_notices(tx: Transaction, before: datetime) -> int:
    """Drop notices that were delivered, with no channel left that waits for them. Deliveries go with them."""
    is_named = " OR ".join(f"key LIKE '{pattern}'" for pattern in _NAMED_BY_ID)
    of_it = "SELECT 1 FROM deliveries WHERE notice_id = notices.id AND delivered_at"
    statement = f"""
        DELETE FROM notices WHERE created_at < ? AND ({is_named})
          AND EXISTS ({of_it} IS NOT NULL) AND NOT EXISTS ({of_it} IS NULL)
    """
    return tx.change(statement, (before,))
