"""Look at the sources: poll side by side, store each on its own, read what may carry the bug."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.config.sources import SourceConfig
from watcher.errors import SourceError, SourceUnavailable
from watcher.fetch.client import HostHolds
from watcher.jobs.announce import NEWS, SOURCE_FAILED, SOURCE_RECOVERED
from watcher.jobs.means import Means
from watcher.jobs.read_wheels import read_new_wheels
from watcher.model.facts import Event, Look, LookError, LookOutcome, Poll, SourceState, Traffic
from watcher.model.notice import Notice, NoticeKind
from watcher.planner.news import changes
from watcher.store import facts as fact_store
from watcher.store import outbox

TOLD_AFTER = 3
_SIDE_BY_SIDE = 64
"""The fetcher holds each host to a few requests; threads that wait cost little."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of one poll: the facts, or why there are none."""

    config: SourceConfig
    traffic: Traffic
    poll: Poll | None = None
    error: SourceError | None = None


def look_at(means: Means, configs: Iterable[SourceConfig]) -> tuple[tuple[Look, ...], tuple[Event, ...]]:
    """Look at the given sources; one that fails never hides another. Return the looks and the events, stored."""
    chosen = [config for config in configs if config.enabled]
    with means.store.transaction() as tx:
        states = fact_store.source_states(tx)
        holds = HostHolds(fact_store.holds(tx), means.clock)
    cursors = {name: state.cursor for name, state in states.items()}
    looks: list[Look] = []
    events: list[Event] = []
    pool = ThreadPoolExecutor(max_workers=max(1, min(_SIDE_BY_SIDE, len(chosen))))
    try:
        for polled in pool.map(lambda config: _poll(means, config, holds, cursors.get(config.name)), chosen):
            look, found = _stored(means, polled, states.get(polled.config.name), holds)
            looks.append(look)
            events += found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who is asked to end waits for no upstream
    with means.store.transaction() as tx:
        fact_store.save_holds(tx, holds.pending())
    return tuple(looks), tuple(events)


def due_sources(means: Means, now: datetime) -> tuple[SourceConfig, ...]:
    """Return the sources whose time has come, by their last stored look."""
    with means.store.transaction() as tx:
        states = fact_store.source_states(tx)
    return tuple(config for config in means.settings.sources if _is_due(means, config, states.get(config.name), now))


def _is_due(means: Means, config: SourceConfig, state: SourceState | None, now: datetime) -> bool:
    every = config.every or means.settings.schedule.every
    # a quarter is forgiven, so that the jitter of the schedule does not skip a turn
    return state is None or state.last_look is None or now - state.last_look >= every - every / 4


def _poll(means: Means, config: SourceConfig, holds: HostHolds, cursor: str | None) -> Polled:
    source = means.build_source(config, holds)
    try:
        poll = source.poll(cursor)
    except SourceError as error:
        return Polled(config, source.traffic, error=error)
    except Exception as error:  # noqa: BLE001  a bug of ours in one parser must not hide the other sources
        fault = SourceError(f"an error of the watcher itself: {type(error).__name__}: {error}")
        return Polled(config, source.traffic, error=fault)
    return Polled(config, source.traffic, poll=poll)


def _stored(
    means: Means, polled: Polled, state: SourceState | None, holds: HostHolds
) -> tuple[Look, tuple[Event, ...]]:
    """Store one look in one transaction: facts, events, cursor and the notices they make."""
    config, now = polled.config, means.clock.now()
    before = state or SourceState(config.name, config.kind)
    if polled.poll is None:
        return _failed(means, polled, before, polled.error, now)
    with means.store.transaction() as tx:
        known = fact_store.known_facts(tx, config.name)
        is_baseline = before.baseline_at is None
        try:
            news = changes(
                config.name,
                known,
                polled.poll,
                baseline=is_baseline,
                now=now,
                include=config.include,
                exclude=config.exclude,
                prereleases=config.prereleases,
            )
        except SourceError as error:
            failure: SourceError | None = error
        else:
            failure = None
            after = _looked(before, polled, now, changed=bool(news.events))
            events = fact_store.save_look(tx, after, news.facts, news.events)
            if events:
                subjects = tuple(str(event.id) for event in events)
                outbox.enqueue(
                    tx, Notice(NoticeKind.NEWS, f"look:{config.name}:{now.isoformat()}", NEWS, subjects, now)
                )
            if before.told:
                key = f"source:{config.name}:recovered:{now.isoformat()}"
                outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, key, SOURCE_RECOVERED, (config.name,), now))
            shown = known | {fact.fact.key: fact for fact in news.facts}
    if failure is not None:
        return _failed(means, polled, before, failure, now)
    spent = _added(polled.traffic, read_new_wheels(means, config, tuple(shown.values()), holds))
    outcome = LookOutcome.BASELINE if is_baseline else LookOutcome.CHANGED if events else LookOutcome.UNCHANGED
    count = sum(not fact.withdrawn for fact in shown.values())
    return Look(config.name, config.kind, outcome, count, spent), events


def _looked(before: SourceState, polled: Polled, now: datetime, changed: bool) -> SourceState:
    assert polled.poll is not None
    return replace(
        before,
        kind=polled.config.kind,
        cursor=polled.poll.cursor,
        baseline_at=before.baseline_at or now,
        last_look=now,
        last_ok=now,
        last_change=now if changed else before.last_change,
        failures=0,
        told=False,
        error=None,
        traffic=polled.traffic,
    )


def _failed(
    means: Means, polled: Polled, before: SourceState, error: SourceError | None, now: datetime
) -> tuple[Look, tuple[Event, ...]]:
    assert error is not None
    wait = error.retry_after if isinstance(error, SourceUnavailable) else None
    why = LookError(type(error).__name__, str(error), int(wait.total_seconds()) if wait else None)
    failures = before.failures + 1
    tells_now = failures >= TOLD_AFTER and not before.told
    after = replace(
        before, last_look=now, failures=failures, told=before.told or tells_now, error=why, traffic=polled.traffic
    )
    with means.store.transaction() as tx:
        fact_store.save_source_state(tx, after)
        if tells_now:
            key = f"source:{before.name}:failed:{(before.last_ok or now).isoformat()}"
            outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, key, SOURCE_FAILED, (before.name,), now))
        count = sum(not fact.withdrawn for fact in fact_store.known_facts(tx, before.name).values())
    look = Look(before.name, before.kind, LookOutcome.FAILED, count, polled.traffic, why, told=before.told)
    return look, ()


def _added(one: Traffic, other: Traffic) -> Traffic:
    return Traffic(one.requests + other.requests, one.not_modified + other.not_modified, one.bytes + other.bytes)
