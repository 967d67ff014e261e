"""How a trial went: its stages with their lengths, its starts with their logs, and the lines around the evidence."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from watcher.model.text import span
from watcher.model.trial import Stage, Start, Trial
from watcher.page.facts import Excerpt, StageSpan, TrialDetails
from watcher.page.markup import note, said, sign
from watcher.page.places import LOGS, log_name, metrics_name

_NARROWEST = 0.6
_LONG = 10.0
"""Seconds from which tenths say nothing any more."""
_AWAY = (
    Stage.DISPLACE,
    Stage.SETTLE,
    Stage.START,
    Stage.READY,
    Stage.ACCEPT,
    Stage.SOAK,
    Stage.TEARDOWN,
    Stage.RESTORE,
)
"""Stages in which what was put aside is away."""


def course(trial: Trial, details: TrialDetails) -> str:
    """Return the stages as a bar and in words; nothing where the journal has none."""
    spans = details.spans
    if not spans:
        return ""
    away = frozenset(_away(trial, spans))
    words = "".join(
        f"<li{_class(stage in away)}>{stage.value} <b>{length}</b></li>" for stage, length in _in_words(spans)
    )
    key = '<li class="key"><span class="sign" aria-hidden="true">■</span> the service is away</li>' if away else ""
    return f'<div class="course">{_bar(spans, away)}<ol>{words}{key}</ol></div>'


def _away(trial: Trial, spans: Sequence[StageSpan]) -> Iterator[Stage]:
    if trial.displaced:
        yield from (span.stage for span in spans if span.stage in _AWAY)


def _bar(spans: Sequence[StageSpan], away: frozenset[Stage]) -> str:
    shares = [max(_NARROWEST, 100 * one.seconds / (sum(each.seconds for each in spans) or 1)) for one in spans]
    scale, at, drawn = 100 / sum(shares), 0.0, []
    for one, share in zip(spans, shares, strict=True):
        width = share * scale
        title = f"{one.stage.value}: {_length(one.seconds)}"
        drawn.append(
            f'<rect{_class(one.stage in away)} x="{at:.2f}%" width="{width:.2f}%" height="100%">'
            f"<title>{title}</title></rect>"
        )
        at += width
    return f'<svg height="10" aria-hidden="true">{"".join(drawn)}</svg>'


def _in_words(spans: Sequence[StageSpan]) -> Iterator[tuple[Stage, str]]:
    """Yield each stage once, in the order of its first time, with its length in all."""
    for stage in dict.fromkeys(one.stage for one in spans):
        times = [one for one in spans if one.stage is stage]
        length = _length(sum(one.seconds for one in times))
        often = f" in {len(times)} times" if len(times) > 1 else ""
        yield stage, f"{length}{often}" if times[-1].is_over else f"for {length} now"


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < _LONG else span(timedelta(seconds=seconds))


def _class(is_away: bool) -> str:
    return ' class="away"' if is_away else ""


def excerpt(told: Excerpt) -> str:
    """Return the lines around evidence, those of evidence set apart."""
    rows, before = [], None
    for number, text in told.lines:
        if before is not None and number != before + 1:
            rows.append('<li><span class="number">⋮</span></li>')
        kind = ' class="decides"' if number in told.decisive else ""
        rows.append(f'<li{kind}><span class="number">{number}</span>{said(text, 300)}</li>')
        before = number
    title = note(f"Around it, in the log of start {told.start + 1} ({said(told.profile, 60)}):")
    return f'{title}<ul class="log">{"".join(rows)}</ul>'


def starts(trial: Trial, details: TrialDetails) -> str:
    """Return each start with how it ended and the link to its log."""
    links = {number: "".join(_links(trial, number, details)) for number in range(len(trial.starts))}
    rows = [f"{_start(number, start)}{links[number]}" for number, start in enumerate(trial.starts)]
    return f'<ul class="starts">{"".join(f"<li>{row}</li>" for row in rows)}</ul>' if rows else ""


def _links(trial: Trial, number: int, details: TrialDetails) -> Iterator[str]:
    for name, of, kept in (
        (log_name(trial.id, number), "log, {} compressed", details.logs),
        (metrics_name(trial.id, number), "metrics, {}", details.metrics),
    ):
        for file in kept:
            if file.start == number:
                yield f' · <a href="{LOGS}/{name}">{of.format(size(file.size))}</a>'


def _start(number: int, start: Start) -> str:
    name = f"Start {number + 1}, profile {said(start.profile, 60)}: {sign(start.bring_up)} {start.bring_up.value}"
    failed = f", {start.failure_class.value}" if start.failure_class else ""
    code = f", exit code {start.exit_code}" if start.exit_code is not None else ""
    return f"{name} in stage {start.stage.value}{failed}{code}"


def size(count: int) -> str:
    """Return so many bytes for a person."""
    return f"{count} B" if count < 1000 else f"{count / 1000:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
