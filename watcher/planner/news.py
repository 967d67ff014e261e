"""What a look changes: the stored facts that differ, and the events that a person may care about."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.errors import SourceChanged
from watcher.model.facts import Event, EventKind, Fact, KnownFact, Poll
from watcher.planner.versions import order_key

LOOKS_TO_WITHDRAW = 2
MANY = 3
"""So many known facts make an empty answer suspicious: it is a broken upstream, not a withdrawal of all."""

_KIND_ORDER = {kind: place for place, kind in enumerate(EventKind)}


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look changes.

    Attributes:
        facts: those that differ from what is known and must be saved.
        events: ordered by kind, then by version, oldest first.
    """

    facts: tuple[KnownFact, ...] = ()
    events: tuple[Event, ...] = ()


def is_wanted(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether the filters let a name through: searched, not anchored; no `include` lets all through."""
    included = not include or any(re.search(pattern, name) for pattern in include)
    return included and not any(re.search(pattern, name) for pattern in exclude)


@dataclass(frozen=True, slots=True)
class _Hearing:
    """Which facts make events: the others are stored in silence."""

    include: Sequence[str]
    exclude: Sequence[str]
    prereleases: bool

    def hears(self, *states: Fact) -> bool:
        """Return whether a change between these states is told; one final state among them is enough."""
        final = self.prereleases or any(not state.prerelease for state in states)
        return final and is_wanted(states[-1].name, self.include, self.exclude)


def changes(
    source: str,
    known: Mapping[str, KnownFact],
    poll: Poll,
    *,
    baseline: bool,
    now: datetime,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    prereleases: bool = False,
) -> Changes:
    """Return what a look changes; `known` is by `Fact.key`. At the baseline nothing is news.

    With fresh settings it is no news what they ask for and what not: only other content of what was known is told.

    Raises SourceChanged where nothing is shown although much is known.
    """
    _refuse_sudden_emptiness(known, poll)
    seen = _by_key(poll.facts or (), known)
    steps = [_seen(known.get(key), fact, now, baseline, poll.is_fresh) for key, fact in seen.items()]
    if poll.complete or poll.is_fresh:
        steps += [_missed(entry, poll) for key, entry in known.items() if key not in seen]
    hearing = _Hearing(include, exclude, prereleases)
    events = [
        Event(source, step.kind, step.after.fact, now, previous_digest=step.previous_digest)
        for step in steps
        if step.kind and not baseline and hearing.hears(*([step.before] if step.before else []), step.after.fact)
    ]
    return Changes(
        tuple(step.after for step in steps if known.get(step.after.fact.key) != step.after),
        tuple(sorted(events, key=lambda event: (_KIND_ORDER[event.kind], order_key(event.fact)))),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One fact before and after the look; `kind` is None where nothing is to be told."""

    before: Fact | None
    after: KnownFact
    kind: EventKind | None = None

    @property
    def previous_digest(self) -> str | None:
        changed = self.before is not None and self.before.digest != self.after.fact.digest
        return self.before.digest if self.before and changed else None


def _refuse_sudden_emptiness(known: Mapping[str, KnownFact], poll: Poll) -> None:
    if not poll.complete or poll.is_fresh:
        return  # where only the newest are shown, or other settings ask, none of interest today withdraws nothing
    standing = sum(not entry.withdrawn for entry in known.values())
    if poll.facts is not None and not poll.facts and standing >= MANY:
        raise SourceChanged("an empty list where there were many", known=standing)


def _by_key(facts: Iterable[Fact], known: Mapping[str, KnownFact]) -> dict[str, Fact]:
    """Return one fact per key; where a name is listed twice, order must not decide: the known content stays."""
    found: dict[str, Fact] = {}
    for fact in facts:
        rival = found.get(fact.key)
        if rival is None or _precedence(fact, known) < _precedence(rival, known):
            found[fact.key] = fact
    return found


def _precedence(fact: Fact, known: Mapping[str, KnownFact]) -> tuple[object, ...]:
    entry = known.get(fact.key)
    is_known = entry is not None and entry.fact.digest == fact.digest
    flags = (fact.prerelease, fact.yanked, fact.version or "", sorted(fact.detail.items()))
    return not is_known, fact.digest is None, fact.digest or "", *flags


def _seen(entry: KnownFact | None, fact: Fact, now: datetime, baseline: bool, is_fresh: bool) -> _Step:
    if entry is None:
        is_first = baseline or is_fresh
        return _Step(None, KnownFact(fact, first_seen=now, baseline=is_first), None if is_fresh else EventKind.NEW)
    old, fact = entry.fact, _keeping_digest(entry.fact, fact)
    after = replace(entry, fact=fact, missed=0, withdrawn=False)
    if is_other_content := _is_other_content(old, fact):
        # the content is new even if the name is not: cool-down and "was there before us" start over
        after = replace(after, first_seen=now, baseline=baseline or (is_fresh and entry.withdrawn))
    if entry.withdrawn and is_fresh:
        return _Step(old, after)
    if entry.withdrawn and entry.missed >= LOOKS_TO_WITHDRAW:  # what went untold comes back untold
        return _Step(old, after, EventKind.RETURNED)
    if is_other_content:
        return _Step(old, after, EventKind.REBUILT)
    return _Step(old, after, EventKind.EDITED if _told(old) != _told(fact) else None)


def _missed(entry: KnownFact, poll: Poll) -> _Step:
    """Count a look that did not show a fact; "unchanged" confirms an absence seen before, and says nothing else.

    What fresh settings do not show is gone at once, and untold: it was not withdrawn by the upstream.
    """
    if entry.withdrawn or (poll.facts is None and not entry.missed):
        return _Step(entry.fact, entry)
    if poll.is_fresh:
        return _Step(entry.fact, replace(entry, missed=1, withdrawn=True))
    missed = entry.missed + 1
    withdrawn = missed >= LOOKS_TO_WITHDRAW
    after = replace(entry, missed=missed, withdrawn=withdrawn)
    return _Step(entry.fact, after, EventKind.WITHDRAWN if withdrawn else None)


def _keeping_digest(old: Fact, new: Fact) -> Fact:
    """Return the new fact; a digest that was not looked up this time is still the known one."""
    return replace(new, digest=old.digest) if new.digest is None else new


def _is_other_content(old: Fact, new: Fact) -> bool:
    if old.digest is None:
        # first lookup of a digest is no news, unless the index was read before and had nothing for this architecture
        return new.digest is not None and "_index_digest" in old.detail
    return old.digest != new.digest


def _told(fact: Fact) -> tuple[object, ...]:
    """Return what makes an edit when it changes."""
    detail = {key: value for key, value in fact.detail.items() if not key.startswith("_")}
    return fact.version, fact.prerelease, fact.yanked, detail
