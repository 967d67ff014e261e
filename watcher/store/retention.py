"""What is dropped with age: events, the way of old trials through their stages, notices that were delivered.

What an answer stands on is never dropped: facts, readings of builds, candidates, trials with their evidence.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, exists, or_, select, text

from watcher.model.trial import Outcome, Stage
from watcher.store.database import Transaction
from watcher.store.tables import deliveries, events, journal, notices
from watcher.store.tables import trials as tried

EVENTS, JOURNAL, NOTICES = timedelta(days=730), timedelta(days=365), timedelta(days=365)
_NAMED_BY_ID = ("look:%", "trial:%", "withdrawn:%")
"""Keys that can never be written again, since an id or a look is in them. All others are kept: each is told once."""


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


def kept_logs(tx: Transaction) -> dict[int, KeptLogs]:
    """Return the logs of each trial that started an engine, or still runs, by its number."""
    query = select(tried.c.id, tried.c.stage, tried.c.finished_at, tried.c.started_at, tried.c.outcome)
    query = query.add_columns(tried.c.starts, tried.c.deciding_start).where(text("starts != '[]' OR stage != 'done'"))
    found: dict[int, KeptLogs] = {}
    for row in tx.execute(query):
        logs = tuple(start.log for start in row.starts if start.log)
        ended = (row.finished_at or row.started_at) if row.stage is Stage.DONE else None
        chosen = -1 if row.deciding_start is None else row.deciding_start
        is_verdict = row.outcome is Outcome.VERDICT and row.starts
        found[row.id] = KeptLogs(row.id, ended, logs, row.starts[chosen].log if is_verdict else None)
    return found


def _drop_events(tx: Transaction, before: datetime) -> int:
    return tx.execute(delete(events).where(events.c.seen_at < before)).rowcount


def _drop_journal(tx: Transaction, before: datetime) -> int:
    """Drop the stages of trials that ended long ago; why a verdict was changed stays."""
    over = select(tried.c.id).where(tried.c.stage == Stage.DONE, tried.c.finished_at < before)
    is_change = and_(journal.c.old_stage == Stage.DONE, journal.c.new_stage == Stage.DONE)
    return tx.execute(delete(journal).where(journal.c.trial_id.in_(over), ~is_change | is_change.is_(None))).rowcount


def _drop_notices(tx: Transaction, before: datetime) -> int:
    """Drop notices that were delivered, with no channel left that waits for them. Deliveries go with them."""
    told = exists().where(deliveries.c.notice_id == notices.c.id, deliveries.c.delivered_at.is_not(None))
    waits = exists().where(deliveries.c.notice_id == notices.c.id, deliveries.c.delivered_at.is_(None))
    is_named = or_(*(notices.c.key.like(pattern) for pattern in _NAMED_BY_ID))
    return tx.execute(delete(notices).where(notices.c.created_at < before, is_named, told, ~waits)).rowcount
