"""The ledger "which build carries the fix": what the bytes of each wheel and image said."""

from watcher.model.verdict import StaticReading, StaticRecord
from watcher.store.transaction import Reading, Row, Transaction
from watcher.store.values import json_text, moment, reader

_RECORD = "source, component, name, version, digest, reading, at"
_read_reading = reader(StaticReading)


def static_records(tx: Reading) -> tuple[StaticRecord, ...]:
    """Return the whole ledger, oldest reading first."""
    return tuple(map(_record, tx.rows(f"SELECT {_RECORD} FROM statics ORDER BY at, digest")))


def static_of(tx: Reading, digest: str) -> StaticRecord | None:
    """Return the newest reading of this content."""
    found = tx.rows(f"SELECT {_RECORD} FROM statics WHERE digest = ? ORDER BY at DESC LIMIT 1", (digest,))
    return _record(found[0]) if found else None


def save_static(tx: Transaction, record: StaticRecord) -> None:
    """Keep a reading; an earlier one of the same content, component and source is replaced."""
    row = {
        "digest": record.digest,
        "component": record.component,
        "source": record.source,
        "name": record.name,
        "version": record.version,
        "reading": json_text(StaticReading, record.reading),
        "at": record.at,
    }
    tx.upsert("statics", [row], by=("digest", "component", "source"))


def _record(row: Row) -> StaticRecord:
    source, component, name, version, digest, reading, at = row
    return StaticRecord(
        source=source,
        component=component,
        name=name,
        version=version,
        digest=digest,
        reading=_read_reading(reading),
        at=moment(at),
    )
