"""Read what new wheels say of the bug: the bytes of the component, the pins of what depends on it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

from packaging.utils import parse_wheel_filename

from watcher.artifacts.inspect import read_static
from watcher.artifacts.pin import fetch_pin, read_pin
from watcher.artifacts.wheel import RemoteWheel
from watcher.config.sources import SourceConfig, WheelSource
from watcher.errors import SourceError
from watcher.fetch.client import Fetcher, HostHolds
from watcher.jobs.means import Means
from watcher.model.facts import Fact, KnownFact, Traffic
from watcher.model.verdict import StaticReading, StaticRecord
from watcher.planner.inspections import next_wheel, wheels_of
from watcher.planner.pins import resolved
from watcher.store import statics
from watcher.store.planning import wheel_facts

_READ_TIMEOUT = timedelta(minutes=2)
_MOST_UNREAD = 12
"""Wheels that cannot be read, before the rest is left to the next look: an index may list thousands of such."""


@dataclass(slots=True)
class WheelReader:
    """Reads the wheels of one check. The ledger is read from the database once, and kept up with here."""

    means: Means
    holds: HostHolds
    _ledger: dict[str, list[StaticRecord]] | None = None

    def read_new(self, looked: Iterable[SourceConfig]) -> dict[str, Traffic]:
        """Read what has to be read of sources, keep each result, return what it cost by the source's name.

        What fails is tried again at the next look.
        """
        indexes = {one.name: one for one in looked if isinstance(one, WheelSource)}
        shown = self._shown(indexes) if indexes else {}
        return {name: self._read_source(indexes[name], wheels) for name, wheels in shown.items()}

    def _shown(self, sources: Collection[str]) -> dict[str, dict[str, tuple[KnownFact, ...]]]:
        """Return, by source and component, the wheels that they show of what is read."""
        bug, found = self.means.settings.bug, dict[str, dict[str, tuple[KnownFact, ...]]]()
        with self.means.store.reading() as tx:
            for component in (bug.component, *bug.dependents):
                for name, known in groupby(wheel_facts(tx, sources, component), key=itemgetter(0)):
                    if wheels := wheels_of(component, (one for _, one in known)):
                        found.setdefault(name, {})[component] = wheels
        return found

    def _read_source(self, config: WheelSource, wheels: Mapping[str, tuple[KnownFact, ...]]) -> Traffic:
        fetcher = Fetcher(timeout=_READ_TIMEOUT, allowed_hosts=frozenset(config.allowed_hosts), holds=self.holds)
        fetcher.address(str(config.url))  # the files of an index may stand behind its login
        for component, known in wheels.items():
            self._read_component(config.name, component, known, fetcher)
        return fetcher.traffic

    def _read_component(self, source: str, component: str, known: tuple[KnownFact, ...], fetcher: Fetcher) -> None:
        passed_over: set[str] = set()
        unread = 0
        while unread < _MOST_UNREAD:
            fact = next_wheel(known, self._records(source, component), component, frozenset(passed_over))
            if fact is None:
                return
            passed_over.add(fact.name)
            reading = _read(self.means, component, fact, fetcher)
            if reading is None:
                unread += 1
            else:
                self._keep(source, component, fact, reading)

    def _records(self, source: str, component: str) -> Sequence[StaticRecord]:
        """Return what was read of a source; pins speak by the builds of all sources."""
        if self._ledger is None:
            with self.means.store.transaction() as tx:
                self._ledger = _by_source(statics.static_records(tx))
        own, bug = self._ledger.get(source, []), self.means.settings.bug
        if component == bug.component:
            return own
        builds = [one for records in self._ledger.values() for one in records if one.component == bug.component]
        return resolved([*own, *builds], bug.component)[: len(own)]

    def _keep(self, source: str, component: str, fact: Fact, reading: StaticReading) -> None:
        version = str(parse_wheel_filename(fact.name)[1].public)
        now = self.means.clock.now()
        record = StaticRecord(source, component, fact.name, version, fact.content_key, reading, now)
        with self.means.store.transaction() as tx:
            statics.save_static(tx, record)
        assert self._ledger is not None
        self._ledger.setdefault(source, []).append(record)


def _by_source(records: Iterable[StaticRecord]) -> dict[str, list[StaticRecord]]:
    found: dict[str, list[StaticRecord]] = {}
    for record in records:
        found.setdefault(record.source, []).append(record)
    return found


def _read(means: Means, component: str, fact: Fact, fetcher: Fetcher) -> StaticReading | None:
    bug = means.settings.bug
    means.say(f"reading {fact.name}")
    try:
        if component != bug.component and (reading := fetch_pin(fact, fetcher, bug)):
            return reading
        with RemoteWheel(fact.url, fetcher) as wheel:
            return read_static(wheel, bug) if component == bug.component else read_pin(wheel, bug)
    except SourceError as error:
        means.say(f"{fact.name} could not be read now: {error}")
        return None
