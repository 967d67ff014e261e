"""When things appeared in each source, without reading all that it ever showed."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.store.transaction import Reading
from watcher.store.values import listed, moment_if_any, words

_UNDATED = datetime.min.replace(tzinfo=UTC)
_KINDS = words(FactKind)


@dataclass(frozen=True, slots=True)
class Last:
    """When the last fact of a source appeared, of all and of what is no pre-release; None where that is not known."""

    of_all: datetime | None
    of_final: datetime | None


Day = tuple[datetime | None, bool]
"""When the last of a day appeared, and whether it is a pre-release; None where there is no date."""


def last_appearances(tx: Reading, kinds: frozenset[FactKind]) -> dict[str, Last]:
    """Return when something of these kinds appeared last in each source."""
    last = """
        SELECT appeared_at FROM facts f WHERE f.source = sources.name
        AND f.kind IN (SELECT value FROM json_each(:kinds)) {} ORDER BY appeared_at DESC LIMIT 1
    """
    query = f"SELECT name, ({last.format('')}), ({last.format('AND NOT prerelease')}) FROM sources"
    found = tx.rows(query, {"kinds": listed(kinds)})
    return {name: Last(moment_if_any(of_all), moment_if_any(of_final)) for name, of_all, of_final in found}


def dated_facts(tx: Reading, source: str, since: datetime | None = None) -> Iterator[KnownFact]:
    """Yield the facts of a source from `since` on (None: all), with nothing but kind, name and when they appeared."""
    query = "SELECT kind, appeared_at, name, prerelease FROM facts WHERE source = :source"
    found = tx.rows(
        query if since is None else f"{query} AND appeared_at >= :since", {"source": source, "since": since}
    )
    for kind, appeared_at, name, prerelease in found:
        when = moment_if_any(appeared_at)
        fact = Fact(_KINDS[kind], name, prerelease=bool(prerelease), published_at=when)
        yield KnownFact(fact, when or _UNDATED, baseline=when is None)


def days_of(tx: Reading, names: Collection[str], kinds: frozenset[FactKind]) -> dict[str, list[Day]]:
    """Return, of each of these sources, the days on which something of these kinds appeared.

    That serves where all names count alike.
    """
    query = """
        SELECT max(appeared_at), prerelease FROM facts INDEXED BY ix_facts_appeared_at
        WHERE source = :source AND kind IN (SELECT value FROM json_each(:kinds))
        GROUP BY substr(appeared_at, 1, 10), prerelease
    """
    found: dict[str, list[Day]] = {}
    for name in sorted(names):
        if rows := tx.rows(query, {"source": name, "kinds": listed(kinds)}):
            found[name] = [(moment_if_any(last), bool(prerelease)) for last, prerelease in rows]
    return found
