"""What the sources show: facts, events, what is remembered of each source, and what their hosts ask of us."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, insert, select

from watcher.model.budget import Budget
from watcher.model.facts import Event, Fact, KnownFact, SourceState, Traffic
from watcher.store.database import Transaction
from watcher.store.tables import budgets as told_budgets
from watcher.store.tables import events, facts, sources
from watcher.store.tables import holds as held_hosts
from watcher.store.upsert import CHUNK, chunks, upsert

_FACT = (
    facts.c.kind,
    facts.c.name,
    facts.c.version,
    facts.c.digest,
    facts.c.url,
    facts.c.published_at,
    facts.c.yanked,
    facts.c.prerelease,
    facts.c.detail,
)
_KNOWN = (facts.c.first_seen, facts.c.missed, facts.c.withdrawn, facts.c.baseline)
_FIELDS = len(_FACT)
# made once: a round asks them of each source
_OF_SOURCE = select(facts.c.key, *_FACT, *_KNOWN).where(facts.c.source == bindparam("name"))
_MISSED = _OF_SOURCE.where(facts.c.missed > 0, facts.c.withdrawn.is_(False))
_COUNT = select(func.count()).where(facts.c.source == bindparam("name"), facts.c.withdrawn.is_(False))


def known_facts(tx: Transaction, source: str) -> dict[str, KnownFact]:
    """Return what is stored of a source, by the fact's key."""
    return {row[0]: _known(row[1:]) for row in tx.execute(_OF_SOURCE, {"name": source}).all()}


def missed_facts(tx: Transaction, source: str) -> dict[str, KnownFact]:
    """Return, by key, the facts that the last looks at a source did not show, and that may be there all the same."""
    return {row[0]: _known(row[1:]) for row in tx.execute(_MISSED, {"name": source}).all()}


def facts_where(
    tx: Transaction, condition: ColumnElement[bool], limit: int | None = None
) -> Iterator[tuple[str, KnownFact]]:
    """Yield the facts for which a condition on the table holds, with their sources' names."""
    found = tx.execute(select(facts.c.source, *_FACT, *_KNOWN).where(condition).limit(limit))
    return ((row[0], _known(row[1:])) for row in found.all())


def facts_of(
    tx: Transaction, names: Collection[str], condition: ColumnElement[bool]
) -> Iterator[tuple[str, KnownFact]]:
    """Yield the facts of these sources for which a condition holds, with their sources' names, in order of both."""
    query = select(facts.c.source, *_FACT, *_KNOWN).where(condition).order_by(facts.c.source, facts.c.key)
    for some in chunks(sorted(names), CHUNK):
        found = tx.execute(query.where(facts.c.source.in_(some)))
        for rows in found.partitions(CHUNK):  # rows that are fetched one by one take longer
            yield from ((row[0], _known(row[1:])) for row in rows)


def baseline_published_since(tx: Transaction, when: datetime, limit: int) -> tuple[tuple[str, Fact], ...]:
    """Return, beside their sources' names, the newest facts that the first look found and upstream dates so late."""
    query = select(facts.c.source, *_FACT).where(facts.c.published_at >= when)
    query = query.where(facts.c.baseline.is_(True), facts.c.withdrawn.is_(False))
    found = tx.execute(query.order_by(facts.c.published_at.desc(), facts.c.source, facts.c.key).limit(limit))
    return tuple((row[0], _fact(row[1:])) for row in found.all())


def counts(tx: Transaction) -> dict[str, int]:
    """Return how many facts each source shows, counted by the database."""
    shown = select(facts.c.source, func.count()).where(facts.c.withdrawn.is_(False))
    return {row[0]: row[1] for row in tx.execute(shown.group_by(facts.c.source))}


def count_of(tx: Transaction, source: str) -> int:
    """Return how many facts one source shows."""
    return tx.execute(_COUNT, {"name": source}).scalar_one()


def save_look(
    tx: Transaction, state: SourceState, known: Iterable[KnownFact], found: Iterable[Event]
) -> tuple[Event, ...]:
    """Keep what one look brought and return its events with their ids.

    `known` may hold all facts of the source or only those that changed: an equal row is not written again.
    """
    upsert(tx, facts, [_row_of(state.name, fact) for fact in known])
    save_source_state(tx, state)
    return _added(tx, tuple(found))


def source_states(tx: Transaction) -> dict[str, SourceState]:
    """Return what is remembered of each source, by its name."""
    return {row.name: _state(row) for row in tx.execute(select(sources).order_by(sources.c.name))}


