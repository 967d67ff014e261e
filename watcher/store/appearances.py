"""When things appeared in each source, without reading all that it ever showed."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ScalarSelect, func, select

from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.store.columns import Moment
from watcher.store.database import Transaction
from watcher.store.tables import facts, sources
from watcher.store.upsert import CHUNK, chunks

_APPEARED_AT = facts.c.appeared_at
_UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Last:
    """When the last fact of a source appeared, of all and of what is no pre-release; None where that is not known."""

    of_all: datetime | None
    of_final: datetime | None


Day = tuple[datetime | None, bool]
"""When the last of a day appeared, and whether it is a pre-release; None where there is no date."""


def last_appearances(tx: Transaction, kinds: frozenset[FactKind]) -> dict[str, Last]:
    """Return when something of these kinds appeared last in each source."""
    query = select(sources.c.name, _last(kinds), _last(kinds, is_final=True))
    return {row[0]: Last(*row[1:]) for row in tx.execute(query)}


def _last(kinds: frozenset[FactKind], is_final: bool = False) -> ScalarSelect[datetime | None]:
    query = select(_APPEARED_AT).where(facts.c.source == sources.c.name, facts.c.kind.in_(sorted(kinds)))
    if is_final:
        query = query.where(facts.c.prerelease.is_(False))
    return query.order_by(_APPEARED_AT.desc()).limit(1).scalar_subquery()


def dated_facts(tx: Transaction, source: str, since: datetime | None = None) -> Iterator[KnownFact]:
    """Yield the facts of a source from `since` on (None: all), with nothing but kind, name and when they appeared."""
    query = select(facts.c.kind, facts.c.appeared_at, facts.c.name, facts.c.prerelease).where(facts.c.source == source)
    for kind, when, name, prerelease in tx.execute(query if since is None else query.where(since <= _APPEARED_AT)):
        fact = Fact(kind, name, prerelease=prerelease, published_at=when)
        yield KnownFact(fact, when or _UNDATED, baseline=when is None)


def days_of(tx: Transaction, names: Collection[str], kinds: frozenset[FactKind]) -> dict[str, list[Day]]:
    """Return, of each of these sources, the days on which something of these kinds appeared.

    That serves where all names count alike.
    """
    last = func.max(_APPEARED_AT, type_=Moment)
    query = select(facts.c.source, last, facts.c.prerelease).where(facts.c.kind.in_(sorted(kinds)))
    query = query.group_by(facts.c.source, func.substr(_APPEARED_AT, 1, 10), facts.c.prerelease)
    found: dict[str, list[Day]] = {}
    for some in chunks(sorted(names), CHUNK):
        for source, when, is_prerelease in tx.execute(query.where(facts.c.source.in_(some))).all():
            found.setdefault(source, []).append((when, is_prerelease))
    return found
