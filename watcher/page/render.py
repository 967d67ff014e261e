"""The page as text: the answer large, what is owed above it, then the year, the builds, the trials and the sources.

Plain HTML without a script, in one file: it opens from a disk and on a phone, in the light and in the dark.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from watcher.model.answer import Answer, Waiting
from watcher.model.trial import Trial
from watcher.model.verdict import BringUp, BugState
from watcher.page.facts import PageFacts, SourceRow
from watcher.page.ledger import ledger
from watcher.page.markup import anchor, day, mark, moment, note, plain, row, said, sentence, sign, table, under
from watcher.page.places import ANSWER, METRICS, TRIALS
from watcher.page.style import POLICY, STYLE
from watcher.page.timeline import Moment, bug_spells, engine_spells, moments, timeline, verdicts
from watcher.page.trials import trials

_OWED, _PAGES = 30, 4
_LEGEND = (
    "● new",
    "○ rebuilt, edited, withdrawn or back",
    "• was there at the first look",
    "a larger dot is several",
    "bars: what the last trial said, until the next one",
)


def render(facts: PageFacts) -> str:
    """Return the whole page."""
    title = f"{plain(facts.device, 60)}: {facts.answer.bug.value}, {facts.answer.bring_up.value}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        f"{_top(facts)}\n<main>{_owed(facts)}\n{_answer(facts)}\n"
        f"{_section('year', 'The year', _year(facts))}\n"
        f"{_section('builds', 'Which build carries the fix', ledger(facts))}\n"
        f"{_section('trials', 'Last trials', trials(facts))}\n"
        f"{_section('sources', 'Sources', _sources(facts))}</main>\n{_end(facts)}\n</body></html>\n"
    )


def _section(name: str, title: str, content: str) -> str:
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>{content}</section>'


def _top(facts: PageFacts) -> str:
    device = f"<span>watcher on <b>{said(facts.device, 60)}</b></span>"
    return f"<header>{device}<span>as of {moment(facts.now)} UTC</span></header>"


def _end(facts: PageFacts) -> str:
    since = f"Watching since {day(facts.watching_since)}. " if facts.watching_since else ""
    others = ", ".join(f'<a href="{name}">{name}</a>' for name in (ANSWER, TRIALS, METRICS))
    return (
        f"<footer>{since}All times are UTC. Written after each check and each stage of a trial; it does not change by "
        f"itself. For programs: {others}.</footer>"
    )


def _owed(facts: PageFacts) -> str:
    if not facts.owed:
        return ""
    rows = "".join(
        f"<li><strong>{said(one.service, 80)}</strong>: {one.state.value}. {said(one.message, 300)}</li>"
        for one in facts.owed[:_OWED]
    )
    is_kept_out = all(one.makes_room for one in facts.owed)
    title = "Put aside for the engine that is kept" if is_kept_out else "⚠ Not given back yet"
    step = (
        "A trial is running; it gives back what it put aside."
        if facts.trial_is_alive
        else sentence("Run `watcher restore` on the device: it puts back what is owed, at any time.")
    )
    role = "status" if is_kept_out else "alert"
    return f'<section class="owed" role="{role}"><h2>{title}</h2><ul>{rows}</ul><p>{step}</p></section>'


def _answer(facts: PageFacts) -> str:
    answer = facts.answer
    step = f'<p class="next"><b>Next</b>{sentence(answer.next_step, 1000)}</p>' if answer.next_step else ""
    return (
        f'<h1>{sentence(answer.headline)}</h1><div class="answers">'
        f"{_card(answer, 'bug', 'Is the bug in this build?', answer.bug)}"
        f"{_card(answer, 'bring_up', 'Does the engine work on this device?', answer.bring_up)}</div>"
        f"{step}<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in _stands_on(facts))}</dl>"
    )


def _card(answer: Answer, question: str, asks: str, state: BugState | BringUp) -> str:
    waits = "".join(_waits(one) for one in answer.waits_for if one.question == question)
    listed = f'<ul class="waits">{waits}</ul>' if waits else ""
    return (
        f'<section class="card"><h2>{asks}</h2><p class="big {state.value}">'
        f'<span class="sign" aria-hidden="true">{sign(state)}</span>{state.value}</p>{listed}</section>'
    )


def _waits(waiting: Waiting) -> str:
    since = under(f"since {day(waiting.since)}") if waiting.since else ""
    return f"<li>Waits for {said(waiting.what, 300)}{since}</li>"


def _stands_on(facts: PageFacts) -> Iterator[tuple[str, str]]:
    answer = facts.answer
    if answer.candidate is not None:
        digest = under(f"<code>{said(answer.candidate.digest, 80)}</code>") if answer.candidate.digest else ""
        yield "Seen in", f"{said(answer.candidate.image)}{digest}"
    if answer.basis:
        rungs = [rung.value for rung in answer.basis]
        yield "Known from", ", ".join([*rungs, *(_link(one) for one in facts.trials if one.id == answer.trial_id)])
    if answer.flip is not None:
        yield "What moved", said(str(answer.flip), 500)
    if answer.since is not None:
        yield "Since", day(answer.since)
    fixed = ", ".join(said(f"{name} {version}", 80) for name, version in (answer.fixed_in or {}).items())
    yield "Fixed in", fixed or "no build that was read"
    yield "The bug", said(answer.bug_id, 60)


def _year(facts: PageFacts) -> str:
    moved = moments(facts)
    if not (moved or facts.answer.waits_for or bug_spells(facts) or engine_spells(facts)):
        return note("Nothing has moved since the first look: what was there then is no news.")
    legend = "".join(f"<span>{words}</span>" for words in _LEGEND)
    picture = f'<div class="picture">{timeline(facts, moved)}<p class="legend">{legend}</p></div>'
    return f"{picture}{_left_out(facts)}{_moments(facts, moved)}"


def _left_out(facts: PageFacts) -> str:
    """Return what the picture does not show, so that an empty place in it is not taken for a quiet time."""
    left = [
        f"changes before the last {len(facts.events)}: <code>watcher events --since 365d</code>"
    ] * facts.more_events
    left += [f"trials before the last {len(facts.trials)}: <code>watcher trials</code>"] * facts.more_trials
    return note(f"Left out are {'; '.join(left)}.") if left else ""


def _moments(facts: PageFacts, moved: Iterable[Moment]) -> str:
    """Return what the picture shows as a table, newest first."""
    told = [(one.when, _moment(one)) for one in moved]
    told += [(trial.finished_at or trial.started_at, _verdict(trial)) for trial in verdicts(facts)]
    if not told:
        return note("Upstream has not moved since the first look: what was there then is no news.")
    rows = [row(day(when), what) for when, what in sorted(told, key=lambda pair: pair[0], reverse=True)]
    shown = table("moments", ("When", "What"), rows)
    return f"<details><summary>The same as a table: {len(rows)} rows</summary>{shown}</details>"


def _moment(one: Moment) -> str:
    fact = one.fact
    version = f" {said(fact.version, 60)}" if fact.version and fact.version not in fact.name else ""
    return f"{anchor(fact.url, fact.name, 160)}{version}{under(f'{one.words} · {said(one.source, 60)}')}"


def _verdict(trial: Trial) -> str:
    answers = f"bug {trial.bug.value}, engine {trial.bring_up.value}"
    return f"{_link(trial)}: {answers}{under(said(trial.candidate.title))}"


def _link(trial: Trial) -> str:
    return f'<a href="#trial-{trial.id}">trial {trial.id}</a>'


def _sources(facts: PageFacts) -> str:
    if not facts.sources:
        return note("No source is configured.")
    rows = [_source(one) for one in facts.sources]
    return table("sources", ("Source", "Last look"), rows)


def _source(one: SourceRow) -> str:
    state = one.state
    looked = under(moment(state.last_look)) if state and state.last_look else ""
    trouble = under(said(state.error.message, 240)) if state and state.error else ""
    worked = under(f"last that worked: {moment(state.last_ok)}") if state and state.failures else ""
    count = f"{one.facts} fact{'' if one.facts == 1 else 's'}"
    return row(
        f"{_named(one)}{under(f'{said(one.kind, 40)} · {count}')}{_newest(one)}",
        f"{_health(one)}{looked}{worked}{trouble}",
    )


def _named(one: SourceRow) -> str:
    """Return a source's name as the link to its page; where it has several, with each behind its last part."""
    if len(one.pages) == 1:
        return anchor(one.pages[0], one.name, 60)
    links = " · ".join(anchor(page, _last_part(page), 40) for page in one.pages[:_PAGES])
    return said(one.name, 60) + (under(links) if links else "")


def _last_part(url: str) -> str:
    return unquote(url.rstrip("/").rpartition("/")[2]) or url


def _newest(one: SourceRow) -> str:
    if one.state is None or one.state.newest is None:
        return ""
    when = f", {day(one.state.newest_at)}" if one.state.newest_at else ""
    return under(f"newest: {said(one.state.newest, 100)}{when}")


def _health(one: SourceRow) -> str:
    if not one.enabled:
        return mark("off", "–", "switched off")
    if one.state is None or one.state.last_look is None:
        return mark("off", "?", "not looked at")
    if one.state.failures:
        return mark("failing", "✗", f"failed {one.state.failures} in a row" if one.state.failures > 1 else "failed")
    return mark("stale", "!", "stale") + under(said(one.stale, 200)) if one.stale else mark("ok", "✓", "ok")
