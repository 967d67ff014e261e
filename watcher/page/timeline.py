"""The picture of the year: what moved upstream, what trials said, what is waited for. Pure SVG without a script.

Places along the time are percentages and everything else is in pixels: on a phone the picture gets narrower, its
letters and dots do not get smaller. It says nothing that does not stand as text elsewhere on the page.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from watcher.model.answer import Waiting
from watcher.model.facts import Event, EventKind, Fact, FactKind
from watcher.model.trial import Outcome, Trial
from watcher.model.verdict import BringUp, BugState, Rung
from watcher.page.facts import PageFacts
from watcher.page.markup import day_text, plain, sign

YEAR = timedelta(days=365)
SHORTEST = timedelta(days=28)
FAMILIES: dict[str, frozenset[FactKind]] = {
    "Builds": frozenset({FactKind.WHEEL, FactKind.INDEX}),
    "Releases": frozenset({FactKind.RELEASE}),
    "Images": frozenset({FactKind.IMAGE}),
    "JetPack and L4T": frozenset({FactKind.DEB}),
    "Threads and feeds": frozenset({FactKind.THREAD, FactKind.ITEM}),
    "This device": frozenset({FactKind.DEVICE}),
}
_Word = tuple[datetime, BugState | BringUp, str]
"""When what was said, and who said it."""

QUESTIONS = {"bug": "The bug", "bring_up": "The engine"}

_TOP, _LANE, _TRACK = 24, 44, 27
_BUCKET = 1.2
"""Percent: changes nearer to each other than this are one dot."""
_ROOM_FOR_WORD, _ROOM_FOR_SIGN, _NARROWEST = 22.0, 5.0, 0.7
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Window:
    """The time that the picture shows."""

    start: datetime
    end: datetime

    def x(self, when: datetime) -> float:
        """Return where a moment is, in percent of the width; what is outside stands at the edge."""
        share = (when - self.start) / (self.end - self.start)
        return round(min(1.0, max(0.0, share)) * 100, 2)

    def ticks(self) -> Iterator[tuple[datetime, str]]:
        """Yield the beginnings of months with their names; of weeks where the time is short."""
        if self.end - self.start < timedelta(days=75):
            yield from self._weeks()
            return
        year, month = self.start.year, self.start.month
        while True:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            first = self.end.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
            if first > self.end:
                return
            yield first, str(year) if month == 1 else f"{first:%b}"

    def _weeks(self) -> Iterator[tuple[datetime, str]]:
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        monday = midnight + timedelta(days=7 - midnight.weekday())
        while monday <= self.end:
            yield monday, f"{monday.day} {monday:%b}"
            monday += timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time during which the last word on a question was the same; `said_by` names who said it first."""

    state: BugState | BringUp
    begin: datetime
    end: datetime
    said_by: str


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that moved upstream; `change` is None for what was there at the first look already."""

    when: datetime
    source: str
    fact: Fact
    change: EventKind | None

    @property
    def words(self) -> str:
        return self.change.value if self.change else "before the first look"


def moments(facts: PageFacts) -> tuple[Moment, ...]:
    """Return what moved upstream, oldest first."""
    found = [Moment(dated(event, facts.now), event.source, event.fact, event.kind) for event in facts.events]
    found += [
        Moment(fact.published_at, source, fact, None)
        for source, fact in facts.before
        if fact.published_at is not None and facts.now - YEAR <= fact.published_at <= facts.now
    ]
    return tuple(sorted(found, key=lambda one: one.when))


def dated(event: Event, now: datetime) -> datetime:
    """Return where an event belongs: at upstream's own stamp where that can be true, else where it was seen."""
    published = event.fact.published_at
    is_credible = published is not None and now - YEAR <= published <= event.seen_at
    return published if event.kind is EventKind.NEW and published and is_credible else event.seen_at


def verdicts(facts: PageFacts) -> tuple[Trial, ...]:
    """Return the trials that said something about the engine and the bug of the answer, oldest first."""
    ours = (
        trial
        for trial in facts.trials
        if trial.outcome is Outcome.VERDICT
        and trial.bug_id == facts.answer.bug_id
        and trial.candidate.engine == facts.engine
    )
    return tuple(sorted(ours, key=_ended))


