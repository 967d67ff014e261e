"""The commands that show the whole: check-now, status, sources."""

from collections.abc import Iterable
from typing import Any

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.cli.owing import owed_comes_first, paid_first
from watcher.cli.views import (
    show_answer,
    show_candidates,
    show_events,
    show_looks,
    show_services,
    show_source,
    show_trial,
    show_trial_line,
)
from watcher.config.sources import SourceConfig
from watcher.errors import ConfigError
from watcher.host.lease import lease_holder
from watcher.jobs.announce import owed_reports
from watcher.jobs.means import Means
from watcher.jobs.plan import answer_now
from watcher.jobs.round import Round, go_round
from watcher.model import documents
from watcher.model.facts import LookOutcome, SourceState
from watcher.model.trial import Outcome
from watcher.model.verdict import StaticRecord
from watcher.store import candidates as candidate_store
from watcher.store import facts as fact_store
from watcher.store import statics
from watcher.store import trials as trial_store

LAST_TRIALS = 5


def check_now(call: Call, names: tuple[str, ...], no_trial: bool, strict: bool, scheduled: bool, as_json: bool) -> int:
    down = paid_first(call)
    with owed_comes_first(call), call.means(is_long=True, is_scheduled=scheduled) as means:
        chosen = _named(means, names) if names else None
        done = go_round(means, chosen, may_try=not no_trial and not down, scheduled=scheduled)
    if as_json:
        show_json(_check_document(done))
    else:
        _show_check(call, done)
    return _exit_code(done, strict)


def _named(means: Means, names: tuple[str, ...]) -> tuple[SourceConfig, ...]:
    known = {source.name: source for source in means.settings.sources}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no source {', '.join(unknown)}", (f"known are {', '.join(known)}",))
    return tuple(known[name] for name in names)


def _exit_code(done: Round, strict: bool) -> int:
    codes = [exits.DONE]
    if done.restored or any(trial.owed for trial in done.trials):
        codes.append(exits.STILL_DOWN)
    if done.interrupted:
        codes.append(exits.INTERRUPTED)
    if any(trial.outcome is not Outcome.VERDICT for trial in done.trials):
        codes.append(exits.NO_VERDICT)
    if any(look.outcome is LookOutcome.FAILED and (strict or not look.told) for look in done.looks):
        codes.append(exits.SOURCES_FAILED)
    return exits.loudest(codes)


def _check_document(done: Round) -> dict[str, Any]:
    return {
        "schema": "watcher/check/1",
        "started_at": documents.time_text(done.started_at),
        "finished_at": documents.time_text(done.finished_at),
        "sources": [documents.look_document(look) for look in done.looks],
        "events": [documents.event_document(event) for event in done.events],
        "candidates": [documents.candidate_document(candidate) for candidate in done.candidates],
        "trials": [documents.trial_document(trial) for trial in done.trials],
        "answer": documents.answer_document(done.answer),
    }


def _show_check(call: Call, done: Round) -> None:
    show_services(done.restored)
    show_looks(call, done.looks)
    show_events(done.events)
    show_candidates(done.candidates)
    for trial in done.trials:
        show_trial(trial)
    if done.left_to:
        call.say(done.left_to)
    show()
    show_answer(call, done.answer)


def status(call: Call, as_json: bool) -> int:
    with owed_comes_first(call), call.means() as means:
        device = means.device()
        answer = answer_now(means, device)
        with means.store.transaction() as tx:
            states, facts = fact_store.source_states(tx), fact_store.all_facts(tx)
            trials, planned = trial_store.trials(tx, limit=LAST_TRIALS), candidate_store.candidates(tx)
        owed, alive = owed_reports(means.data_dir), lease_holder(means.data_dir) is not None
        rows = [_source_document(source, states.get(source.name), facts) for source in means.settings.sources]
        waiting = [one for one in planned if one.compatible and (one.due or one.waiting_for)]
    if as_json:
        show_json(
            {
                "schema": "watcher/status/1",
                "answer": documents.answer_document(answer),
                "sources": rows,
                "waiting": [documents.candidate_document(one) for one in waiting],
                "trials": [documents.trial_document(trial) for trial in trials],
                "owed": [documents.service_document(report) for report in owed],
            }
        )
    else:
        show_answer(call, answer)
        show()
        _show_sources(means, states, facts)
        for trial in trials:
            show_trial_line(trial)
        show_candidates(waiting)
        show_services(owed)
    return exits.STILL_DOWN if owed and not alive else exits.DONE


def sources(call: Call, as_json: bool) -> int:
    with call.means() as means:
        with means.store.transaction() as tx:
            states, facts = fact_store.source_states(tx), fact_store.all_facts(tx)
            ledger = statics.static_records(tx)
        rows = [_source_document(source, states.get(source.name), facts) for source in means.settings.sources]
        if as_json:
            builds = [_ledger_document(record) for record in ledger]
            show_json({"schema": "watcher/sources/1", "sources": rows, "builds": builds})
            return exits.DONE
        _show_sources(means, states, facts)
        for record in sorted(ledger, key=lambda record: (record.component, record.source, record.at)):
            torch = f"{means.settings.bug.component} {record.version or '?'}"
            show(f"{torch:<24} {record.reading.state.value:<8} {record.name}  {record.source}")
    return exits.DONE


def _show_sources(means: Means, states: dict[str, SourceState], facts: Iterable[tuple[str, Any]]) -> None:
    now, counts = means.clock.now(), _counts(facts)
    for source in means.settings.sources:
        show_source(source.name, states.get(source.name), source.kind, counts.get(source.name, 0), now)


def _counts(facts: Iterable[tuple[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, known in facts:
        counts[name] = counts.get(name, 0) + (not known.withdrawn)
    return counts


def _source_document(
    source: SourceConfig, state: SourceState | None, facts: Iterable[tuple[str, Any]]
) -> dict[str, Any]:
    state = state or SourceState(source.name, source.kind)
    traffic = state.traffic
    newest = max((known.first_seen for name, known in facts if name == source.name), default=None)
    return {
        "name": source.name,
        "kind": source.kind,
        "enabled": source.enabled,
        "facts": _counts(facts).get(source.name, 0),
        "newest_at": documents.time_text(newest),
        "last_look": documents.time_text(state.last_look),
        "last_ok": documents.time_text(state.last_ok),
        "last_change": documents.time_text(state.last_change),
        "failures": state.failures,
        "requests": traffic.requests,
        "not_modified": traffic.not_modified,
        "bytes": traffic.bytes,
        "error": documents.error_document(state.error),
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
