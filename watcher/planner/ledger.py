"""Which build carries the fix, which release still lacks an image: from what sources show, never from memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from watcher.config.bugs import BugSettings
from watcher.config.engines import EngineSettings
from watcher.config.sources import GitHubReleasesConfig, SourceConfig, WheelSource
from watcher.model.device import DeviceFacts
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BugState, StaticRecord
from watcher.planner.candidates import Ranks
from watcher.planner.compatibility import repository, repository_of, wheel_reasons
from watcher.planner.news import is_wanted
from watcher.planner.versions import OrderKey, order_key, parse_version, pep440_key, public


@dataclass(frozen=True, slots=True)
class Fix:
    """The lowest public version of a component that carries the fix.

    `since` is upstream's own stamp of it, else when we saw it come; None where it was there before us.
    """

    component: str
    version: str
    since: datetime | None = None

    def __str__(self) -> str:
        return f"{self.version} ({self.since:%Y-%m-%d})" if self.since else self.version


def standing(records: Iterable[StaticRecord], facts: Iterable[tuple[str, KnownFact]]) -> tuple[StaticRecord, ...]:
    """Return the readings of what sources still show: a wheel that was replaced or withdrawn speaks no more.

    An image speaks as long as its digest does; a source that shows no wheels says nothing of them.
    """
    wheels = [(source, known) for source, known in facts if known.fact.kind is FactKind.WHEEL]
    speaking = {source for source, _ in wheels}
    shown = {(source, known.fact.content_key) for source, known in wheels if not known.withdrawn}
    return tuple(
        record
        for record in records
        if record.reading.kind != "wheel" or record.source not in speaking or (record.source, record.digest) in shown
    )


def probed_wheels(trials: Iterable[Trial]) -> Mapping[str, Trial]:
    """Return, by the digest of a wheel, the last trial in which its probe answered."""
    answered = (one for one in trials if one.outcome is Outcome.VERDICT and one.bug is not BugState.UNKNOWN)
    ended = sorted(answered, key=lambda one: (one.finished_at or one.started_at, one.id))
    return {one.candidate.overlay.digest: one for one in ended if one.candidate.overlay is not None}


def seen_here(records: Iterable[StaticRecord], probed: Mapping[str, Trial]) -> tuple[StaticRecord, ...]:
    """Return the readings, with what the device showed of a wheel in place of what its bytes say."""
    return tuple(_seen(record, probed.get(record.digest)) for record in records)


def _seen(record: StaticRecord, trial: Trial | None) -> StaticRecord:
    if trial is None or record.reading.kind != "wheel":
        return record
    reason = f"the probe saw it {trial.bug.value} on this device, in trial {trial.id}"
    return replace(record, reading=replace(record.reading, state=trial.bug, reason=reason))


@dataclass(frozen=True)
class Ledger:
    """What was read from bytes, beside the releases and candidates that the sources show.

    `facts` stand beside the name of their source; `probed` are the trials of wheels on this device, by digest.
    """

    bug: BugSettings
    engine: EngineSettings
    device: DeviceFacts
    candidates: Sequence[Candidate] = ()
    statics: Sequence[StaticRecord] = ()
    facts: Sequence[tuple[str, KnownFact]] = ()
    sources: Sequence[SourceConfig] = ()
    probed: Mapping[str, Trial] = field(default_factory=dict)

    @cached_property
    def shown(self) -> tuple[Candidate, ...]:
        """Return the engine's candidates, in no order."""
        return tuple(one for one in self.candidates if one.engine == self.engine.id)

    @cached_property
    def ranks(self) -> Ranks:
        return Ranks.of(self.shown)

    @cached_property
    def fixes(self) -> dict[str, Fix]:
        """Return, per component, the lowest public version seen to carry the fix; a final one before a candidate."""
        seen: dict[str, set[str]] = {}
        for component, version in self._fixed_versions():
            if shown := public(version):
                seen.setdefault(component, set()).add(shown)
        lowest = {component: min(versions, key=_final_first) for component, versions in sorted(seen.items())}
        return {
            component: Fix(component, version, self._since(component, version)) for component, version in lowest.items()
        }

    @property
    def fixed_in(self) -> dict[str, str] | None:
        return {component: fix.version for component, fix in self.fixes.items()} or None

    @property
    def fix(self) -> Fix | None:
        """Return the fix in the bug's own component."""
        return self.fixes.get(self.bug.component)

    @cached_property
    def fix_seen_at(self) -> datetime | None:
        """Return since when that version of the bug's component is there; else since when it is known to us."""
        if self.fix is None:
            return None
        mine = (one for one in self._fixed() if one.component == self.bug.component)
        read = (one.at for one in mine if public(one.version) == self.fix.version)
        return self.fix.since or min(read, default=None)

    def fix_of(self, candidate: Candidate) -> str | None:
        """Return, as a clause, how an image is known to carry the fix: by its bytes, else by what its version asks for.

        Only the engine's own image holds what its wheel of the same version asks for: others are built otherwise, and
        their labels were seen to run ahead of upstream.
        """
        return self.fix_in(candidate.engine, candidate.image, candidate.digest, candidate.version)

    def fix_in(self, engine: str, image: str, digest: str | None, version: str | None) -> str | None:
        """Return the same of an image that is no candidate yet."""
        if (record := self.image_record(digest)) is not None:
            return "which carries the fix" if record.reading.state is BugState.FIXED else None
        shown, pinned = public(version), (one for one in self._fixed() if one.reading.pin)
        is_own = repository(repository_of(image)) in self._own_images
        if shown and is_own and any((one.component, public(one.version)) == (engine, shown) for one in pinned):
            return f"whose version asks for a {self.bug.component} with the fix"
        return None

    def usable_fix(self) -> StaticRecord | None:
        """Return the newest wheel with the fix, of an index for this device's JetPack."""
        fixed = (one for one in self._usable_wheels() if one.reading.state is BugState.FIXED)
        return max(fixed, key=lambda one: pep440_key(one.version), default=None)

    def image_record(self, digest: str | None) -> StaticRecord | None:
        """Return the last reading of an image's bytes."""
        return self._image_records.get(digest) if digest else None

    def newest_wheel(self) -> StaticRecord | None:
        """Return the reading of the newest wheel of the bug's component, of the indexes for this device's JetPack."""
        return max(self._usable_wheels(), key=lambda one: (pep440_key(one.version), one.at), default=None)

    def release_without_image(self) -> KnownFact | None:
        """Return the engine's newest final release, where this device could use no image of it or of a later one."""
        final = [
            known
            for source, known in self._releases
            if not known.fact.prerelease and is_wanted(known.fact.name, source.include, source.exclude)
        ]
        newest = max(final, key=lambda known: order_key(known.fact), default=None)
        if newest is None or pep440_key(public(newest.fact.version))[:2] <= self._newest_usable():
            return None
        return newest

    @cached_property
    def release_sources(self) -> Mapping[str, GitHubReleasesConfig]:
        """Return what shows the engine's own releases: it names its image, or its repository is called like it."""
        images = {repository(image) for image in self.engine.images}
        return {
            name: source
            for name, source in self._by_name.items()
            if isinstance(source, GitHubReleasesConfig)
            and (
                (source.image is not None and repository(source.image) in images)
                or source.repo.rpartition("/")[2].lower() == self.engine.id
            )
        }

    @cached_property
    def _own_images(self) -> frozenset[str]:
        images = (source.image for source in self.release_sources.values())
        return frozenset(repository(image) for image in images if image)

    def _newest_usable(self) -> OrderKey:
        usable = (one for one in self.candidates if one.engine == self.engine.id and one.compatible)
        return max((pep440_key(one.version)[:2] for one in usable), default=pep440_key(None)[:2])

    def _fixed(self) -> Iterator[StaticRecord]:
        return (record for record in self.statics if record.reading.state is BugState.FIXED)

    def _fixed_versions(self) -> Iterator[tuple[str, str | None]]:
        """Yield (component, version) of what carries the fix.

        A wheel speaks of itself: by its bytes, or by the dependency it pins. An image speaks of the component inside,
        and of its engine.
        """
        tags = {one.digest: one for one in self.candidates if one.engine in self.bug.dependents}
        for record in self._fixed():
            if record.reading.kind == "wheel":
                yield record.component, record.version
                continue
            yield self.bug.component, record.version
            candidate = tags.get(record.digest)
            if candidate and self._was_released(candidate):
                yield candidate.engine, candidate.version

    def _since(self, component: str, version: str) -> datetime | None:
        """Return the first date of a version, out of its wheels and, for an engine, its releases."""
        begin = f"{component.replace('-', '_')}-"
        wheels = (
            known
            for _, known in self.facts
            if known.fact.kind is FactKind.WHEEL
            and known.fact.name.startswith(begin)
            and public(known.fact.version) == version
        )
        releases = (known for _, known in self._releases if component == self.engine.id)
        shown = (*wheels, *(known for known in releases if public(known.fact.version) == version))
        days = (known.fact.published_at or (None if known.baseline else known.first_seen) for known in shown)
        return min((day for day in days if day), default=None)

    def _was_released(self, candidate: Candidate) -> bool:
        """Return whether a tag's label is a release of its engine: some run ahead of upstream and never were one."""
        if candidate.engine != self.engine.id or not self._released:
            return True
        return parse_version(candidate.version) in self._released

    @cached_property
    def _released(self) -> frozenset[object]:
        return frozenset(parse_version(known.fact.version) for _, known in self._releases)

    @cached_property
    def _releases(self) -> tuple[tuple[GitHubReleasesConfig, KnownFact], ...]:
        sources = self.release_sources
        of_engine = ((sources[name], known) for name, known in self.facts if name in sources)
        return tuple(pair for pair in of_engine if pair[1].fact.kind is FactKind.RELEASE and not pair[1].withdrawn)

    @cached_property
    def _by_name(self) -> Mapping[str, SourceConfig]:
        return {source.name: source for source in self.sources}

    @cached_property
    def _image_records(self) -> Mapping[str, StaticRecord]:
        images = (record for record in self.statics if record.reading.kind == "image")
        return {record.digest: record for record in sorted(images, key=lambda one: one.at)}

    def _usable_wheels(self) -> Iterable[StaticRecord]:
        for record in self.statics:
            index = self._by_name.get(record.source)
            of_component = record.reading.kind == "wheel" and record.component == self.bug.component
            if not of_component or not isinstance(index, WheelSource):
                continue
            if not wheel_reasons(str(index.url), record.name, self.device):
                yield record


def _final_first(text: str) -> tuple[bool, OrderKey]:
    version = parse_version(text)
    return version is None or version.is_prerelease, pep440_key(text)