def window_of(facts: PageFacts, moved: Sequence[Moment]) -> Window:
    """Return the last twelve months, or the time since the first thing that is known; four weeks at least."""
    known = [moved[0].when] if moved else []
    known += [_ended(trial) for trial in verdicts(facts)]
    known += [facts.watching_since] if facts.watching_since else []
    first = min(known, default=facts.now)
    return Window(max(facts.now - YEAR, min(first, facts.now - SHORTEST)), facts.now)


def bug_spells(facts: PageFacts) -> tuple[Spell, ...]:
    """Return what was known of the bug, and when; where no trial spoke, what the bytes of the newest build say."""
    words: list[_Word] = [
        (_ended(trial), trial.bug, f"trial {trial.id}")
        for trial in verdicts(facts)
        if trial.bug is not BugState.UNKNOWN
    ]
    answer = facts.answer
    if not words and answer.since and answer.basis == (Rung.STATIC,):
        words = [(answer.since, answer.bug, "the bytes of the newest build")]
    return _spells(words, facts.now)


def engine_spells(facts: PageFacts) -> tuple[Spell, ...]:
    words: list[_Word] = [
        (_ended(trial), trial.bring_up, f"trial {trial.id}")
        for trial in verdicts(facts)
        if trial.bring_up is not BringUp.UNTRIED
    ]
    return _spells(words, facts.now)


def _spells(words: Sequence[_Word], now: datetime) -> tuple[Spell, ...]:
    firsts = [next(alike) for _, alike in groupby(words, key=lambda word: word[1])]
    ends = [*(begin for begin, _, _ in firsts[1:]), max(now, firsts[-1][0])] if firsts else []
    return tuple(Spell(state, begin, end, who) for (begin, state, who), end in zip(firsts, ends, strict=True))


def timeline(facts: PageFacts, moved: Sequence[Moment]) -> str:
    """Return the picture, described in words for whoever cannot see it; `moved` is what `moments` returns."""
    window = window_of(facts, moved)
    lanes = [
        _lane("The bug", _bars(bug_spells(facts), window)),
        _lane("The engine", _bars(engine_spells(facts), window)),
        *(_waiting(waiting, window) for waiting in facts.answer.waits_for if waiting.since),
        *_event_lanes(moved, window),
    ]
    height = _TOP + _LANE * len(lanes)
    placed = (
        f'<svg class="lane" y="{_TOP + _LANE * at}" height="{_LANE}">{lane}</svg>' for at, lane in enumerate(lanes)
    )
    return (
        f'<svg class="year" role="img" aria-labelledby="year-title year-text" height="{height}">'
        f'<title id="year-title">{_title(window)}</title><desc id="year-text">{_description(facts, moved)}</desc>'
        f"{_axis(window, height)}{''.join(placed)}</svg>"
    )


def _title(window: Window) -> str:
    return f"From {day_text(window.start)} to {day_text(window.end)}"


def _description(facts: PageFacts, moved: Sequence[Moment]) -> str:
    parts = [f"{name}: {len(_of(moved, kinds))} changes." for name, kinds in FAMILIES.items()]
    for name, spells in (("The bug", bug_spells(facts)), ("The engine", engine_spells(facts))):
        said = ", then ".join(f"{spell.state.value} from {day_text(spell.begin)}" for spell in spells[-12:])
        parts.append(f"{name}: {said or 'nothing was said'}.")
    for waiting in facts.answer.waits_for:
        since = f" since {day_text(waiting.since)}" if waiting.since else ""
        parts.append(f"{QUESTIONS[waiting.question]} waits{since} for {plain(waiting.what)}.")
    return " ".join(parts)


def _axis(window: Window, height: int) -> str:
    drawn = []
    for number, (when, name) in enumerate(window.ticks()):
        x = window.x(when)
        drawn.append(f'<line class="tick" x1="{x}%" x2="{x}%" y1="18" y2="{height}"/>')
        side = "end" if x > 96 else "start" if x < 4 else "middle"
        rank = "minor " if number % 2 else ""
        drawn.append(f'<text class="{rank}when" x="{x}%" y="11" text-anchor="{side}">{name}</text>')
    return "".join(drawn)


def _lane(name: str, content: str) -> str:
    track = f'<line class="track" x1="0" x2="100%" y1="{_TRACK}" y2="{_TRACK}"/>'
    return f'<text class="name" x="0" y="12">{name}</text>{track}{content}'


