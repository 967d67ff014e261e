"""What could be tried: an image, by content, judged against the device, and which of several is the newest."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from watcher.config.engines import EngineSettings
from watcher.config.sources import ImageSource, SourceConfig
from watcher.model.device import DeviceFacts
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate
from watcher.planner.compatibility import reasons_against, repository
from watcher.planner.news import is_wanted
from watcher.planner.versions import OrderKey, parse_tag, pep440_key

_NEVER = datetime.min.replace(tzinfo=UTC)


def fingerprint(digest: str, overlays: Iterable[str] = ()) -> str:
    """Return what names this content: the image's digest and those of the wheels laid over it, in any order."""
    content = "\n".join([digest, *sorted(overlays)])
    return hashlib.sha256(content.encode()).hexdigest()


def candidates(
    facts: Iterable[tuple[SourceConfig, KnownFact]], engines: Mapping[str, EngineSettings], device: DeviceFacts
) -> tuple[Candidate, ...]:
    """Return one candidate per content, newest first. Only an image with a digest is one; a release or wheel is not."""
    return newest_first(_by_content(_candidate(*one) for one in _judged(facts, _Judge(engines, device))))


def fitting(
    facts: Iterable[tuple[SourceConfig, KnownFact]], engines: Mapping[str, EngineSettings], device: DeviceFacts
) -> tuple[Candidate, ...]:
    """Return those that the device could run, in no order."""
    judged = _judged(facts, _Judge(engines, device))
    return _by_content(_candidate(*one) for one in judged if not one.reasons)


def _by_content(some: Iterable[Candidate]) -> tuple[Candidate, ...]:
    found: dict[tuple[str, str], Candidate] = {}
    for candidate in some:
        key = (candidate.engine, candidate.fingerprint)
        found[key] = _telling(found[key], candidate) if key in found else candidate
    return tuple(found.values())


def newest_first(some: Iterable[Candidate], ranks: "Ranks | None" = None) -> tuple[Candidate, ...]:
    """Return candidates with the newest first.

    A tag without a version is "whatever was default that day": it ranks with the newest version of its day, and
    `latest…` with the newest of all. Where no day is known, it ranks below what has a version. Of wheels that are laid
    over images the version of the wheel counts first.

    Args:
        ranks: made of all there are, where `some` are but few of them.
    """
    some = tuple(some)
    return tuple(sorted(some, key=(ranks or Ranks.of(some)).key, reverse=True))


@dataclass(frozen=True, slots=True)
class Ranks:
    """For each day on which a version was new, the newest version until then: it places tags that have none."""

    days: tuple[datetime, ...]
    newest: tuple[OrderKey, ...]

    @classmethod
    def of(cls, some: Iterable[Candidate]) -> "Ranks":
        versioned = sorted(((_day(one), pep440_key(one.version)) for one in some if one.version), key=itemgetter(0))
        days = tuple(day for day, _ in versioned)
        return cls(days, tuple(accumulate((version for _, version in versioned), max)))

    def key(self, candidate: Candidate) -> OrderKey:
        tag = candidate.image.rpartition(":")[2]
        parts, day = parse_tag(tag), _day(candidate)
        version = pep440_key(candidate.version) if candidate.version else self._version_of(day, parts.moving)
        # from May 2025 on `r36.4` replaces `r36.4.0`: of two spellings the shorter is the later
        l4t = (pep440_key(parts.l4t)[:2], -len(parts.l4t or ""))
        laid_over = pep440_key(candidate.overlay.version) if candidate.overlay else ()
        return (laid_over, version[:3], day, parts.moving, l4t, pep440_key(parts.cuda), tag, candidate.image)

    def _version_of(self, day: datetime, moving: bool) -> OrderKey:
        place = len(self.days) if moving else 0 if day == _NEVER else bisect_right(self.days, day)
        return self.newest[place - 1] if place else pep440_key(None)


def _day(candidate: Candidate) -> datetime:
    """Return since when this content is there: by our own eyes, or by upstream's stamp for what was there before us."""
    seen = candidate.published_at if candidate.baseline else candidate.first_seen or candidate.published_at
    return seen or _NEVER


