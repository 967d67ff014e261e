"""The last trials: the two answers of each, why, how it went, and the lines they rest on."""

from collections.abc import Iterator
from datetime import timedelta

from watcher.model.text import span
from watcher.model.trial import Acceptance, Outcome, Trial
from watcher.model.verdict import BringUp, Evidence
from watcher.page.course import course, excerpt, starts
from watcher.page.facts import PageFacts, TrialDetails
from watcher.page.markup import chip, mark, moment, note, said, sentence, under

EVIDENCE = 40
"""Lines of one trial."""
_ENDS = {
    Outcome.VERDICT: "",
    Outcome.BENCH: "no verdict: our own side failed",
    Outcome.REFUSED: "not tried",
    Outcome.CANCELLED: "cancelled",
}


def trials(facts: PageFacts) -> str:
    """Return the trials, newest first; unfolded are the newest and the one that the answer stands on."""
    if not facts.trials:
        return note("Nothing was tried yet.")
    unfolded = {facts.answer.trial_id, facts.trials[0].id}
    return "".join(_trial(facts, trial, is_open=trial.id in unfolded) for trial in facts.trials)


def _trial(facts: PageFacts, trial: Trial, is_open: bool) -> str:
    details = facts.details_of(trial)
    digest = under(f"<code>{said(trial.candidate.digest[:19], 19)}…</code>") if trial.candidate.digest else ""
    return (
        f'<article class="trial" id="trial-{trial.id}"><div class="head"><h3>Trial {trial.id}</h3>'
        f'<span class="when">{moment(trial.started_at)}</span></div>'
        f"<div>{said(trial.candidate.title)}{digest}</div>"
        f'<div class="chips">{"".join(_chips(trial))}</div>'
        f"{''.join(f'<p>{line}</p>' for line in _lines(trial))}{course(trial, details)}"
        f"{_evidence(trial, details, is_open)}{starts(trial, details)}</article>"
    )


def _chips(trial: Trial) -> Iterator[str]:
    if trial.outcome is None:
        yield mark("running", "…", f"running: {trial.stage.value}")
        return
    if trial.outcome is not Outcome.VERDICT:
        yield mark(trial.outcome.value, "!", _ENDS[trial.outcome])
        return
    yield chip(trial.bug, f"bug {trial.bug.value}")
    failed = f": {trial.failure_class.value}" if trial.failure_class and trial.bring_up is BringUp.FAILS else ""
    yield chip(trial.bring_up, f"engine {trial.bring_up.value}{failed}")


def _lines(trial: Trial) -> Iterator[str]:
    if trial.reason:
        yield sentence(trial.reason)
    if trial.failed_stage is not None and trial.outcome is not Outcome.VERDICT:
        yield f"It ended at stage {trial.failed_stage.value}."
    if trial.retry_at is not None:
        yield f"To be looked at again: {moment(trial.retry_at)}"
    if trial.acceptance is not None:
        yield f"Measured: {measured(trial.acceptance)}"
    if trial.displaced:
        yield _put_aside(trial)


def _put_aside(trial: Trial) -> str:
    names = ", ".join(said(name, 80) for name in trial.displaced[:8])
    if any(report.makes_room for report in trial.owed):
        return f"Put aside for the engine that is kept: {names}"
    if trial.owed:
        return f"Put aside and <strong>not given back yet</strong>: {names}"
    away = f", away for {span(timedelta(seconds=trial.away_seconds))}" if trial.away_seconds is not None else ""
    return f"Put aside and given back: {names}{away}"


def measured(seen: Acceptance) -> str:
    """Return what was measured of an engine that works, with "not measured" where it was not."""
    parts = [f"level {said(seen.level, 20)}", f"completion {_yes(seen.completion)}"]
    if seen.tool_call is not None:
        parts.append(f"tool call {_yes(seen.tool_call)}")
    if seen.streams is not None:
        parts.append(f"streaming {_yes(seen.streams)}")
    if seen.phrases is not None:
        parts.append(f"phrases {seen.phrases.text}")
    if seen.tool_accuracy is not None:
        parts.append(f"tool calls right {seen.tool_accuracy.text}")
    if (latency := seen.latency_text) is not None:
        parts.append(latency)
    stable = seen.stable_seconds
    parts.append("stability not measured" if stable is None else f"stable for {span(timedelta(seconds=stable))}")
    return ", ".join((*parts, *seen.further_texts))


def _yes(works: bool) -> str:
    return "worked" if works else "failed"


def _evidence(trial: Trial, details: TrialDetails, is_open: bool) -> str:
    if not trial.evidence:
        return ""
    rows = [f"<li>{_line(seen)}</li>" for seen in trial.evidence[:EVIDENCE]]
    placed = [at for at, seen in enumerate(trial.evidence[:EVIDENCE]) if seen.line is not None]
    if placed and details.excerpts:  # below the last line that they surround
        rows.insert(placed[-1] + 1, f'<li class="around">{"".join(map(excerpt, details.excerpts))}</li>')
    left = len(trial.evidence) - EVIDENCE
    more = note(f"{left} more: <code>watcher trial show {trial.id}</code>") if left > 0 else ""
    count = len(trial.evidence)
    lines = f"Evidence: {count} line{'' if count == 1 else 's'}"
    opened = " open" if is_open else ""
    shown = f'<ul class="evidence">{"".join(rows)}</ul>'
    return f"<details{opened}><summary>{lines}</summary>{shown}{more}</details>"


def _line(seen: Evidence) -> str:
    place = f", line {seen.line} of the log" if seen.line is not None else ""
    signature = f" · {said(seen.signature, 60)}" if seen.signature else ""
    return f"{said(seen.text, 500)}{under(f'{seen.rung.value}{place}{signature}')}"