def _bars(spells: Sequence[Spell], window: Window) -> str:
    drawn = "".join(_bar(spell, window) for spell in spells if spell.end >= window.start)
    return drawn + (_word_before(spells, window) if spells else "")


def _word_before(spells: Sequence[Spell], window: Window) -> str:
    """Return the last word beside the bars, where all of them are too young to have room for it."""
    begin, last = window.x(spells[0].begin), spells[-1].state
    if begin <= 100 - _ROOM_FOR_WORD:
        return ""
    at = f'x="{min(begin, 100 - _NARROWEST) - 1.5:g}%" y="31" text-anchor="end"'
    return f'<g class="bar {last.value}"><text class="word" {at}>{sign(last)} {last.value}</text></g>'


def _bar(spell: Spell, window: Window) -> str:
    begin = window.x(spell.begin)
    width = round(max(_NARROWEST, window.x(spell.end) - begin), 2)
    begin = min(begin, 100 - width)
    word = f"{sign(spell.state)} {spell.state.value}" if width >= _ROOM_FOR_WORD else sign(spell.state)
    shown = f'<text class="word" x="6" y="13">{word}</text>' if width >= _ROOM_FOR_SIGN else ""
    return (
        f'<svg class="bar {spell.state.value}" x="{begin}%" y="18" width="{width}%" height="18">'
        f"<title>{spell.state.value} from {day_text(spell.begin)}, by {spell.said_by}</title>"
        f'<rect width="100%" height="100%" rx="4"/>{shown}</svg>'
    )


def _waiting(waiting: Waiting, window: Window) -> str:
    assert waiting.since is not None
    begin = min(window.x(waiting.since), 100 - _NARROWEST)
    width = round(100 - begin, 2)
    since = f"since {day_text(waiting.since)}"
    at, side = (f"{begin + 1.5}%", "start") if width > 40 else (f"{begin - 1.5}%", "end")
    bar = (
        f'<g class="bar waiting"><title>{plain(waiting.what)}, {since}</title>'
        f'<rect x="{begin}%" y="18" width="{width}%" height="18" rx="4"/>'
        f'<text class="word" x="{at}" y="31" text-anchor="{side}">{since}</text></g>'
    )
    said = f"{QUESTIONS[waiting.question]} waits for {waiting.what}"
    return _lane(f'<tspan class="long">{plain(said, 120)}</tspan><tspan class="brief">{plain(said, 46)}</tspan>', bar)


def _event_lanes(moved: Sequence[Moment], window: Window) -> Iterator[str]:
    for name, kinds in FAMILIES.items():
        yield _lane(name, "".join(_dots(_of(moved, kinds), window)))


def _of(moved: Iterable[Moment], kinds: frozenset[FactKind]) -> list[Moment]:
    return [one for one in moved if one.fact.kind in kinds]


def _dots(moved: Iterable[Moment], window: Window) -> Iterator[str]:
    """Yield one dot for what stands so near that it would overlap; `moved` is in order of time."""
    for _, group in groupby(moved, key=lambda one: int(window.x(one.when) / _BUCKET)):
        near = list(group)
        x = round(sum(window.x(one.when) for one in near) / len(near), 2)
        kind, told = _kind_of(near), _names(near)
        radius = min(9.0, (3 if kind == "before" else 4) + 0.7 * (len(near) - 1))
        yield f'<g class="dot {kind}"><title>{told}</title><circle cx="{x}%" cy="{_TRACK}" r="{radius:g}"/></g>'


def _kind_of(near: Iterable[Moment]) -> str:
    changes = {one.change for one in near}
    if EventKind.NEW in changes:
        return "news"
    return "before" if changes == {None} else "change"


def _names(near: Sequence[Moment]) -> str:
    """Return some names for a tooltip, one a line."""
    lines = [f"{day_text(one.when)}: {plain(one.fact.name, 80)}, {one.words} ({plain(one.source, 40)})" for one in near]
    more = [f"and {len(near) - _NAMED} more"] if len(near) > _NAMED else []
    return "\n".join(lines[:_NAMED] + more)


def _ended(trial: Trial) -> datetime:
    return trial.finished_at or trial.started_at
