"""Look at the sources: poll side by side, store each look whole, read what may carry the bug."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from queue import SimpleQueue

from watcher.config.sources import SourceConfig
from watcher.errors import SourceError
from watcher.fetch.client import HostHolds
from watcher.jobs.health import rhythm_of
from watcher.jobs.keep_looks import Kept, Polled, keep_asked, keep_looks, own_fault
from watcher.jobs.means import Means
from watcher.jobs.read_wheels import WheelReader
from watcher.model.facts import Event, Look, Traffic
from watcher.planner.rhythm import is_due, start_offset
from watcher.ports import Source
from watcher.store import facts as fact_store

_SIDE_BY_SIDE = 128
"""The fetcher holds each host to a few requests; threads that wait cost little."""


def look_at(
    means: Means, configs: Iterable[SourceConfig], spread: timedelta = timedelta(0)
) -> tuple[tuple[Look, ...], tuple[Event, ...]]:
    """Look at the given sources; one that fails never hides another. Return the looks and the events, stored.

    `spread` is the time over which they start.
    """
    chosen = [config for config in configs if config.enabled]
    with means.store.transaction() as tx:
        states = fact_store.source_states(tx)
        holds = HostHolds(fact_store.holds(tx), means.clock, fact_store.budgets(tx))
    order = {config.name: place for place, config in enumerate(chosen)}
    begun = means.clock.monotonic()

    def poll(config: SourceConfig) -> Polled:
        _wait_until(means, begun + start_offset(config.name, spread).total_seconds())
        cursor = states[config.name].cursor if config.name in states else None
        return polled_from(means.build_source(config, holds), config, cursor)

    arrived: SimpleQueue[Future[Polled]] = SimpleQueue()
    done: list[Kept] = []
    reader = WheelReader(means, holds)
    pool = ThreadPoolExecutor(max_workers=max(1, min(_SIDE_BY_SIDE, len(chosen))))
    try:
        for config in chosen:
            pool.submit(poll, config).add_done_callback(arrived.put)
        while len(done) < len(chosen):
            looked = keep_looks(means, _next_group(arrived), states, holds)
            spent = reader.read_new(kept.config for kept in looked if not kept.look.error)
            done += (_with_traffic(kept, spent.get(kept.config.name, Traffic())) for kept in looked)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who is asked to end waits for no upstream
    with means.store.transaction() as tx:
        keep_asked(tx, holds)  # what the reading of wheels brought is still to be kept
    done.sort(key=lambda kept: order[kept.config.name])
    return tuple(kept.look for kept in done), tuple(event for kept in done for event in kept.events)


def due_sources(means: Means, now: datetime) -> tuple[SourceConfig, ...]:
    """Return the sources whose time has come, by their last stored look."""
    with means.store.transaction() as tx:
        states = fact_store.source_states(tx)
    return tuple(one for one in means.settings.sources if is_due(states.get(one.name), rhythm_of(means, one), now))


def polled_from(source: Source, config: SourceConfig, cursor: str | None) -> Polled:
    """Look once; whatever goes wrong is part of what is returned."""
    try:
        poll = source.poll(cursor)
    except SourceError as error:
        return Polled(config, source.traffic, error=error)
    except Exception as error:  # noqa: BLE001  a bug of ours in one parser must not hide the other sources
        return Polled(config, source.traffic, error=own_fault(error))
    return Polled(config, source.traffic, poll=poll)


def _wait_until(means: Means, starts_at: float) -> None:
    if (left := starts_at - means.clock.monotonic()) > 0:
        means.clock.sleep(left)


def _next_group(arrived: "SimpleQueue[Future[Polled]]") -> list[Polled]:
    """Wait for a poll to end, and return it with those that ended meanwhile."""
    group = [arrived.get()]
    while not arrived.empty():
        group.append(arrived.get())
    return [future.result() for future in group]


def _with_traffic(kept: Kept, spent: Traffic) -> Kept:
    """Return a look with what it cost to read what it showed."""
    one = kept.look.traffic
    both = Traffic(one.requests + spent.requests, one.not_modified + spent.not_modified, one.bytes + spent.bytes)
    return replace(kept, look=replace(kept.look, traffic=both))
