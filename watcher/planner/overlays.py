"""Wheels laid over images: a new build of the bug's component can be probed here before any image holds it. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion

from watcher.config.engines import EngineSettings
from watcher.config.sources import SourceConfig, WheelSource
from watcher.model.device import DeviceFacts
from watcher.model.facts import KnownFact
from watcher.model.trial import Candidate, Overlay
from watcher.model.verdict import StaticRecord
from watcher.planner.candidates import fingerprint
from watcher.planner.compatibility import wheel_reasons
from watcher.planner.inspections import wheels_of
from watcher.planner.news import is_wanted
from watcher.planner.versions import parse_tag, parse_version, pep440_key, public

_PYTHON_OF_UBUNTU = {"18.04": "3.6", "20.04": "3.8", "22.04": "3.10", "24.04": "3.12"}
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def overlays(
    facts: Iterable[tuple[SourceConfig, KnownFact]],
    images: Sequence[Candidate],
    statics: Iterable[StaticRecord],
    engine: EngineSettings,
    component: str,
    device: DeviceFacts,
) -> tuple[Candidate, ...]:
    """Return the wheels of `component` that are news, each laid over the newest image that this device could use.

    One wheel stands for a public version of an index. Of what was there before, the newest of each index that fits.

    Args:
        images: newest first.
        statics: where an image's own copy of the component lies tells its Python.
    """
    image = next((one for one in images if one.engine == engine.id and one.compatible and not one.skipped), None)
    if image is None or not engine.carries_torch:
        return ()
    python = python_of(image, statics)
    by_source: dict[str, tuple[WheelSource, list[KnownFact]]] = {}
    for source, known in facts:
        if isinstance(source, WheelSource):
            by_source.setdefault(source.name, (source, []))[1].append(known)
    laid = (
        _candidate(image, python, source, wheel, component, device)
        for source, known in by_source.values()
        for wheel in _chosen(source, wheels_of(component, known), python)
    )
    return _by_content(one for one in laid if one.compatible or not one.baseline)


def _by_content(laid: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return one for each content: several indexes may show the same file, and it is tried from one that fits."""
    found: dict[str, Candidate] = {}
    for one in laid:
        if one.fingerprint not in found or one.compatible > found[one.fingerprint].compatible:
            found[one.fingerprint] = one
    return tuple(found.values())


def python_of(image: Candidate, statics: Iterable[StaticRecord]) -> str | None:
    """Return `3.10`: by where the image holds the component, else by what its tag says; None if unsaid."""
    copies = [path for one in statics if one.digest == image.digest for path in one.reading.copies]
    parts = {part.removeprefix("python") for path in copies for part in path.split("/") if part.startswith("python3.")}
    if len(parts) == 1:
        return parts.pop()
    told = parse_tag(image.image.rpartition(":")[2])
    return told.python if told.python and "." in told.python else _PYTHON_OF_UBUNTU.get(told.ubuntu or "")


def reason_against_python(name: str, python: str) -> str | None:
    """Return why a wheel cannot be imported by a Python such as `3.10`; None when it can."""
    wanted = sorted({tag.interpreter for tag in _tags(name)})
    known = {f"cp{python.replace('.', '')}", f"py{python.replace('.', '')}", "py3"}
    return None if known.intersection(wanted) else f"is built for {', '.join(wanted) or 'no Python'}, not for {python}"


def _candidate(
    image: Candidate,
    python: str | None,
    source: WheelSource,
    wheel: KnownFact,
    component: str,
    device: DeviceFacts,
) -> Candidate:
    fact = wheel.fact
    digest = fact.digest or ""
    reasons = _reasons(image, python, source, wheel, device)
    return Candidate(
        engine=image.engine,
        image=image.image,
        digest=image.digest,
        fingerprint=fingerprint(image.digest or "", [digest]),
        source=source.name,
        compatible=not reasons,
        reasons=reasons,
        version=image.version,
        published_at=fact.published_at,
        first_seen=wheel.first_seen,
        baseline=wheel.baseline,
        overlay=Overlay(component, fact.name, fact.version or "", digest, fact.url, source.name),
    )


def _chosen(source: WheelSource, known: Iterable[KnownFact], python: str | None) -> list[KnownFact]:
    by_version: dict[str, list[KnownFact]] = {}
    for wheel in known:
        version = public(wheel.fact.version)
        if version and wheel.fact.digest and not wheel.fact.yanked and _is_heard(source, wheel):
            by_version.setdefault(version, []).append(wheel)
    standing = [
        wheels[0] if len(wheels) == 1 else max(wheels, key=lambda one: _rank(one, python))  # a rank takes long
        for wheels in by_version.values()
    ]
    standing.sort(key=lambda one: pep440_key(one.fact.version), reverse=True)
    newest_before = next((one for one in standing if one.baseline), None)
    return [one for one in standing if not one.baseline or one is newest_before]


def _is_heard(source: WheelSource, wheel: KnownFact) -> bool:
    fact = wheel.fact
    return is_wanted(fact.name, source.include, source.exclude) and (source.prereleases or not fact.prerelease)


def _rank(wheel: KnownFact, python: str | None) -> tuple[object, ...]:
    fact = wheel.fact
    fits = python is not None and reason_against_python(fact.name, python) is None
    return (fits, pep440_key(fact.version), wheel.first_seen, fact.name)


def _reasons(
    image: Candidate, python: str | None, source: WheelSource, wheel: KnownFact, device: DeviceFacts
) -> tuple[str, ...]:
    name = wheel.fact.name
    against = [*wheel_reasons(str(source.url), name, device), _platform_reason(name, device)]
    if python is None:
        against.append(f"which Python {image.image} has is not known before a trial read its files")
    else:
        against.append(reason_against_python(name, python))
    against.append(_cuda_reason(image, source, name))
    return tuple(dict.fromkeys(reason for reason in against if reason))


def _platform_reason(name: str, device: DeviceFacts) -> str | None:
    machine = _MACHINES.get(device.architecture, device.architecture)
    platforms = sorted({tag.platform for tag in _tags(name)})
    if any(platform == "any" or platform.endswith(f"_{machine}") for platform in platforms):
        return None
    return f"is built for {', '.join(platforms) or 'no platform'}; this device is {device.architecture}"


def _cuda_reason(image: Candidate, source: WheelSource, name: str) -> str | None:
    """Return that the wheel wants another CUDA than the image brings, where both say so; a minor release may differ."""
    told = parse_tag("-".join(str(source.url).split("/"))).cuda or parse_tag(name.partition("+")[2]).cuda
    wanted, there = parse_version(told), parse_version(parse_tag(image.image.rpartition(":")[2]).cuda)
    if wanted is None or there is None or wanted.major == there.major:
        return None
    return f"needs CUDA {wanted.major}; {image.image} brings CUDA {there.major}"


@lru_cache(maxsize=8)
def _tags(name: str) -> frozenset[Tag]:
    """Return what a file name is built for; it is asked several times in a row, and takes long."""
    try:
        return parse_wheel_filename(name)[3]
    except (InvalidWheelFilename, InvalidVersion):
        return frozenset()