def save_source_state(tx: Transaction, state: SourceState) -> None:
    row = {
        "name": state.name,
        "kind": state.kind,
        "cursor": state.cursor,
        "baseline_at": state.baseline_at,
        "last_look": state.last_look,
        "last_ok": state.last_ok,
        "last_change": state.last_change,
        "failures": state.failures,
        "told": state.told,
        "error": state.error,
        "requests": state.traffic.requests,
        "not_modified": state.traffic.not_modified,
        "bytes": state.traffic.bytes,
        "moved_to_host": state.moved_to_host,
        "newest": state.newest,
        "newest_at": state.newest_at,
    }
    upsert(tx, sources, [row])


def events_since(tx: Transaction, when: datetime | None = None, limit: int | None = None) -> tuple[Event, ...]:
    """Return the events from `when` on (None: all), oldest first; of more than `limit` the newest."""
    query = select(events).order_by(events.c.id.desc()).limit(limit)
    if when is not None:
        query = query.where(events.c.seen_at >= when)
    return tuple(reversed(_events(tx, query)))


def events_by_id(tx: Transaction, ids: Iterable[int]) -> tuple[Event, ...]:
    """Return the events with these ids, oldest first; an id that is not there is passed over."""
    wanted = sorted(set(ids))
    return tuple(
        event
        for some in chunks(wanted, CHUNK)
        for event in _events(tx, select(events).where(events.c.id.in_(some)).order_by(events.c.id))
    )


def holds(tx: Transaction) -> dict[str, datetime]:
    """Return until when which host must not be asked."""
    return {row.host: row.until for row in tx.execute(select(held_hosts))}


def save_holds(tx: Transaction, current: Mapping[str, datetime]) -> None:
    """Keep exactly these holds: one that is not named any more has ended, so read what others kept before."""
    tx.execute(delete(held_hosts))
    if current:
        tx.execute(insert(held_hosts), [{"host": host, "until": until} for host, until in current.items()])


def budgets(tx: Transaction) -> tuple[Budget, ...]:
    """Return what hosts last told of their rate limits, in order of the host."""
    found = tx.execute(select(told_budgets).order_by(told_budgets.c.host))
    return tuple(Budget(row.host, row.limit, row.remaining, row.resets_at, row.seen_at) for row in found)


def save_budgets(tx: Transaction, current: Iterable[Budget]) -> None:
    """Keep exactly these budgets: what is not named any more is history, so read what others kept before."""
    tx.execute(delete(told_budgets))
    if rows := [asdict(budget) for budget in current]:
        tx.execute(insert(told_budgets), rows)


def _row_of(source: str, known: KnownFact) -> dict[str, Any]:
    fact = known.fact
    return {
        "source": source,
        "key": fact.key,
        "kind": fact.kind,
        "name": fact.name,
        "version": fact.version,
        "digest": fact.digest,
        "url": fact.url,
        "published_at": fact.published_at,
        "yanked": fact.yanked,
        "prerelease": fact.prerelease,
        "detail": fact.detail,
        "first_seen": known.first_seen,
        "missed": known.missed,
        "withdrawn": known.withdrawn,
        "baseline": known.baseline,
    }


def _fact(values: tuple[Any, ...]) -> Fact:
    return Fact(*values)


def _known(values: tuple[Any, ...]) -> KnownFact:
    return KnownFact(_fact(values[:_FIELDS]), *values[_FIELDS:])


def _state(row: Row[Any]) -> SourceState:
    return SourceState(
        name=row.name,
        kind=row.kind,
        cursor=row.cursor,
        baseline_at=row.baseline_at,
        last_look=row.last_look,
        last_ok=row.last_ok,
        last_change=row.last_change,
        failures=row.failures,
        told=row.told,
        error=row.error,
        traffic=Traffic(row.requests, row.not_modified, row.bytes),
        moved_to_host=row.moved_to_host,
        newest=row.newest,
        newest_at=row.newest_at,
    )


def _added(tx: Transaction, found: tuple[Event, ...]) -> tuple[Event, ...]:
    if not found:
        return ()
    rows = [
        {
            "source": event.source,
            "kind": event.kind,
            "fact": event.fact,
            "seen_at": event.seen_at,
            "previous_digest": event.previous_digest,
        }
        for event in found
    ]
    ids = tx.execute(insert(events).returning(events.c.id, sort_by_parameter_order=True), rows).scalars()
    return tuple(replace(event, id=number) for event, number in zip(found, ids, strict=True))


def _events(tx: Transaction, query: Select[Any]) -> tuple[Event, ...]:
    return tuple(
        Event(row.source, row.kind, row.fact, row.seen_at, row.previous_digest, row.id)
        for row in tx.execute(query).all()
    )
