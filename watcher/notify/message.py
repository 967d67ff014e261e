"""What a person is told: one plain text for everything that one check brought. Pure.

Plain text, because it looks right in a chat, in an e-mail and on a terminal, and has nothing to break out of. What came
from upstream (names, log lines, reasons) is still made tame: one line, capped, without marks that a chat would act on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watcher.model.answer import Answer
from watcher.model.container import Ailment
from watcher.model.facts import Event, EventKind
from watcher.model.notice import Message
from watcher.model.text import link, span
from watcher.model.trial import Acceptance, Candidate, Outcome, ServiceReport, Trial
from watcher.model.verdict import BringUp, BugState, Evidence, Rung
from watcher.notify.tame import tame

_EVENTS, _TRIALS, _EVIDENCE, _ROWS = 12, 4, 4, 8
_STRENGTH = (Rung.BRING_UP, Rung.PROBE, Rung.ACCEPTANCE, Rung.STATIC)
_LONGEST = 6000
_BUG = {
    BugState.PRESENT: "the bug is still there",
    BugState.FIXED: "the bug is fixed",
    BugState.UNKNOWN: "of the bug nothing is known",
}
_CHANGED = {
    EventKind.NEW: "new",
    EventKind.REBUILT: "rebuilt (same name, new content)",
    EventKind.EDITED: "edited",
    EventKind.WITHDRAWN: "withdrawn",
    EventKind.RETURNED: "back again",
}


@dataclass(frozen=True, slots=True)
class SourceTrouble:
    """A source that failed too often to be silent about, or that answers again."""

    name: str
    message: str
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class SourceRemark:
    """What else there is to say of a source: it is stale, or it answers from elsewhere."""

    name: str
    sentence: str
    is_trouble: bool = False


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial to come; `displaces` names what will be away, for `away` at the most; `window` as a person reads it."""

    candidate: Candidate
    starts_at: datetime | None = None
    displaces: tuple[str, ...] = ()
    away: timedelta | None = None
    window: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """What one message speaks of: the notices that wait for a channel, with what they point to.

    Attributes:
        answer: where the person stands now; always the same for all channels.
        owed: services that are still down.
        ailments: services that are ill by themselves.
        remarks: further sentences for a person, such as a verdict that was withdrawn.
        engines: by id, what people call an engine.
    """

    device: str
    answer: Answer | None = None
    events: tuple[Event, ...] = ()
    trials: tuple[Trial, ...] = ()
    troubles: tuple[SourceTrouble, ...] = ()
    source_remarks: tuple[SourceRemark, ...] = ()
    planned: tuple[PlannedTrial, ...] = ()
    owed: tuple[ServiceReport, ...] = ()
    ailments: tuple[Ailment, ...] = ()
    remarks: tuple[str, ...] = ()
    engines: Mapping[str, str] = field(default_factory=dict)


def compose(digest: Digest) -> Message:
    """Return the message: its first line is the verdict; then evidence, what was given back, links, the next step."""
    verdict = _verdict(digest)
    parts = [
        [_sentence(verdict)],
        _standing(digest, verdict),
        _flip(digest),
        _owed(digest.owed),
        _ailing(digest.ailments),
        *(_trial(trial, digest.engines) for trial in digest.trials[:_TRIALS]),
        _more(digest.trials, _TRIALS, "trials", "watcher trials"),
        _planned(digest.planned),
        _events(digest.events),
        _sources(digest),
        [_sentence(tame(remark)) for remark in digest.remarks[:_ROWS]],
        _next_step(digest),
    ]
    body = "\n\n".join("\n".join(part) for part in parts if part)
    return Message(title=f"[{tame(digest.device, 60)}] {verdict}", body=_cut(body), type=_tone(digest))


def compose_test(device: str) -> Message:
    """Return what `notify test` sends."""
    body = "This is a test: what the watcher has to tell about this device will arrive here."
    return Message(title=f"[{tame(device, 60)}] a test of this channel", body=body)


def render_plain(message: Message) -> str:
    """Return a message as a person would read it on a terminal."""
    return f"{message.title}\n\n{message.body}\n"


def trial_verdict(trial: Trial, engines: Mapping[str, str]) -> str:
    """Return the end of a trial in one clause: the two answers, or why there are none."""
    match trial.outcome:
        case Outcome.VERDICT:
            return f"{_BUG[trial.bug]}, {_brought_up(trial, engines)}"
        case Outcome.BENCH:
            return "no verdict, our own side failed"
        case Outcome.REFUSED:
            return "not tried yet"
        case Outcome.CANCELLED:
            return "cancelled"
    return f"at stage {trial.stage.value}"


