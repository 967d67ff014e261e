"""What the sources show: facts, events, what is remembered of each source, and what their hosts ask of us."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from watcher.model.budget import Budget
from watcher.model.facts import Event, EventKind, Fact, FactKind, KnownFact, LookError, SourceState, Traffic
from watcher.store.transaction import Reading, Row, Transaction, Values
from watcher.store.values import details, details_text, json_text, listed, moment, moment_if_any, reader, words

_FACT = "kind, name, version, digest, url, published_at, yanked, prerelease, detail"
_FIELDS = 9
_KNOWN = f"{_FACT}, first_seen, missed, withdrawn, baseline"
_EVENT = "source, kind, fact, seen_at, previous_digest, id"
_STATE = (
    "name, kind, cursor, baseline_at, last_look, last_ok, last_change, failures, told, error, requests, not_modified,"
    " bytes, moved_to_host, newest, newest_at"
)
_KINDS, _CHANGES = words(FactKind), words(EventKind)
_read_fact, _read_error = reader(Fact), reader(LookError)


def known_facts(tx: Reading, source: str) -> dict[str, KnownFact]:
    """Return what is stored of a source, by the fact's key."""
    return {row[0]: _known(row[1:]) for row in tx.rows(f"SELECT key, {_KNOWN} FROM facts WHERE source = ?", (source,))}


def missed_facts(tx: Reading, source: str) -> dict[str, KnownFact]:
    """Return, by key, the facts that the last looks at a source did not show, and that may be there all the same."""
    query = f"SELECT key, {_KNOWN} FROM facts WHERE source = ? AND missed > 0 AND NOT withdrawn"
    return {row[0]: _known(row[1:]) for row in tx.rows(query, (source,))}


def facts_where(tx: Reading, condition: str, values: Values = ()) -> Iterator[tuple[str, KnownFact]]:
    """Yield the facts for which a condition on the table holds, with their sources' names."""
    found = tx.rows(f"SELECT source, {_KNOWN} FROM facts WHERE {condition}", values)
    return ((row[0], _known(row[1:])) for row in found)


def facts_of(
    tx: Reading, names: Collection[str], condition: str, values: Mapping[str, Any]
) -> Iterator[tuple[str, KnownFact]]:
    """Yield the facts of these sources for which a condition holds, with their sources' names, in order of both."""
    query = f"SELECT {_KNOWN} FROM facts WHERE source = :source AND {condition} ORDER BY key"
    for name in sorted(names):
        yield from ((name, _known(row)) for row in tx.each(query, {**values, "source": name}))


def baseline_published_since(tx: Reading, when: datetime, limit: int) -> tuple[tuple[str, Fact], ...]:
    """Return, beside their sources' names, the newest facts that the first look found and upstream dates so late."""
    query = f"""
        SELECT source, {_FACT} FROM facts WHERE published_at >= ? AND baseline IS 1 AND withdrawn IS 0
        ORDER BY published_at DESC, source, key LIMIT ?
    """
    return tuple((row[0], _fact(row[1:])) for row in tx.rows(query, (when, limit)))


def counts(tx: Reading) -> dict[str, int]:
    """Return how many facts each source shows, counted by the database."""
    return dict(tx.rows("SELECT source, count(*) FROM facts WHERE NOT withdrawn GROUP BY source"))


def count_of(tx: Reading, source: str) -> int:
    """Return how many facts one source shows."""
    return int(tx.value("SELECT count(*) FROM facts WHERE source = ? AND NOT withdrawn", (source,)))


def save_look(
    tx: Transaction, state: SourceState, known: Iterable[KnownFact], found: Iterable[Event]
) -> tuple[Event, ...]:
    """Keep what one look brought and return its events with their ids.

    `known` may hold all facts of the source or only those that changed: an equal row is not written again.
    """
    tx.upsert("facts", [_row_of(state.name, fact) for fact in known], by=("source", "key"))
    save_source_state(tx, state)
    return _added(tx, tuple(found))


def source_states(tx: Reading) -> dict[str, SourceState]:
    """Return what is remembered of each source, by its name."""
    return {row[0]: _state(row) for row in tx.rows(f"SELECT {_STATE} FROM sources ORDER BY name")}


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
        "error": json_text(LookError, state.error),
        "requests": state.traffic.requests,
        "not_modified": state.traffic.not_modified,
        "bytes": state.traffic.bytes,
        "moved_to_host": state.moved_to_host,
        "newest": state.newest,
        "newest_at": state.newest_at,
    }
    tx.upsert("sources", [row], by=("name",))


