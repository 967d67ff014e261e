"""How the nouns read on a terminal: one line per item, its stable id first."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

from watcher.cli.call import Call, show, show_bold
from watcher.model.answer import Answer
from watcher.model.facts import Event, Look, LookOutcome
from watcher.model.trial import Acceptance, Candidate, ServiceReport, Stage, Trial


def show_answer(call: Call, answer: Answer) -> None:
    show_bold(call, answer.headline)
    show(f"  bug {answer.bug_id}: {answer.bug.value}    bring-up: {answer.bring_up.value}")
    if answer.candidate is not None:
        show(f"  seen in {answer.candidate.image} ({(answer.candidate.digest or 'no digest')[:19]})")
    if answer.flip is not None:
        show(f"  {answer.flip}")
    if answer.fixed_in:
        show("  fixed in " + ", ".join(f"{name} {version}" for name, version in answer.fixed_in.items()))
    for waiting in answer.waits_for:
        since = f", since {waiting.since:%Y-%m-%d}" if waiting.since else ""
        show(f"  {waiting.question} waits for {waiting.what}{since}")
    if answer.next_step:
        show(f"  next: {answer.next_step}")


def show_looks(call: Call, looks: Iterable[Look]) -> None:
    for look in looks:
        cost = f"{counted(look.traffic.requests, 'request')}, {counted(look.traffic.bytes, 'byte')}"
        show(f"{look.source:<28} {look.outcome.value:<10} {counted(look.facts, 'fact')}  ({cost})")
        if look.outcome is LookOutcome.FAILED and look.error:
            call.complain(f"{look.source}: {look.error.message}")


def show_events(events: Iterable[Event]) -> None:
    for event in events:
        fact = event.fact
        parts = [f"{event.id:>5}", f"{event.seen_at:%Y-%m-%d %H:%M}", event.kind.value, event.source, fact.name]
        if fact.version and fact.version not in fact.name:
            parts.append(fact.version)
        if fact.digest:
            parts.append(fact.digest[:19])
        show("  ".join(parts))
        if event.helps:
            show(f"       {event.helps}")


def show_candidates(candidates: Iterable[Candidate], experimental: Collection[str]) -> None:
    """Show what could be tried; `experimental` are ids of engines."""
    for candidate in candidates:
        if not candidate.compatible:
            standing = "not for this device: " + "; ".join(candidate.reasons)
        else:
            standing = "due" if candidate.due else candidate.waiting_for or "known"
        engine = f"{candidate.engine} (experimental)" if candidate.engine in experimental else candidate.engine
        show(f"{candidate.id:>5}  {engine}  {candidate.title}  {standing}")


def show_trial_line(trial: Trial) -> None:
    outcome = trial.outcome.value if trial.outcome else f"running, stage {trial.stage.value}"
    answers = f"bug {trial.bug.value}, bring-up {trial.bring_up.value}"
    failed = f", {trial.failure_class.value}" if trial.failure_class else ""
    show(f"{trial.id:>5}  {trial.started_at:%Y-%m-%d %H:%M}  {outcome}  {answers}{failed}  {trial.candidate.title}")


def show_trial(trial: Trial) -> None:
    show_trial_line(trial)
    if trial.reason:
        show(f"       {trial.reason}")
    for row in trial.evidence:
        place = f" line {row.line}" if row.line is not None else ""
        show(f"       {row.rung.value}{place}: {row.text}")
    if trial.acceptance is not None:
        show(f"       measured: {', '.join(_figures(trial.acceptance))}")
    for index, start in enumerate(trial.starts):
        code = f", exit code {start.exit_code}" if start.exit_code is not None else ""
        show(f"       start {index}: profile {start.profile} {start.bring_up.value} at {start.stage.value}{code}")
    if trial.displaced:
        show(f"       displaced {', '.join(trial.displaced)}: {_away(trial)}")
    if trial.retry_at is not None:
        show(f"       to be looked at again at {trial.retry_at:%Y-%m-%d %H:%M} UTC")


def _figures(seen: Acceptance) -> Iterator[str]:
    yield f"level {seen.level}"
    if seen.phrases is not None:
        yield f"phrases {seen.phrases.text}"
    if seen.tool_accuracy is not None:
        yield f"tool calls right {seen.tool_accuracy.text}"
    if (latency := seen.latency_text) is not None:
        yield latency
    stable = seen.stable_seconds
    yield "stability not measured" if stable is None else f"stable for {age(timedelta(seconds=stable))}"
    yield from seen.further_texts


def _away(trial: Trial) -> str:
    if trial.away_seconds is not None:
        return f"away {age(timedelta(seconds=trial.away_seconds))}"
    if any(report.makes_room for report in trial.owed):
        return trial.owed[0].message
    return "given back" if trial.stage is Stage.DONE and not trial.owed else "still away"


def show_services(reports: Iterable[ServiceReport]) -> None:
    for report in reports:
        show(f"{report.service}  {report.state.value}  {report.message}".rstrip())


def counted(number: int, what: str) -> str:
    """Return `1 fact`, `2 facts`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def age(span: timedelta) -> str:
    """Return a span for people: `40 s`, `12 min`, `5 h`, `3 days`."""
    seconds = max(0, int(span.total_seconds()))
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} days"
