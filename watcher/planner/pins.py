"""What a dependent's pin says of the bug: as much as is known of the one build that it names. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from watcher.model.verdict import BugState, StaticRecord
from watcher.planner.versions import public

_SAYING = {
    BugState.FIXED: "which carries the fix",
    BugState.PRESENT: "which carries the bug",
    BugState.UNKNOWN: "of which nothing was read yet",
}


def resolved(records: Sequence[StaticRecord], component: str) -> tuple[StaticRecord, ...]:
    """Return the ledger with the state of each pin filled in, from the builds of `component` that were read."""
    builds = _states(records, component) if any(record.reading.pin for record in records) else {}
    return tuple(_resolved(record, component, builds) for record in records)


def exact_version(pin: str) -> str | None:
    """Return the public version that a pin such as `==2.14.0` names; None for one that allows several."""
    try:
        allows = SpecifierSet(pin)
        exact = {one.version for one in allows if one.operator in ("==", "===") and not one.version.endswith("*")}
        (version,) = exact if len(exact) == 1 else (None,)
        return public(version) if version and allows.contains(version, prereleases=True) else None
    except (InvalidSpecifier, ValueError):
        return None


def _resolved(record: StaticRecord, component: str, builds: dict[str, set[BugState]]) -> StaticRecord:
    pin = record.reading.pin
    if pin is None:
        return record
    version = exact_version(pin)
    states = builds.get(version, set()) if version else set()
    state = next(iter(states)) if len(states) == 1 else BugState.UNKNOWN
    saying = _SAYING[state] if version and len(states) < 2 else "which more than one build is"
    return replace(record, reading=replace(record.reading, state=state, reason=f"asks for {component}{pin}, {saying}"))


def _states(records: Iterable[StaticRecord], component: str) -> dict[str, set[BugState]]:
    """Return what was read of each public version; a build without the library (CPU only) says nothing."""
    builds: dict[str, set[BugState]] = {}
    for record in records:
        version = public(record.version)
        is_build = record.component == component and record.reading.kind == "wheel"
        if version and is_build and record.reading.state is not BugState.UNKNOWN:
            builds.setdefault(version, set()).add(record.reading.state)
    return builds
