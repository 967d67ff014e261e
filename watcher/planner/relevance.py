"""Whether an upstream event helps this device: one clause beside each piece of news. Pure."""

from packaging.version import Version

from watcher.config.sources import WheelSource
from watcher.model.facts import Event, EventKind, FactKind
from watcher.model.verdict import BugState, StaticRecord
from watcher.planner.compatibility import runs_on, wheel_reasons
from watcher.planner.ledger import Ledger
from watcher.planner.upgrade import CORE, JETPACK, l4t_of
from watcher.planner.versions import parse_version, public

_STATES = {BugState.FIXED: "carries the fix", BugState.PRESENT: "carries the bug"}


def relevance(event: Event, ledger: Ledger) -> str | None:
    """Return what an event means for the bug on this device; None where nothing can be said of it."""
    if event.kind is EventKind.WITHDRAWN:
        return None
    match event.fact.kind:
        case FactKind.WHEEL:
            return _of_wheel(event, ledger)
        case FactKind.RELEASE:
            return _of_release(event, ledger)
        case FactKind.IMAGE:
            return _of_image(event, ledger)
        case FactKind.DEB:
            return _of_l4t(event, ledger)
        case _:
            return None


def _of_wheel(event: Event, ledger: Ledger) -> str | None:
    key = (event.source, event.fact.content_key)
    record = next((one for one in ledger.statics if (one.source, one.digest) == key), None)
    if record is None:
        return None
    source = next((one for one in ledger.sources if one.name == event.source), None)
    against = (
        wheel_reasons(str(source.url), event.fact.name, ledger.device)
        if isinstance(source, WheelSource) and record.component == ledger.bug.component
        else ()
    )
    return "; ".join([_said(record), *(f"not for this device: {reason}" for reason in against)])


def _said(record: StaticRecord) -> str:
    reading = record.reading
    return reading.reason if reading.pin else _STATES.get(reading.state, reading.reason)


def _of_release(event: Event, ledger: Ledger) -> str | None:
    if event.source not in ledger.release_sources:
        return None
    version = public(event.fact.version)
    pins = (one for one in ledger.statics if one.reading.pin and one.component == ledger.engine.id)
    said = {_said(one) for one in pins if public(one.version) == version}
    return said.pop() if len(said) == 1 else None  # indexes whose wheels of it differ leave it open


def _of_image(event: Event, ledger: Ledger) -> str | None:
    fact = event.fact
    if fact.digest is None:
        only = fact.detail.get("_architectures")
        return f"not for this device: has no image for {ledger.device.architecture}, only for {only}" if only else None
    candidate = next((one for one in ledger.candidates if one.digest == fact.digest), None)
    if candidate is None:
        return None
    if not candidate.compatible:
        return f"not for this device: {candidate.reasons[0]}"
    record = ledger.image_record(candidate.digest)
    return _said(record) if record else "fits this device; whether it carries the fix shows once its bytes are read"


def _of_l4t(event: Event, ledger: Ledger) -> str | None:
    package, _, dist = event.fact.name.partition(" ")
    here = parse_version(ledger.device.state.l4t)
    version = l4t_of(event.fact.version) if package == CORE else parse_version(dist.removeprefix("r"))
    if package not in (CORE, JETPACK) or here is None or version is None:
        return None
    if not runs_on(version.major, ledger.device):
        return "not for this device's board"
    if package == JETPACK:
        here = Version(f"{here.major}.{here.minor}")  # a dist names no more of an L4T
    return "newer than what this device runs" if version > here else "not newer than what this device runs"
