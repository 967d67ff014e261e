"""Which wheel is read next for static evidence. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.verdict import BugState, StaticRecord

BASELINE_READS = 12
ENOUGH_IN_A_ROW = 2


def next_wheel(
    known: Iterable[KnownFact], records: Sequence[StaticRecord], component: str, passed_over: frozenset[str]
) -> Fact | None:
    """Return the wheel of `component` to read next, None when enough is known.

    Each public version of an index is read once (again when its content was replaced): every new one, and of the
    baseline the newest first until two in a row carry the bug (at most 12). `passed_over` holds file names that could
    not be read in this look.
    """
    builds = _newest_first(known, component)
    read = {build: record for build in builds for record in records if record.digest in build.digests}
    for build in builds:
        if not build.shown.baseline and build not in read and build.shown.fact.name not in passed_over:
            return build.shown.fact
    return _next_of_baseline([build for build in builds if build.shown.baseline], read, passed_over)


def wheels_of(component: str, known: Iterable[KnownFact]) -> tuple[KnownFact, ...]:
    """Return what a source shows of wheels of `component`, told by the start of the name: whole names take long."""
    wheels = (one for one in known if one.fact.kind is FactKind.WHEEL and not one.withdrawn)
    return tuple(one for one in wheels if _project(one.fact.name.partition("-")[0]) == component)


@lru_cache(maxsize=1024)
def _project(name: str) -> str:
    return canonicalize_name(name)


@dataclass(frozen=True, slots=True)
class _Build:
    """The wheels of one public version: one of them stands for all."""

    version: Version
    shown: KnownFact = field(compare=False)
    digests: frozenset[str]


def _next_of_baseline(
    builds: Sequence[_Build], read: Mapping[_Build, StaticRecord], passed_over: frozenset[str]
) -> Fact | None:
    in_a_row = looked_at = 0
    for build in builds:
        record = read.get(build)
        if record is None and build.shown.fact.name in passed_over:
            continue
        if in_a_row >= ENOUGH_IN_A_ROW or looked_at >= BASELINE_READS:
            return None
        looked_at += 1
        if record is None:
            return build.shown.fact
        in_a_row = in_a_row + 1 if record.reading.state is BugState.PRESENT else 0
    return None


def _newest_first(known: Iterable[KnownFact], component: str) -> list[_Build]:
    by_version: dict[Version, list[KnownFact]] = {}
    for fact in wheels_of(component, known):
        try:
            _, version, _, _ = parse_wheel_filename(fact.fact.name)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        by_version.setdefault(Version(version.public), []).append(fact)
    return [_build(version, facts) for version, facts in sorted(by_version.items(), reverse=True)]


def _build(version: Version, facts: list[KnownFact]) -> _Build:
    digests = frozenset(fact.fact.content_key for fact in facts)
    return _Build(version, max(facts, key=lambda fact: (not fact.baseline, fact.fact.name)), digests)