def _verdict(digest: Digest) -> str:
    """Return what matters most in this message, in one line without a full stop."""
    down = tuple(dict.fromkeys(report.service for report in _down(digest)))
    if down:
        return f"{_listed(down)} {'is' if len(down) == 1 else 'are'} still down"
    if digest.ailments:
        return f"{_listed(one.service for one in digest.ailments)}: {tame(digest.ailments[0].what, 160)}".rstrip(".")
    if digest.trials:
        trial = max(digest.trials, key=lambda one: (one.outcome is Outcome.VERDICT, one.id))
        return f"{_called(trial.candidate)}: {trial_verdict(trial, digest.engines)}"
    if digest.remarks:
        return tame(digest.remarks[0], 160).rstrip(".")
    if digest.events:
        return _news(digest.events)
    failing = [trouble for trouble in digest.troubles if not trouble.recovered]
    if failing:
        return f"{_listed([trouble.name for trouble in failing])} cannot be read"
    if digest.troubles:
        return f"{_listed([trouble.name for trouble in digest.troubles])} can be read again"
    if digest.source_remarks:
        first = digest.source_remarks[0]
        return f"{tame(first.name, 60)}: {tame(first.sentence, 160)}".rstrip(".")
    if digest.planned:
        return f"a trial of {_called(digest.planned[0].candidate)} is planned"
    return tame(digest.answer.headline, 160).rstrip(".") if digest.answer else "nothing new"


def _news(events: Sequence[Event]) -> str:
    first = events[0]
    if len(events) == 1:
        return f"{tame(first.source, 60)}: {tame(first.fact.name, 100)} is {_CHANGED[first.kind]}"
    sources = tuple(dict.fromkeys(event.source for event in events))
    return f"{len(events)} changes upstream ({_listed(sources)})"


def _standing(digest: Digest, verdict: str) -> list[str]:
    """Return where the person stands, unless the first line says just that."""
    headline = tame(digest.answer.headline, 300).rstrip(".") if digest.answer else ""
    return [] if headline in ("", verdict) else [f"Where you stand: {_sentence(headline)}"]


def _flip(digest: Digest) -> list[str]:
    """Return what moved when a trial of this message came to another answer than the ones before."""
    flip = digest.answer.flip if digest.answer else None
    if flip is None or flip.after not in {trial.id for trial in digest.trials}:
        return []
    return [_sentence(_capital(tame(str(flip), 500)))]


def _owed(reports: Sequence[ServiceReport]) -> list[str]:
    reports = [report for report in reports if not report.makes_room]
    if not reports:
        return []
    rows = [f"- {tame(one.service, 80)}: {one.state.value}. {tame(one.message)}".rstrip() for one in reports[:_ROWS]]
    return ["Not given back yet (`watcher restore` tries again):", *rows]


def _ailing(ailments: Sequence[Ailment]) -> list[str]:
    lines = []
    for one in ailments[:_ROWS]:
        lines.append(f"{tame(one.service, 80)}, not by a trial: {_sentence(tame(one.what))}")
        lines.append(f"  To do: {tame(one.remedy)}")
    return lines


def _trial(trial: Trial, engines: Mapping[str, str]) -> list[str]:
    candidate = trial.candidate
    image = tame(candidate.title, 240) + (f" ({tame(candidate.digest, 26)})" if candidate.digest else "")
    lines = [f"Trial {trial.id}: {image}", f"  {_sentence(_capital(trial_verdict(trial, engines)))}"]
    if trial.reason:
        lines.append(f"  Why: {tame(trial.reason)}")
    if trial.retry_at:
        lines.append(f"  Again: {_time(trial.retry_at)}")
    lines += [f"  {line}" for line in _evidence(trial.evidence)]
    if trial.acceptance:
        lines.append(f"  Measured: {_measured(trial.acceptance)}")
    lines += [f"  {line}" for line in _given_back(trial)]
    lines.append(f"  More: watcher trial show {trial.id}" + (" · the engine's log: " if trial.starts else ""))
    if trial.starts:
        lines[-1] += f"watcher trial log {trial.id}"
    return lines


def _evidence(evidence: Sequence[Evidence]) -> Iterator[str]:
    """Yield the strongest evidence first: what the device itself showed, then what the bytes say."""
    for row in sorted(evidence, key=lambda row: _STRENGTH.index(row.rung))[:_EVIDENCE]:
        place = f", line {row.line}" if row.line is not None else ""
        yield f"Seen ({row.rung.value}{place}): {tame(row.text, 240)}"
    if len(evidence) > _EVIDENCE:
        yield f"and {len(evidence) - _EVIDENCE} more"


def _measured(seen: Acceptance) -> str:
    parts = [f"level {tame(seen.level, 20)}"]
    if seen.phrases:
        parts.append(f"phrases {seen.phrases.text}")
    if seen.tool_call is not None:
        parts.append("a tool call worked" if seen.tool_call else "a tool call failed")
    if seen.tool_accuracy:
        parts.append(f"tool calls right {seen.tool_accuracy.text}")
    if latency := seen.latency_text:
        parts.append(latency)
    stable = seen.stable_seconds
    parts.append("stability not measured" if stable is None else f"stable for {span(timedelta(seconds=stable))}")
    return ", ".join((*parts, *seen.further_texts))


