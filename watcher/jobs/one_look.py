"""One look at a source that stores nothing: what it sees, in full and after its filters."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from watcher.config.settings import Settings
from watcher.config.sources import SourceConfig, WheelSource
from watcher.errors import OtherRevision
from watcher.fetch.client import HostHolds
from watcher.model.facts import Fact, KnownFact
from watcher.planner.health import newest
from watcher.planner.inspections import next_wheel
from watcher.planner.news import is_wanted
from watcher.planner.versions import order_key
from watcher.ports import Clock
from watcher.store import facts as fact_store
from watcher.store.database import FILE_NAME, open_store_readonly


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look shows.

    Attributes:
        facts: all of them, newest first by the family's own order.
        wanted: how many `include` and `exclude` let through.
        newest: of those that would be news the last, by upstream's stamps where it has them.
        reads_first: the wheel whose bytes a first check would read before all others.
    """

    facts: tuple[Fact, ...]
    wanted: int
    prereleases: int
    newest: Fact | None
    reads_first: Fact | None


def seen(config: SourceConfig, facts: Iterable[Fact], component: str, now: datetime) -> Seen:
    """Return what a look shows that knows of no earlier one."""
    shown = tuple(sorted(facts, key=order_key, reverse=True))
    as_new = [KnownFact(fact, now, baseline=True) for fact in shown]
    return Seen(
        facts=shown,
        wanted=sum(is_wanted(fact.name, config.include, config.exclude) for fact in shown),
        prereleases=sum(fact.prerelease for fact in shown),
        newest=last.fact if (last := newest(config, as_new)) else None,
        reads_first=next_wheel(as_new, (), component, frozenset()) if isinstance(config, WheelSource) else None,
    )


def holds_as_stored(settings: Settings, clock: Clock) -> HostHolds:
    """Return the hosts to leave alone as the database says, which is only read.

    None where there is no database, or one of another release. Raises StoreError where it cannot be read otherwise.
    """
    data_dir = settings.store.data_dir
    if not (data_dir / FILE_NAME).exists():
        return HostHolds({}, clock)
    try:
        store = open_store_readonly(data_dir)
    except OtherRevision:
        return HostHolds({}, clock)
    try:
        with store.reading() as tx:
            return HostHolds(fact_store.holds(tx), clock)
    finally:
        store.close()