def events_since(tx: Reading, when: datetime | None = None, limit: int | None = None) -> tuple[Event, ...]:
    """Return the events from `when` on (None: all), oldest first; of more than `limit` the newest."""
    since = "" if when is None else "WHERE seen_at >= :when"
    query = f"SELECT {_EVENT} FROM events {since} ORDER BY id DESC LIMIT :limit"
    found = tx.rows(query, {"when": when, "limit": -1 if limit is None else limit})
    return tuple(map(_event, reversed(found)))


def events_by_id(tx: Reading, ids: Iterable[int]) -> tuple[Event, ...]:
    """Return the events with these ids, oldest first; an id that is not there is passed over."""
    query = f"SELECT {_EVENT} FROM events WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
    return tuple(map(_event, tx.rows(query, (listed(ids),))))


def holds(tx: Reading) -> dict[str, datetime]:
    """Return until when which host must not be asked."""
    return {host: moment(until) for host, until in tx.rows("SELECT host, until FROM holds")}


def save_holds(tx: Transaction, current: Mapping[str, datetime]) -> None:
    """Keep exactly these holds: one that is not named any more has ended, so read what others kept before."""
    tx.change("DELETE FROM holds")
    tx.insert("holds", [{"host": host, "until": until} for host, until in current.items()])


def budgets(tx: Reading) -> tuple[Budget, ...]:
    """Return what hosts last told of their rate limits, in order of the host."""
    found = tx.rows('SELECT host, "limit", remaining, resets_at, seen_at FROM budgets ORDER BY host')
    return tuple(
        Budget(host, limit, remaining, moment_if_any(resets_at), moment(seen_at))
        for host, limit, remaining, resets_at, seen_at in found
    )


def save_budgets(tx: Transaction, current: Iterable[Budget]) -> None:
    """Keep exactly these budgets: what is not named any more is history, so read what others kept before."""
    tx.change("DELETE FROM budgets")
    tx.insert("budgets", [asdict(budget) for budget in current])


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
        "detail": details_text(fact.detail),
        "first_seen": known.first_seen,
        "missed": known.missed,
        "withdrawn": known.withdrawn,
        "baseline": known.baseline,
    }


def _fact(row: Row) -> Fact:
    kind, name, version, digest, url, published_at, yanked, prerelease, detail = row
    return Fact(
        _KINDS[kind],
        name,
        version,
        digest,
        url,
        moment_if_any(published_at),
        bool(yanked),
        bool(prerelease),
        details(detail),
    )


def _known(row: Row) -> KnownFact:
    first_seen, missed, withdrawn, baseline = row[_FIELDS:]
    return KnownFact(_fact(row[:_FIELDS]), moment(first_seen), missed, bool(withdrawn), bool(baseline))


def _state(row: Row) -> SourceState:
    (
        name,
        kind,
        cursor,
        *moments,
        failures,
        told,
        error,
        requests,
        unmodified,
        size,
        moved_to_host,
        newest,
        newest_at,
    ) = row
    baseline_at, last_look, last_ok, last_change = map(moment_if_any, moments)
    return SourceState(
        name=name,
        kind=kind,
        cursor=cursor,
        baseline_at=baseline_at,
        last_look=last_look,
        last_ok=last_ok,
        last_change=last_change,
        failures=failures,
        told=bool(told),
        error=_read_error(error),
        traffic=Traffic(requests, unmodified, size),
        moved_to_host=moved_to_host,
        newest=newest,
        newest_at=moment_if_any(newest_at),
    )


def _added(tx: Transaction, found: tuple[Event, ...]) -> tuple[Event, ...]:
    ids = tx.insert("events", [_event_row(event) for event in found])
    return tuple(replace(event, id=number) for event, number in zip(found, ids, strict=True))


def _event_row(event: Event) -> dict[str, Any]:
    return {
        "source": event.source,
        "kind": event.kind,
        "fact": json_text(Fact, event.fact),
        "seen_at": event.seen_at,
        "previous_digest": event.previous_digest,
    }


def _event(row: Row) -> Event:
    source, kind, fact, seen_at, previous_digest, number = row
    return Event(source, _CHANGES[kind], _read_fact(fact), moment(seen_at), previous_digest, number)