def _given_back(trial: Trial) -> Iterator[str]:
    if not trial.displaced:
        return
    if any(report.makes_room for report in trial.owed):
        yield f"Stopped until `watcher restore`: {_listed(trial.displaced)}. {_sentence(tame(trial.owed[0].message))}"
        return
    if trial.owed:
        yield f"Not given back yet: {_listed([report.service for report in trial.owed])}"
        return
    away = "" if trial.away_seconds is None else f", away for {span(timedelta(seconds=trial.away_seconds))}"
    yield f"Given back: {_listed(trial.displaced)}{away}"


def _planned(planned: Sequence[PlannedTrial]) -> list[str]:
    lines = []
    for one in planned[:_ROWS]:
        window = f"; window {tame(one.window, 80)}" if one.window else ""
        when = f" from {_time(one.starts_at)}" if one.starts_at else ""
        away = f" for at most {span(one.away)}" if one.away else ""
        gone = f"; {_listed(one.displaces)} will be away{away}" if one.displaces else "; nothing has to stop for it"
        lines.append(f"Planned{when}: a trial of {tame(one.candidate.image, 160)}{gone}{window}")
        lines.append(f"  Leave it out: watcher skip {one.candidate.id} · none for a while: watcher pause 7d")
    return lines + _more(planned, _ROWS, "planned trials", "watcher status")


def _events(events: Sequence[Event]) -> list[str]:
    if not events:
        return []
    lines = ["Upstream:"]
    for event in events[:_EVENTS]:
        version = event.fact.version
        shown = f" {tame(version, 60)}" if version and version not in event.fact.name else ""
        lines.append(f"- {tame(event.source, 60)}: {tame(event.fact.name, 120)}{shown} is {_CHANGED[event.kind]}")
        if event.helps:
            lines.append(f"  {_sentence(_capital(tame(event.helps)))}")
        if page := link(event.fact.url):
            lines.append(f"  {page}")
    return lines + _more(events, _EVENTS, "changes", "watcher events")


def _sources(digest: Digest) -> list[str]:
    said = [
        *(f"{tame(one.name, 60)} {_read_or_not(one)}" for one in digest.troubles),
        *(f"{tame(one.name, 60)}: {tame(one.sentence, 240)}" for one in digest.source_remarks),
    ]
    lines = [f"- {line}" for line in said[:_ROWS]]
    return ["Sources:", *lines, *_more(said, _ROWS, "sources", "watcher sources")] if lines else []


def _read_or_not(trouble: SourceTrouble) -> str:
    return "can be read again" if trouble.recovered else f"cannot be read: {tame(trouble.message, 240)}"


def _next_step(digest: Digest) -> list[str]:
    step = tame(digest.answer.next_step) if digest.answer else ""
    return [f"Next: {_sentence(step)}"] if step else []


def _more(items: Sequence[object], shown: int, what: str, command: str) -> list[str]:
    return [f"and {len(items) - shown} more {what}: {command}"] if len(items) > shown else []


def _brought_up(trial: Trial, engines: Mapping[str, str]) -> str:
    engine = tame(engines.get(trial.candidate.engine, trial.candidate.engine), 40)
    match trial.bring_up:
        case BringUp.WORKS:
            return f"{engine} works"
        case BringUp.FAILS:
            return f"{engine} fails" + (f" ({trial.failure_class.value})" if trial.failure_class else "")
        case BringUp.UNTRIED:
            return f"{engine} was not brought up"


def _called(candidate: Candidate) -> str:
    """Return a candidate's short name: the wheel laid over the image, else the repository's last part with its tag."""
    if candidate.overlay is not None:
        return tame(candidate.overlay.name, 100)
    return tame(candidate.image.rsplit("/", 1)[-1] or candidate.engine, 100)


def _down(digest: Digest) -> tuple[ServiceReport, ...]:
    owed = (*digest.owed, *(report for trial in digest.trials for report in trial.owed))
    return tuple(report for report in owed if not report.makes_room)


def _tone(digest: Digest) -> str:
    """Return apprise's colour: the worst thing in the message, good news only where nothing is bad."""
    if _down(digest):
        return "failure"
    if digest.ailments or any(trial.outcome is not Outcome.VERDICT or _is_bad(trial) for trial in digest.trials):
        return "warning"
    if any(not trouble.recovered for trouble in digest.troubles) or any(
        one.is_trouble for one in digest.source_remarks
    ):
        return "warning"
    return "success" if digest.trials or (digest.troubles and not digest.events) else "info"


def _is_bad(trial: Trial) -> bool:
    return trial.bring_up is BringUp.FAILS or (trial.bring_up is BringUp.UNTRIED and trial.bug is not BugState.FIXED)


def _listed(names: Iterable[str]) -> str:
    shown = [tame(name, 60) for name in names]
    return ", ".join(shown) if len(shown) <= 3 else f"{', '.join(shown[:3])} and {len(shown) - 3} more"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".rstrip()


def _cut(body: str) -> str:
    note = "\n… cut here: watcher status"
    return body if len(body) <= _LONGEST else body[: _LONGEST - len(note)].rstrip() + note
