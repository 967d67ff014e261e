"""When things appeared in each source, without reading all that it ever showed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Row, Select, case, func, select

from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.store.columns import Moment
from watcher.store.database import Transaction
from watcher.store.tables import facts

_STAMP = func.coalesce(facts.c.published_at, case((facts.c.baseline.is_(False), facts.c.first_seen)), type_=Moment)
"""Upstream's own stamp, else when it was first seen; what was there at the first look may be of any age."""
_SEEN = (
    facts.c.kind,
    facts.c.name,
    facts.c.prerelease,
    facts.c.published_at,
    facts.c.first_seen,
    facts.c.baseline,
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many facts a source shows, and when the last appeared, of all and of what is no pre-release."""

    shown: int
    last: datetime | None
    last_final: datetime | None


def tallies(tx: Transaction, kinds: frozenset[FactKind]) -> dict[str, Tally]:
    """Return the tally of each source, in one pass over the facts; what appeared counts of these kinds only."""
    shown = func.sum(facts.c.withdrawn.is_(False), type_=Integer)
    counts = facts.c.kind.in_(sorted(kinds))
    last = func.max(case((counts, _STAMP)), type_=Moment)
    final = func.max(case((counts & facts.c.prerelease.is_(False), _STAMP)), type_=Moment)
    query = select(facts.c.source, shown, last, final).group_by(facts.c.source)
    return {row[0]: Tally(*row[1:]) for row in tx.execute(query)}


def dated_facts(tx: Transaction, source: str, since: datetime | None = None) -> Iterator[KnownFact]:
    """Yield the facts of a source from `since` on (None: all), with nothing but kind, name and when they appeared."""
    query = select(*_SEEN).where(facts.c.source == source)
    yield from _known(tx, query if since is None else query.where(since <= _STAMP))


def days_of(tx: Transaction, source: str, kinds: frozenset[FactKind], prereleases: bool) -> Iterator[KnownFact]:
    """Yield, of each day, the fact that appeared last, where all names count alike; and any one without a date."""
    query = select(*_SEEN, func.max(_STAMP)).where(facts.c.source == source, facts.c.kind.in_(sorted(kinds)))
    yield from _known(tx, select(*_SEEN).where(facts.c.source == source, facts.c.kind.in_(sorted(kinds))).limit(1))
    if not prereleases:
        query = query.where(facts.c.prerelease.is_(False))
    yield from _known(tx, query.group_by(func.substr(_STAMP, 1, 10)))


def _known(tx: Transaction, query: Select[tuple[object, ...]]) -> Iterator[KnownFact]:
    return map(_light, tx.execute(query))


def _light(row: Row[tuple[object, ...]]) -> KnownFact:
    fact = Fact(row.kind, row.name, prerelease=row.prerelease, published_at=row.published_at)
    return KnownFact(fact, row.first_seen, baseline=row.baseline)