@dataclass(slots=True)
class _Judge:
    """Judges tags against one device; of tags that say the same of their images, one speaks for all."""

    engines: Mapping[str, EngineSettings]
    device: DeviceFacts
    _engine_of: dict[str, EngineSettings | None] = field(default_factory=dict)
    _has_rules: dict[tuple[str, str], bool] = field(default_factory=dict)
    _said: dict[tuple[object, ...], tuple[str, ...]] = field(default_factory=dict)

    def engine_of(self, source: SourceConfig) -> EngineSettings | None:
        if source.name not in self._engine_of:
            self._engine_of[source.name] = engine_of(source, self.engines)
        return self._engine_of[source.name]

    def reasons(self, image: str, tag: str, shown: tuple[str, ...] | None, engine: EngineSettings) -> tuple[str, ...]:
        parts = parse_tag(tag)
        if (engine.id, image) not in self._has_rules:
            ruled = map(repository, (rule.image for rule in engine.image_rules))
            self._has_rules[engine.id, image] = repository(image) in ruled
        by_parts = (parts.l4t, parts.cuda, parts.builder, parts.sbsa, parts.arch, parts.board)
        key = (engine.id, image, shown, tag if self._has_rules[engine.id, image] else by_parts)
        if key not in self._said:
            self._said[key] = reasons_against(image, tag, shown, engine, self.device, self.device.architecture)
        return self._said[key]


class _Judged(NamedTuple):
    """An image that a source shows and lets through, and why the device could not run it."""

    source: SourceConfig
    known: KnownFact
    engine: str
    image: str
    digest: str
    reasons: tuple[str, ...]


def _judged(facts: Iterable[tuple[SourceConfig, KnownFact]], judge: _Judge) -> Iterator[_Judged]:
    for source, known in facts:
        fact, image = known.fact, image_of(source)
        if image is None or fact.kind is not FactKind.IMAGE or fact.digest is None or known.withdrawn or fact.yanked:
            continue
        engine = judge.engine_of(source)
        if engine is None or not is_wanted(fact.name, source.include, source.exclude):
            continue
        if fact.prerelease and not source.prereleases:
            continue
        reasons = judge.reasons(image, fact.name, _architectures(source, known, judge.device), engine)
        yield _Judged(source, known, engine.id, image, fact.digest, reasons)


def _candidate(
    source: SourceConfig, known: KnownFact, engine: str, image: str, digest: str, reasons: tuple[str, ...]
) -> Candidate:
    fact = known.fact
    return Candidate(
        engine=engine,
        image=f"{image}:{fact.name}",
        digest=digest,
        fingerprint=fingerprint(digest),
        source=source.name,
        compatible=not reasons,
        reasons=reasons,
        version=parse_tag(fact.name).version,
        published_at=fact.published_at,
        first_seen=known.first_seen,
        baseline=known.baseline,
    )


def image_of(source: SourceConfig) -> str | None:
    """Return the repository whose tags a source shows; None for a source of something else."""
    return source.image if isinstance(source, ImageSource) else None


def engine_of(source: SourceConfig, engines: Mapping[str, EngineSettings]) -> EngineSettings | None:
    """Return the engine that a source's images bring: the one it names, else the one that lists its repository."""
    image = image_of(source)
    if image is None:
        return None
    if isinstance(source, ImageSource) and source.engine is not None:
        return engines.get(source.engine)
    listing = (engine for engine in engines.values() if repository(image) in map(repository, engine.images))
    return next(listing, None)


def _architectures(source: SourceConfig, known: KnownFact, device: DeviceFacts) -> tuple[str, ...] | None:
    """Return what the digest stands for: all that the source saw in the index, else what it was asked to look up."""
    if seen := known.fact.detail.get("_architectures"):
        return tuple(seen.replace(",", " ").split())
    asked = source.architecture if isinstance(source, ImageSource) else None
    return (asked or device.architecture,)


def _telling(one: Candidate, other: Candidate) -> Candidate:
    """Return, of two names of the same content, the one that says more: it fits, it has a version, it is longer."""
    return max(one, other, key=lambda it: (it.compatible, it.version is not None, len(it.image), it.image))
