"""Keep what looks brought: each whole or not at all, with its events and the notices that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.config.sources import SourceConfig
from watcher.errors import SourceError, SourceUnavailable, StoreError
from watcher.fetch.holds import LONGEST_HOLD, HostHolds
from watcher.jobs.announce import NEWS, SOURCE_FAILED, SOURCE_RECOVERED
from watcher.jobs.health import TOLD_AFTER, failure_key, note_move
from watcher.jobs.means import Means
from watcher.model.facts import Event, KnownFact, Look, LookError, LookOutcome, Poll, SourceState, Traffic
from watcher.model.notice import Notice, NoticeKind
from watcher.model.text import printable
from watcher.planner.health import appeared_at, called, newest
from watcher.planner.news import changes
from watcher.store import facts as fact_store
from watcher.store import outbox
from watcher.store.transaction import Reading, Transaction

AT_ONCE = 64
"""Looks in one transaction, at most."""
_LONGEST_MESSAGE = 1_000
"""An error may hold what the upstream sent: an address, the name of an encoding."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of one poll: the facts, or why there are none."""

    config: SourceConfig
    traffic: Traffic
    poll: Poll | None = None
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A look that is stored, with the events it made."""

    config: SourceConfig
    look: Look
    events: tuple[Event, ...] = ()


def keep_looks(
    means: Means, group: Sequence[Polled], states: Mapping[str, SourceState], holds: HostHolds
) -> list[Kept]:
    """Store looks that came in together, each whole, and what their hosts asked for.

    Many share a transaction, which a disk takes as fast as one; not all, for others wait for it.
    """
    parts = (group[begin : begin + AT_ONCE] for begin in range(0, len(group), AT_ONCE))
    return [kept for some in parts for kept in _kept_together(means, some, states, holds)]


def keep_asked(tx: Transaction, holds: HostHolds) -> None:
    """Keep what hosts asked for, beside what other processes heard meanwhile, which `holds` learns on the way."""
    held, budgets = fact_store.holds(tx), fact_store.budgets(tx)
    holds.learn(held, budgets)
    if (now_held := holds.pending()) != held:
        fact_store.save_holds(tx, now_held)
    if (now_granted := holds.budgets()) != budgets:
        fact_store.save_budgets(tx, now_granted)


def _kept_together(
    means: Means, group: Sequence[Polled], states: Mapping[str, SourceState], holds: HostHolds
) -> list[Kept]:
    """Store looks in one transaction.

    Where that fails by an error of ours, each is stored on its own, and the one at fault counts as failed.
    """
    try:
        with means.store.transaction() as tx:
            keep_asked(tx, holds)
            return [_keep(tx, means, polled, states.get(polled.config.name)) for polled in group]
    except StoreError:
        raise
    except Exception as error:
        if len(group) > 1:
            return [kept for polled in group for kept in _kept_together(means, [polled], states, holds)]
        (polled,) = group
        if polled.poll is None:
            raise
        return _kept_together(means, [replace(polled, poll=None, error=own_fault(error))], states, holds)


def own_fault(error: Exception) -> SourceError:
    return SourceError(f"an error of the watcher itself: {type(error).__name__}: {error}")


def error_of(error: SourceError) -> LookError:
    """Return what is told and kept of an error; nobody is left alone for longer than a host may be held."""
    wait = error.retry_after if isinstance(error, SourceUnavailable) else None
    message = printable(str(error), _LONGEST_MESSAGE)
    return LookError(type(error).__name__, message, int(min(wait, LONGEST_HOLD).total_seconds()) if wait else None)


def _keep(tx: Transaction, means: Means, polled: Polled, state: SourceState | None) -> Kept:
    config, now = polled.config, means.clock.now()
    before = state or SourceState(config.name, config.kind)
    if polled.poll is None:
        return _failed(tx, means, polled, before, polled.error)
    known = _compared_with(tx, config, polled.poll)
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
        return _failed(tx, means, polled, before, error)
    after = _looked(before, polled, now, changed=bool(news.events))
    if polled.poll.facts is not None:
        last = newest(config, (known | {fact.fact.key: fact for fact in news.facts}).values())
        after = replace(after, newest=called(last.fact), newest_at=appeared_at(last)) if last else after
    events = fact_store.save_look(tx, after, news.facts, news.events)
    _note(tx, before, after, events, now)
    is_first = is_baseline or (polled.poll.is_fresh and not events)
    outcome = LookOutcome.BASELINE if is_first else LookOutcome.CHANGED if events else LookOutcome.UNCHANGED
    count = fact_store.count_of(tx, config.name)
    return Kept(config, Look(config.name, config.kind, outcome, count, polled.traffic), events)


def _compared_with(tx: Reading, config: SourceConfig, poll: Poll) -> dict[str, KnownFact]:
    """Return what a look can change: where the upstream says "unchanged", only what it did not show before."""
    if poll.facts is None and not poll.is_fresh:
        return fact_store.missed_facts(tx, config.name)
    return fact_store.known_facts(tx, config.name)


def _note(tx: Transaction, before: SourceState, after: SourceState, events: Sequence[Event], now: datetime) -> None:
    """Put into the outbox what a look that succeeded makes to be told."""
    note_move(tx, before, after, now)
    if events:
        subjects = tuple(str(event.id) for event in events)
        outbox.enqueue(tx, Notice(NoticeKind.NEWS, f"look:{after.name}:{now.isoformat()}", NEWS, subjects, now))
    if before.told:
        key = f"source:{after.name}:recovered:{now.isoformat()}"
        outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, key, SOURCE_RECOVERED, (after.name,), now))


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
        moved_to_host=polled.poll.moved_to,
    )


def _failed(tx: Transaction, means: Means, polled: Polled, before: SourceState, error: SourceError | None) -> Kept:
    assert error is not None
    why, now = error_of(error), means.clock.now()
    failures = before.failures + 1
    tells_now = failures >= TOLD_AFTER and not before.told
    after = replace(
        before, last_look=now, failures=failures, told=before.told or tells_now, error=why, traffic=polled.traffic
    )
    fact_store.save_source_state(tx, after)
    if tells_now:
        key = failure_key(means, polled.config, after)
        outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, key, SOURCE_FAILED, (before.name,), now))
    count = fact_store.count_of(tx, before.name)
    look = Look(before.name, before.kind, LookOutcome.FAILED, count, polled.traffic, why, told=before.told)
    return Kept(polled.config, look)
