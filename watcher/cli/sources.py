"""The command `sources`, and how sources read: how each does, what hosts still grant, the builds that were read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.cli.views import age, counted
from watcher.config.sources import SourceConfig
from watcher.jobs.health import rhythm_of, stale_now
from watcher.jobs.means import Means
from watcher.model import documents
from watcher.model.budget import Budget
from watcher.model.facts import SourceState
from watcher.model.verdict import BugState, StaticRecord
from watcher.planner.health import Stale
from watcher.planner.pins import resolved
from watcher.planner.rhythm import next_look
from watcher.planner.versions import pep440_key
from watcher.store import facts as fact_store
from watcher.store import statics
from watcher.store.transaction import Reading


@dataclass(frozen=True, slots=True)
class Watched:
    """A source with how it does: the facts that stand, and when it is due on the schedule."""

    config: SourceConfig
    state: SourceState
    facts: int
    stale: Stale | None
    next_look: datetime | None


def watched_sources(means: Means, tx: Reading) -> tuple[Watched, ...]:
    """Return the configured sources in the order of the configuration."""
    states, counts = fact_store.source_states(tx), fact_store.counts(tx)
    stale = stale_now(means, tx, states)
    return tuple(
        Watched(
            config=one,
            state=states.get(one.name, SourceState(one.name, one.kind)),
            facts=counts.get(one.name, 0),
            stale=stale.get(one.name),
            next_look=next_look(states.get(one.name), rhythm_of(means, one)) if one.enabled else None,
        )
        for one in means.settings.sources
    )


def sources(call: Call, as_json: bool) -> int:
    with call.means() as means:
        with means.store.reading() as tx:
            watched = watched_sources(means, tx)
            ledger = resolved(statics.static_records(tx), means.settings.bug.component)
            now = means.clock.now()
            budgets = tuple(one for one in fact_store.budgets(tx) if one.is_current(now))
        if as_json:
            show_json(
                {
                    "schema": "watcher/sources/1",
                    "sources": [source_document(one) for one in watched],
                    "budgets": [_budget_document(budget) for budget in budgets],
                    "builds": [_ledger_document(record) for record in ledger],
                }
            )
            return exits.DONE
        show_sources(watched, now)
        _show_part(_budget_line(budget, now) for budget in budgets)
        newest_first = sorted(ledger, key=lambda record: (pep440_key(record.version), record.name), reverse=True)
        by_component = sorted(newest_first, key=lambda record: record.component)
        _show_part(_ledger_line(means.settings.bug.component, record) for record in by_component)
    return exits.DONE


def _show_part(lines: Iterable[str]) -> None:
    """Show lines below an empty one; nothing where there are none."""
    for number, line in enumerate(lines):
        if number == 0:
            show()
        show(line)


def show_sources(watched: Iterable[Watched], now: datetime) -> None:
    rows = [(one, "  ".join(_standing(one, now)), "; ".join(_health(one))) for one in watched]
    names, kinds = _width(one.config.name for one, _, _ in rows), _width(one.config.kind for one, _, _ in rows)
    standings = min(_width(standing for _, standing, _ in rows), 72)
    for one, standing, health in rows:
        show(f"{one.config.name:<{names}}  {one.config.kind:<{kinds}}  {standing:<{standings}}  {health}".rstrip())


def _width(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _standing(one: Watched, now: datetime) -> Iterator[str]:
    """Yield how many facts there are with the newest, and when it was and will be looked at."""
    if not one.config.enabled:
        yield "switched off"
    if one.state.last_look is None:
        if one.config.enabled:
            yield "not looked at yet"
        return
    yield ", ".join(_contents(one, now))
    looked = f"looked at {age(now - one.state.last_look)} ago"
    yield looked + (f", next {_ahead(one.next_look - now)}" if one.next_look else "")


def _contents(one: Watched, now: datetime) -> Iterator[str]:
    yield counted(one.facts, "fact")
    if one.state.newest:
        yield f"newest {one.state.newest[:48]}"
    if one.state.last_change:
        yield f"changed {age(now - one.state.last_change)} ago"


def _ahead(wait: timedelta) -> str:
    return f"in {age(wait)}" if wait > timedelta(seconds=1) else "now"


def _health(one: Watched) -> Iterator[str]:
    """Yield what is not well, in words; `well` where nothing is."""
    state, stale = one.state, one.stale
    if state.failures:
        yield f"{_since(state, stale)} ({_times(state.failures)}): {state.error.message if state.error else '?'}"
        stale = None if stale and stale.is_unseen else stale
    if stale is not None:
        yield stale.sentence
    if state.moved_to_host is not None:
        yield f"answers from {state.moved_to_host}: write that address into config.toml"
    if one.config.enabled and state.last_look and not (state.failures or stale or state.moved_to_host):
        yield "well"


def _since(state: SourceState, stale: Stale | None) -> str:
    if stale is not None and stale.is_unseen:
        return stale.sentence
    return f"failing since {state.last_ok:%Y-%m-%d %H:%M} UTC" if state.last_ok else "could never be read"


def _times(failures: int) -> str:
    return "the last look failed" if failures == 1 else f"the last {failures} looks failed"


def _budget_line(budget: Budget, now: datetime) -> str:
    of = f" of {budget.limit}" if budget.limit is not None else ""
    if budget.resets_at is None:
        return f"{budget.host}: {budget.remaining}{of} requests left"
    until = budget.resets_at.astimezone(UTC)
    shown = f"{until:%H:%M} UTC" if until - now < timedelta(hours=20) else f"{until:%Y-%m-%d %H:%M} UTC"
    return f"{budget.host}: {budget.remaining}{of} requests left until {shown}"


def _ledger_line(component: str, record: StaticRecord) -> str:
    """Return what was read of a build; of an image by the component inside, and with the reason where one is needed."""
    reading = record.reading
    build = f"{record.component if reading.kind == 'wheel' else component} {record.version or '?'}"
    why = f"  {reading.reason}" if reading.pin or reading.state is BugState.UNKNOWN else ""
    return f"{build:<16} {reading.state.value:<8} {record.name}  {record.source}{why}"


def source_document(one: Watched) -> dict[str, Any]:
    state = one.state
    return {
        "name": one.config.name,
        "kind": one.config.kind,
        "enabled": one.config.enabled,
        "facts": one.facts,
        "newest": state.newest,
        "newest_at": documents.time_text(state.newest_at),
        "last_look": documents.time_text(state.last_look),
        "last_ok": documents.time_text(state.last_ok),
        "last_change": documents.time_text(state.last_change),
        "next_look": documents.time_text(one.next_look),
        "failures": state.failures,
        "stale": one.stale.sentence if one.stale else None,
        "moved_to_host": state.moved_to_host,
        "requests": state.traffic.requests,
        "not_modified": state.traffic.not_modified,
        "bytes": state.traffic.bytes,
        "error": documents.error_document(state.error),
    }


def _budget_document(budget: Budget) -> dict[str, Any]:
    return {
        "host": budget.host,
        "limit": budget.limit,
        "remaining": budget.remaining,
        "resets_at": documents.time_text(budget.resets_at),
    }


def _ledger_document(record: StaticRecord) -> dict[str, Any]:
    return {
        "component": record.component,
        "version": record.version,
        "source": record.source,
        "name": record.name,
        "digest": record.digest,
        "state": record.reading.state.value,
        "reason": record.reading.reason,
        "read_at": documents.time_text(record.at),
    }
