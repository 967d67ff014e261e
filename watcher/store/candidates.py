"""Candidates, found again by their content: id, first sight and a person's `skip` outlive every planning."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, tuple_, update

from watcher.model.trial import Candidate
from watcher.store.database import Transaction
from watcher.store.tables import candidates as table
from watcher.store.upsert import CHUNK, chunks, upsert

_FIELDS = tuple(field.name for field in fields(Candidate))
_CANDIDATES = select(*(table.c[name] for name in _FIELDS))


def upsert_candidates(tx: Transaction, found: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Keep candidates and return them as stored, in the order given.

    One with the same engine and fingerprint keeps its id, its first sight and whether it is skipped.
    """
    wanted = tuple(found)
    upsert(tx, table, [_values(one) for one in wanted], by=("engine", "fingerprint"), kept=("first_seen", "skipped"))
    _fill_first_sight(tx, wanted)
    stored = {(one.engine, one.fingerprint): one for one in _stored(tx, wanted)}
    return tuple(stored[one.engine, one.fingerprint] for one in wanted)


def candidates(tx: Transaction, condition: ColumnElement[bool] | None = None) -> Iterator[Candidate]:
    """Yield every candidate there ever was, or those for which a condition on the table holds, in order of id."""
    query = _CANDIDATES if condition is None else _CANDIDATES.where(condition)
    parts = tx.execute(query.order_by(table.c.id)).partitions(CHUNK)
    return (Candidate(*row) for rows in parts for row in rows)


def skipped_ones(tx: Transaction) -> frozenset[tuple[str, str]]:
    """Return engine and fingerprint of what a person left out."""
    found = tx.execute(select(table.c.engine, table.c.fingerprint).where(table.c.skipped.is_(True)))
    return frozenset((row.engine, row.fingerprint) for row in found)


def images_of(tx: Transaction, digests: Collection[str]) -> tuple[Candidate, ...]:
    """Return the images with these digests that a source showed at some time, in order of id."""
    shown = (table.c.source != "") & table.c.overlay.is_(None)
    some = chunks(sorted(digests), CHUNK)
    found = [one for these in some for one in candidates(tx, shown & table.c.digest.in_(these))]
    return tuple(sorted(found, key=lambda one: one.id))


def waiting(tx: Transaction) -> tuple[Candidate, ...]:
    """Return those that fit and are due or wait for something, in order of id."""
    waits = or_(table.c.due, func.coalesce(table.c.waiting_for, "") != "")
    return tuple(candidates(tx, table.c.compatible & waits))


def set_skipped(tx: Transaction, candidate_id: int, skipped: bool = True) -> bool:
    """Leave a candidate out, or in again; return False when there is none with this id."""
    changed = tx.execute(update(table).where(table.c.id == candidate_id).values(skipped=skipped))
    return changed.rowcount == 1


def _stored(tx: Transaction, wanted: Sequence[Candidate]) -> Iterator[Candidate]:
    content = tuple_(table.c.engine, table.c.fingerprint)
    for some in chunks(wanted, CHUNK // 2):
        yield from candidates(tx, content.in_([(one.engine, one.fingerprint) for one in some]))


def _fill_first_sight(tx: Transaction, wanted: tuple[Candidate, ...]) -> None:
    """Give a first sight to those that had none, such as one that was first tried by hand."""
    rows = {(one.engine, one.fingerprint): one.first_seen for one in wanted if one.first_seen}
    unseen = tx.execute(select(table.c.id, table.c.engine, table.c.fingerprint).where(table.c.first_seen.is_(None)))
    for row in unseen.all():
        if when := rows.get((row.engine, row.fingerprint)):
            tx.execute(update(table).where(table.c.id == row.id).values(first_seen=when))


def _values(one: Candidate) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _FIELDS if name != "id"}
