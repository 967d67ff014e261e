"""What another L4T would open: the same facts, judged for this device as it would be after an upgrade. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.version import Version

from watcher.config.sources import SourceConfig
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate
from watcher.planner.candidates import engine_of, fitting, image_of, newest_first
from watcher.planner.compatibility import runs_on
from watcher.planner.ledger import Ledger
from watcher.planner.news import is_wanted
from watcher.planner.versions import debian_key, parse_tag, parse_version

Images = Sequence[tuple[SourceConfig, KnownFact]]
CORE, JETPACK = "nvidia-l4t-core", "nvidia-jetpack"
"""The packages whose versions name the L4T, and the JetPack that goes with it."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An L4T that sources show and this device does not run, with the newest image that it opens.

    Attributes:
        jetpack: as its package calls itself in the same dist; None where no source shows it.
        fix: how that image is known to carry the fix, as a clause; None where it is not.
    """

    l4t: str
    jetpack: str | None
    candidate: Candidate
    fix: str | None = None

    def __str__(self) -> str:
        return f"JetPack {self.jetpack} (L4T r{self.l4t})" if self.jetpack else f"L4T r{self.l4t}"


def best_upgrade(ledger: Ledger) -> Upgrade | None:
    """Return the smallest step up that opens an image with the fix, else the smallest that opens any."""
    images, smallest = _images(ledger), None
    for line in _lines_above(ledger):
        upgrade = _opened(ledger, images, *line)
        if upgrade is None:
            continue
        if upgrade.fix:
            return upgrade
        if smallest is None:  # from here on only an image with the fix is better
            smallest, images = upgrade, _with_fix(ledger, images)
    return smallest


def _lines_above(ledger: Ledger) -> Iterator[tuple[str, str | None]]:
    """Yield (newest L4T, JetPack) of each dist above the device's own L4T that its board can run, lowest first."""
    versions = _versions_by_dist(ledger.facts)
    lines = []
    for dist in {dist for _, dist in versions}:
        cores = versions.get((CORE, dist), set())
        # Debian's order takes long: it is asked only where one of the versions would do
        if any(_is_above(_l4t_of_dist(dist, core), ledger.device) for core in cores or (None,)):
            lines.append((_l4t_of_dist(dist, _newest(cores)), dist))
    for l4t, dist in sorted((l4t, dist) for l4t, dist in lines if _is_above(l4t, ledger.device)):
        jetpack = _newest(versions.get((JETPACK, dist), ())) or ""
        yield str(l4t), jetpack.partition("+")[0] or None


def _is_above(l4t: Version | None, device: DeviceFacts) -> bool:
    here = parse_version(device.state.l4t)
    return here is not None and l4t is not None and l4t > here and runs_on(l4t.major, device)


def _l4t_of_dist(dist: str, core: str | None) -> Version | None:
    """Return the newest L4T of a dist: its core package's, else as much of it as the dist's own name says."""
    return l4t_of(core) or parse_version(dist.removeprefix("r"))


def _versions_by_dist(facts: Sequence[tuple[str, KnownFact]]) -> Mapping[tuple[str, str], set[str]]:
    versions: dict[tuple[str, str], set[str]] = {}
    for _, known in facts:
        fact = known.fact
        if fact.kind is not FactKind.DEB or known.withdrawn or not fact.version:
            continue
        package, _, dist = fact.name.partition(" ")
        if package in (CORE, JETPACK):
            versions.setdefault((package, dist), set()).add(fact.version)
    return versions


def _newest(versions: Iterable[str]) -> str | None:
    return max(versions, key=debian_key, default=None)


def l4t_of(debian_version: str | None) -> Version | None:
    """Return 39.2.1 of `39.2.1-20260806224157`: the suffix is the time of the build."""
    return parse_version((debian_version or "").partition("-")[0])


def _opened(ledger: Ledger, images: Images, l4t: str, jetpack: str | None) -> Upgrade | None:
    device = replace(ledger.device, state=DeviceState(l4t=l4t), jetpack=jetpack)
    now = {one.fingerprint for one in ledger.candidates if one.compatible}
    then = fitting(images, {ledger.engine.id: ledger.engine}, device)
    opened = [one for one in then if one.fingerprint not in now]
    fixed = [one for one in opened if ledger.fix_of(one)]
    best = next(iter(newest_first(fixed or opened, ledger.ranks)), None)
    return Upgrade(l4t, jetpack, best, ledger.fix_of(best)) if best else None


def _with_fix(ledger: Ledger, images: Images) -> Images:
    """Return the images, each under all its names, that are known to carry the fix under one of them."""
    names = ((known.fact, image_of(source)) for source, known in images)
    fixed = {
        fact.digest
        for fact, image in names
        if image and ledger.fix_in(ledger.engine.id, image, fact.digest, parse_tag(fact.name).version)
    }
    return [(source, known) for source, known in images if known.fact.digest in fixed]


def _images(ledger: Ledger) -> Images:
    """Return the engine's images that have content and pass the filters of their sources."""
    engines = {ledger.engine.id: ledger.engine}
    sources: dict[str, SourceConfig] = {one.name: one for one in ledger.sources if engine_of(one, engines)}
    found = ((sources[name], known) for name, known in ledger.facts if name in sources and known.fact.digest)
    return [(source, known) for source, known in found if is_wanted(known.fact.name, source.include, source.exclude)]
