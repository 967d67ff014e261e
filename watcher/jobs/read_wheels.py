"""Read the bytes of new wheels of the component that carries the bug, a few ranges each."""

from datetime import timedelta

from packaging.utils import parse_wheel_filename

from watcher.artifacts.inspect import read_static
from watcher.artifacts.wheel import RemoteWheel
from watcher.config.sources import SourceConfig
from watcher.errors import SourceError
from watcher.fetch.client import Fetcher, HostHolds
from watcher.jobs.means import Means
from watcher.model.facts import Fact, KnownFact, Traffic
from watcher.model.verdict import StaticReading, StaticRecord
from watcher.planner.inspections import next_wheel
from watcher.store import statics

_READ_TIMEOUT = timedelta(minutes=2)


def read_new_wheels(means: Means, config: SourceConfig, known: tuple[KnownFact, ...], holds: HostHolds) -> Traffic:
    """Read what has to be read, keep each result, return what it cost. What fails is tried again at the next look."""
    if config.kind != "simple-index":
        return Traffic()
    component = means.settings.bug.component
    fetcher = Fetcher(timeout=_READ_TIMEOUT, allowed_hosts=frozenset(config.allowed_hosts), holds=holds)
    passed_over: set[str] = set()
    while True:
        with means.store.transaction() as tx:
            records = [record for record in statics.static_records(tx) if record.source == config.name]
        fact = next_wheel(known, records, component, frozenset(passed_over))
        if fact is None:
            return fetcher.traffic
        passed_over.add(fact.name)
        reading = _read(means, fact, fetcher)
        if reading is not None:
            _keep(means, config.name, component, fact, reading)


def _read(means: Means, fact: Fact, fetcher: Fetcher) -> StaticReading | None:
    means.say(f"reading {fact.name}")
    try:
        with RemoteWheel(fact.url, fetcher) as wheel:
            return read_static(wheel, means.settings.bug)
    except SourceError as error:
        means.say(f"{fact.name} could not be read now: {error}")
        return None


def _keep(means: Means, source: str, component: str, fact: Fact, reading: StaticReading) -> None:
    version = str(parse_wheel_filename(fact.name)[1].public)
    digest = fact.digest or f"name:{fact.name}"
    record = StaticRecord(source, component, fact.name, version, digest, reading, means.clock.now())
    with means.store.transaction() as tx:
        statics.save_static(tx, record)
