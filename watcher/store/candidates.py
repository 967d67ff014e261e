"""Candidates, found again by their content: id, first sight and a person's `skip` outlive every planning."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields
from typing import Any

from watcher.model.trial import Candidate, Overlay
from watcher.store.transaction import Reading, Row, Transaction, Values
from watcher.store.values import json_text, listed, moment_if_any, reader

_FIELDS = tuple(field.name for field in fields(Candidate))
_COLUMNS = ", ".join(_FIELDS)
_REASONS = tuple[str, ...]
_read_reasons, _read_overlay = reader(_REASONS), reader(Overlay)


def upsert_candidates(tx: Transaction, found: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Keep candidates and return them as stored, in the order given.

    One with the same engine and fingerprint keeps its id, its first sight and whether it is skipped.
    """
    wanted = tuple(found)
    content = ("engine", "fingerprint")
    tx.upsert("candidates", [_row_of(one) for one in wanted], content, kept=("skipped",), filled=("first_seen",))
    query = f"SELECT {_COLUMNS} FROM candidates WHERE engine = ? AND fingerprint = ?"
    return tuple(_candidate(row) for one in wanted for row in tx.rows(query, (one.engine, one.fingerprint)))


def candidates(tx: Reading, condition: str = "true", values: Values = ()) -> Iterator[Candidate]:
    """Yield every candidate there ever was, or those for which a condition on the table holds, in order of id."""
    return map(_candidate, tx.each(f"SELECT {_COLUMNS} FROM candidates WHERE {condition} ORDER BY id", values))


def candidates_by_id(tx: Reading, ids: Iterable[int]) -> dict[int, Candidate]:
    """Return the candidates with these ids; an id that is not there is passed over."""
    found = candidates(tx, "id IN (SELECT value FROM json_each(?))", (listed(ids),))
    return {one.id: one for one in found}


def skipped_ones(tx: Reading) -> frozenset[tuple[str, str]]:
    """Return engine and fingerprint of what a person left out."""
    return frozenset((row[0], row[1]) for row in tx.rows("SELECT engine, fingerprint FROM candidates WHERE skipped"))


def images_of(tx: Reading, digests: Collection[str]) -> tuple[Candidate, ...]:
    """Return the images with these digests that a source showed at some time, in order of id."""
    shown = "source != '' AND overlay IS NULL AND digest IN (SELECT value FROM json_each(?))"
    return tuple(candidates(tx, shown, (listed(digests),)))


def waiting(tx: Reading) -> tuple[Candidate, ...]:
    """Return those that fit and are due or wait for something, in order of id."""
    return tuple(candidates(tx, "compatible AND (due OR coalesce(waiting_for, '') != '')"))


def set_skipped(tx: Transaction, candidate_id: int, skipped: bool = True) -> bool:
    """Leave a candidate out, or in again; return False when there is none with this id."""
    return tx.update("candidates", candidate_id, {"skipped": skipped}) == 1


def _row_of(one: Candidate) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in _FIELDS if name != "id"}
    return row | {"reasons": json_text(_REASONS, one.reasons), "overlay": json_text(Overlay, one.overlay)}


def _candidate(row: Row) -> Candidate:
    engine, image, digest, fingerprint, source, compatible, reasons, due, waiting_for, version, *rest = row
    published_at, first_seen, baseline, skipped, number, overlay = rest
    return Candidate(
        engine,
        image,
        digest,
        fingerprint,
        source,
        bool(compatible),
        _read_reasons(reasons),
        bool(due),
        waiting_for,
        version,
        moment_if_any(published_at),
        moment_if_any(first_seen),
        bool(baseline),
        bool(skipped),
        number,
        _read_overlay(overlay),
    )
