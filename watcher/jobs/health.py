"""How the sources do: which are stale, and what is to be told of that. A source that moved is told, too."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from watcher.config.sources import SourceConfig
from watcher.jobs.means import Means
from watcher.model.facts import SourceState
from watcher.model.notice import Notice, NoticeKind
from watcher.planner.health import (
    HAS_RHYTHM,
    QUIET_AT_LEAST,
    UNKNOWN,
    Course,
    Stale,
    course_of,
    news_stamps,
    staleness,
)
from watcher.store import facts as fact_store
from watcher.store import outbox
from watcher.store.appearances import Day, Last, dated_facts, days_of, last_appearances
from watcher.store.transaction import Reading, Transaction

TOLD_AFTER = 3
"""Failed looks in a row, before anything is told of them: networks come up late, upstreams have bad minutes."""
SOURCE_STALE, SOURCE_MOVED = "source-stale", "source-moved"
"""Topics of notices: their subjects are names of sources."""


def rhythm_of(means: Means, config: SourceConfig) -> timedelta:
    """Return how often a source is looked at on the schedule."""
    return config.every or means.settings.schedule.every


def stale_now(means: Means, tx: Reading, states: Mapping[str, SourceState]) -> dict[str, Stale]:
    """Return the configured sources that are stale now, by name, in the order of the configuration.

    Of a source that had news lately no fact is read.
    """
    now = means.clock.now()
    courses = _courses(tx, [one for one in means.settings.sources if one.enabled], now - QUIET_AT_LEAST)
    found = {
        one.name: staleness(one, states.get(one.name), courses.get(one.name, UNKNOWN), rhythm_of(means, one), now)
        for one in means.settings.sources
    }
    return {name: stale for name, stale in found.items() if stale is not None}


def _courses(tx: Reading, configs: Sequence[SourceConfig], since: datetime) -> dict[str, Course]:
    """Return, by source, what tells whether it went quiet: nothing of one that had news since then."""
    lasts = last_appearances(tx, HAS_RHYTHM)
    recent = {one.name for one in configs if (last := _last(lasts, one)) is not None and last >= since}
    filtered = [one for one in configs if one.include or one.exclude]
    plain = {one.name: one for one in configs if not (one.include or one.exclude or one.name in recent)}
    courses = {name: _course(plain[name], days) for name, days in days_of(tx, plain, HAS_RHYTHM).items()}
    for one in filtered:
        if one.name not in recent or not news_stamps(one, dated_facts(tx, one.name, since)):
            courses[one.name] = course_of(one, tuple(dated_facts(tx, one.name)))
    return courses


def _course(config: SourceConfig, days: Sequence[Day]) -> Course:
    stamps = sorted(when for when, is_prerelease in days if when and (config.prereleases or not is_prerelease))
    return Course({stamp.date(): stamp for stamp in stamps}, publishes=True)


def _last(lasts: Mapping[str, Last], config: SourceConfig) -> datetime | None:
    last = lasts.get(config.name, Last(None, None))
    return last.of_all if config.prereleases else last.of_final


def note_stale(means: Means) -> dict[str, Stale]:
    """Put into the outbox, once, which source went stale under our eyes; return all that are stale.

    One that could not be read is trouble, after its failure was told; one that went quiet is news. What was quiet
    already when it was first seen is only shown.
    """
    with means.store.transaction() as tx:
        states = fact_store.source_states(tx)
        found = stale_now(means, tx, states)
        for name, stale in found.items():
            state, since = states[name], stale.since.isoformat()
            if stale.is_unseen and state.failures >= TOLD_AFTER:
                key = _unseen_key(name, stale.since)
                outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, key, SOURCE_STALE, (name,), means.clock.now()))
            elif not stale.is_unseen and (state.baseline_at is None or stale.began > state.baseline_at):
                key = f"source:{name}:quiet:{since}"
                outbox.enqueue(tx, Notice(NoticeKind.NEWS, key, SOURCE_STALE, (name,), means.clock.now()))
    return found


def failure_key(means: Means, config: SourceConfig, state: SourceState) -> str:
    """Return the key of the notice of a failure; a source that is unseen for long by then is told of with it."""
    now = means.clock.now()
    if stale := staleness(config, state, UNKNOWN, rhythm_of(means, config), now):
        return _unseen_key(config.name, stale.since)
    return f"source:{config.name}:failed:{(state.last_ok or now).isoformat()}"


def _unseen_key(name: str, since: datetime) -> str:
    return f"source:{name}:stale:{since.isoformat()}"


def note_move(tx: Transaction, before: SourceState, after: SourceState, now: datetime) -> None:
    """Put into the outbox that a source answers from another host; once per host."""
    if after.moved_to_host not in (None, before.moved_to_host):
        key = f"source:{after.name}:moved:{after.moved_to_host}"
        outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, key, SOURCE_MOVED, (after.name,), now))
