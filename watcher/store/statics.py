"""The ledger "which build carries the fix": what the bytes of each wheel and image said."""

from typing import Any

from sqlalchemy import Row, select

from watcher.model.verdict import StaticRecord
from watcher.store.database import Transaction
from watcher.store.tables import statics
from watcher.store.upsert import upsert


def static_records(tx: Transaction) -> tuple[StaticRecord, ...]:
    """Return the whole ledger, oldest reading first."""
    found = tx.execute(select(statics).order_by(statics.c.at, statics.c.digest))
    return tuple(map(_record, found.all()))


def static_of(tx: Transaction, digest: str) -> StaticRecord | None:
    """Return the newest reading of this content."""
    query = select(statics).where(statics.c.digest == digest).order_by(statics.c.at.desc()).limit(1)
    row = tx.execute(query).first()
    return _record(row) if row else None


def save_static(tx: Transaction, record: StaticRecord) -> None:
    """Keep a reading; an earlier one of the same content, component and source is replaced."""
    row = {
        "digest": record.digest,
        "component": record.component,
        "source": record.source,
        "name": record.name,
        "version": record.version,
        "reading": record.reading,
        "at": record.at,
    }
    upsert(tx, statics, [row])


def _record(row: Row[Any]) -> StaticRecord:
    return StaticRecord(
        source=row.source,
        component=row.component,
        name=row.name,
        version=row.version,
        digest=row.digest,
        reading=row.reading,
        at=row.at,
    )
