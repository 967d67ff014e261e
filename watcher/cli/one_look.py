"""`sources test`: one look at one source, shown as it was parsed; nothing is stored."""

from typing import Any

from watcher.app import source_of
from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.cli.rounds import named_sources
from watcher.cli.views import counted
from watcher.config.sources import SourceConfig
from watcher.host.clock import SystemClock
from watcher.jobs.check import polled_from
from watcher.jobs.keep_looks import Polled, error_of
from watcher.jobs.one_look import Seen, holds_as_stored, seen
from watcher.model import documents
from watcher.model.facts import Fact, LookError

_ROWS = 8


def look_once(call: Call, name: str, as_json: bool) -> int:
    settings = call.settings()
    (config,) = named_sources(settings, (name,))
    clock = SystemClock()
    call.say(f"looking at {name}")
    source = source_of(settings, config, holds_as_stored(settings, clock))
    polled = polled_from(source, config, cursor=None)
    error = error_of(polled.error) if polled.error else None
    facts = polled.poll.facts or () if polled.poll else ()
    shown = seen(config, facts, settings.bug.component, clock.now())
    if as_json:
        show_json(_document(polled, shown, error))
    elif error is None:
        _show(config, polled, shown)
    if error is not None:
        call.complain(f"{config.name}: {error.message}")
    return exits.DONE if error is None else exits.SOURCES_FAILED


def _show(config: SourceConfig, polled: Polled, shown: Seen) -> None:
    listed = polled.poll.listed if polled.poll else None
    of = f" (entries listed: {listed})" if listed is not None else ""
    show(f"{config.name}, {config.kind}: {counted(len(shown.facts), 'fact')}{of}")
    show(f"  include and exclude let {shown.wanted} through; prereleases: {shown.prereleases}")
    if shown.newest is not None:
        show(f"  newest: {_row(shown.newest)}")
    if shown.reads_first is not None:
        show(f"  static evidence begins with {shown.reads_first.name}")
    if polled.poll is not None and polled.poll.moved_to is not None:
        show(f"  answered from {polled.poll.moved_to}: write that address into config.toml")
    cost = polled.traffic
    show(f"  cost: {counted(cost.requests, 'request')}, {cost.not_modified} not modified, {cost.bytes} bytes")
    for fact in shown.facts[:_ROWS]:
        show(f"    {_row(fact)}")
    if len(shown.facts) > _ROWS:
        show(f"    and {len(shown.facts) - _ROWS} more: --json lists them all")


def _row(fact: Fact) -> str:
    parts = [fact.name]
    if fact.version and fact.version not in fact.name:
        parts.append(fact.version)
    if fact.digest:
        parts.append(fact.digest[:19])
    if fact.published_at:
        parts.append(f"{fact.published_at:%Y-%m-%d %H:%M}")
    return "  ".join(parts)


def _document(polled: Polled, shown: Seen, error: LookError | None) -> dict[str, Any]:
    cost = polled.traffic
    return {
        "schema": "watcher/sources-test/1",
        "name": polled.config.name,
        "kind": polled.config.kind,
        "outcome": "failed" if error else "ok",
        "listed": polled.poll.listed if polled.poll else None,
        "facts": len(shown.facts),
        "wanted": shown.wanted,
        "prereleases": shown.prereleases,
        "requests": cost.requests,
        "not_modified": cost.not_modified,
        "bytes": cost.bytes,
        "newest": _fact_document(shown.newest) if shown.newest else None,
        "reads_first": shown.reads_first.name if shown.reads_first else None,
        "moved_to_host": polled.poll.moved_to if polled.poll else None,
        "rows": [_fact_document(fact) for fact in shown.facts],
        "error": documents.error_document(error),
    }


def _fact_document(fact: Fact) -> dict[str, Any]:
    return {
        "name": fact.name,
        "version": fact.version,
        "digest": fact.digest,
        "url": fact.url,
        "published_at": documents.time_text(fact.published_at),
    }
