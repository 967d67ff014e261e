"""Which build carries the fix, which release still lacks an image: from what sources show, never from memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from watcher.config.bugs import BugSettings
from watcher.config.engines import EngineSettings
from watcher.config.sources import GitHubReleasesConfig, SimpleIndexConfig, SourceConfig
from watcher.model.device import DeviceFacts
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate
from watcher.model.verdict import BugState, StaticRecord
from watcher.planner.compatibility import repository, wheel_reasons
from watcher.planner.news import is_wanted
from watcher.planner.versions import OrderKey, order_key, parse_version, pep440_key, public


@dataclass(frozen=True)
class Ledger:
    """What was read from bytes, beside the releases and candidates that the sources show.

    `facts` stand beside the name of their source.
    """

    bug: BugSettings
    engine: EngineSettings
    device: DeviceFacts
    candidates: Sequence[Candidate] = ()
    statics: Sequence[StaticRecord] = ()
    facts: Sequence[tuple[str, KnownFact]] = ()
    sources: Sequence[SourceConfig] = ()

    @cached_property
    def fixed_in(self) -> dict[str, str] | None:
        """Return, per component, the lowest public version seen to carry the fix; a final one before a candidate."""
        seen: dict[str, set[str]] = {}
        for component, version in self._fixed_versions():
            if shown := public(version):
                seen.setdefault(component, set()).add(shown)
        return {component: min(versions, key=_final_first) for component, versions in sorted(seen.items())} or None

    @cached_property
    def fix_seen_at(self) -> datetime | None:
        """Return since when that version of the bug's component is known, by our own eyes."""
        lowest = (self.fixed_in or {}).get(self.bug.component)
        seen = (
            one.at for one in self._fixed() if one.component == self.bug.component and public(one.version) == lowest
        )
        return min(seen, default=None)

    def image_record(self, digest: str | None) -> StaticRecord | None:
        """Return the last reading of an image's bytes."""
        return self._image_records.get(digest) if digest else None

    def newest_wheel(self) -> StaticRecord | None:
        """Return the reading of the newest wheel of the bug's component, of the indexes for this device's JetPack."""
        return max(self._usable_wheels(), key=lambda one: pep440_key(one.version), default=None)

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
        """Return the engine's own releases: of a source that names its image, or of the repository called like it."""
        images = {repository(image) for image in self.engine.images}
        sources = {
            name: source
            for name, source in self._by_name.items()
            if isinstance(source, GitHubReleasesConfig)
            and (
                (source.image is not None and repository(source.image) in images)
                or source.repo.rpartition("/")[2].lower() == self.engine.id
            )
        }
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
            if not of_component or not isinstance(index, SimpleIndexConfig):
                continue
            if not wheel_reasons(str(index.url), record.name, self.device):
                yield record


def _final_first(text: str) -> tuple[bool, OrderKey]:
    version = parse_version(text)
    return version is None or version.is_prerelease, pep440_key(text)
