"""The commands that show the whole: check-now and status."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.cli.owing import owed_comes_first
from watcher.cli.sources import show_sources, source_document, watched_sources
from watcher.cli.views import (
    counted,
    show_answer,
    show_candidates,
    show_events,
    show_looks,
    show_services,
    show_trial,
    show_trial_line,
)
from watcher.config.settings import Settings
from watcher.config.sources import SourceConfig
from watcher.errors import ConfigError
from watcher.host.kept import kept_engines, owed_reports
from watcher.host.lease import lease_holder
from watcher.jobs.plan import answer_now, paused_until
from watcher.model import documents
from watcher.model.facts import LookOutcome
from watcher.model.trial import Outcome, ServiceReport
from watcher.store import candidates as candidate_store
from watcher.store import trials as trial_store

if TYPE_CHECKING:
    from watcher.jobs.round import Round

LAST_TRIALS = 5


def check_now(call: Call, names: tuple[str, ...], no_trial: bool, strict: bool, scheduled: bool, as_json: bool) -> int:
    from watcher.jobs.round import go_round  # `status` does without what a round needs

    with call.means(is_long=True, is_scheduled=scheduled) as means:
        chosen = named_sources(means.settings, names) if names else None
        experimental = means.settings.experimental
        if kept := kept_engines(means.data_dir):
            call.say(f"{kept} is kept running: nothing is tried before `watcher restore` ends it")
        done = go_round(means, chosen, may_try=not (no_trial or kept), scheduled=scheduled)
    if scheduled:
        _log_round(call, done)
    if as_json:
        show_json(_check_document(done, experimental))
    elif not scheduled:
        _show_check(call, done, experimental)
    return _exit_code(done, strict)


def named_sources(settings: Settings, names: tuple[str, ...]) -> tuple[SourceConfig, ...]:
    """Return the configured sources of these names. Raises ConfigError with those that there are."""
    known = {source.name: source for source in settings.sources}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no source {', '.join(unknown)}", (f"known are {', '.join(known)}",))
    return tuple(known[name] for name in names)


def _exit_code(done: "Round", strict: bool) -> int:
    codes = [exits.DONE]
    if done.restored or any(not report.makes_room for trial in done.trials for report in trial.owed):
        codes.append(exits.STILL_DOWN)
    if done.interrupted:
        codes.append(exits.INTERRUPTED)
    if any(trial.outcome is not Outcome.VERDICT for trial in done.trials):
        codes.append(exits.NO_VERDICT)
    if any(look.outcome is LookOutcome.FAILED and (strict or not look.told) for look in done.looks):
        codes.append(exits.SOURCES_FAILED)
    return exits.loudest(codes)


def _check_document(done: "Round", experimental: Collection[str]) -> dict[str, Any]:
    return {
        "schema": "watcher/check/1",
        "started_at": documents.time_text(done.started_at),
        "finished_at": documents.time_text(done.finished_at),
        "sources": [documents.look_document(look) for look in done.looks],
        "events": [documents.event_document(event) for event in done.events],
        "candidates": [documents.candidate_document(candidate, experimental) for candidate in done.candidates],
        "trials": [documents.trial_document(trial) for trial in done.trials],
        "answer": documents.answer_document(done.answer),
    }


def _log_round(call: Call, done: "Round") -> None:
    """Say in a line what a round of the service did, each failed look and each trial in one of their own."""
    from watcher.notify.message import trial_verdict

    titles = call.settings().engine_titles
    for look in done.looks:
        if look.outcome is LookOutcome.FAILED:
            call.say(f"source {look.source}: {look.error.message if look.error else 'failed'}", source=look.source)
    for trial in done.trials:
        call.say(f"trial {trial.id} of {trial.candidate.title}: {trial_verdict(trial, titles)}", trial=trial.id)
    failed = sum(look.outcome is LookOutcome.FAILED for look in done.looks)
    seconds = round((done.finished_at - done.started_at).total_seconds(), 1)
    call.say(
        f"round: {counted(len(done.looks), 'look')}, {failed} failed, "
        f"{counted(len(done.events), 'event')}, {counted(len(done.trials), 'trial')};"
        f" {done.answer.headline} ({seconds} s)",
        looks=len(done.looks),
        failed=failed,
        events=len(done.events),
        trials=len(done.trials),
        seconds=seconds,
    )


def _show_check(call: Call, done: "Round", experimental: Collection[str]) -> None:
    show_services(done.restored)
    show_looks(call, done.looks)
    show_events(done.events)
    show_candidates(done.candidates, experimental)
    for trial in done.trials:
        show_trial(trial)
    if done.left_to:
        call.say(done.left_to)
    show()
    show_answer(call, done.answer)


def _noted(data_dir: Path) -> tuple[ServiceReport, ...]:
    """Return what the owed files name while no trial is alive: `status` asks no service how it stands."""
    return owed_reports(data_dir) if lease_holder(data_dir) is None else ()


def status(call: Call, as_json: bool) -> int:
    with owed_comes_first(call, _noted), call.means() as means:
        device, experimental = means.device(), means.settings.experimental
        with means.store.reading() as tx:
            watched, now = watched_sources(means, tx), means.clock.now()
            trials, waiting = trial_store.trials(tx, limit=LAST_TRIALS), candidate_store.waiting(tx)
            paused = paused_until(tx)
        answer = answer_now(means, device, stale={one.config.name: one.stale for one in watched if one.stale})
        owed, alive = owed_reports(means.data_dir), lease_holder(means.data_dir) is not None
        paused = paused if paused and paused > now else None
    if as_json:
        show_json(
            {
                "schema": "watcher/status/1",
                "answer": documents.answer_document(answer),
                "sources": [source_document(one) for one in watched],
                "waiting": [documents.candidate_document(one, experimental) for one in waiting],
                "trials": [documents.trial_document(trial) for trial in trials],
                "owed": [documents.service_document(report) for report in owed],
                "paused_until": documents.time_text(paused),
            }
        )
    else:
        show_answer(call, answer)
        show()
        show_sources(watched, now)
        for trial in trials:
            show_trial_line(trial)
        show_candidates(waiting, experimental)
        if paused:
            show(f"automatic trials are paused until {paused:%Y-%m-%d %H:%M} UTC (`watcher pause off` ends it)")
        show_services(owed)
    return exits.STILL_DOWN if any(not one.makes_room for one in owed) and not alive else exits.DONE
