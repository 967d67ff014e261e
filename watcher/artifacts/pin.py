"""What a dependent's wheel asks of the component that carries the bug: read from its metadata, not from its code."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from watcher.config.bugs import BugSettings
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.fetch.ranged import RangesUnsupported
from watcher.model.facts import Fact
from watcher.model.verdict import BugState, StaticReading
from watcher.ports import Reader

MAX_METADATA = 4 * 2**20
_MACHINE = {
    "platform_machine": "aarch64",
    "platform_system": "Linux",
    "sys_platform": "linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "extra": "",
}
"""The environment of a Jetson, for markers."""
_PYTHONS = ("3.10", "3.12")
"""Of JetPack 6 and of JetPack 7.2."""


def fetch_pin(fact: Fact, fetcher: Fetcher, bug: BugSettings) -> StaticReading | None:
    """Return the pin out of the metadata file that the index keeps beside the wheel (PEP 658), None without one.

    Whatever is wrong with that file, the wheel itself may tell. Raises SourceUnavailable for a host that wants to be
    left alone.
    """
    if "_metadata" not in fact.detail:
        return None
    try:
        answer = fetcher.get(f"{fact.url}.metadata", max_body=MAX_METADATA, elsewhere=True)
        return pin_reading(fact.url, answer.body, bug, len(answer.body))
    except SourceUnavailable as error:
        if error.retry_after is not None:
            raise
        return None
    except SourceChanged:
        return None


def read_pin(reader: Reader, bug: BugSettings) -> StaticReading:
    """Return the pin out of a wheel, or why it tells none: no ranges, no metadata, none that can be read.

    Raises what the reader raises otherwise.
    """
    try:
        for path, content in reader.members(("METADATA",)):
            if PurePosixPath(path).parent.name.endswith(".dist-info"):
                return _reading_inside(reader, content, bug)
    except RangesUnsupported as error:
        return _unknown(reader, f"{error.message}, so only a download could tell")
    return _unknown(reader, "the wheel has no metadata inside")


def _reading_inside(reader: Reader, metadata: bytes, bug: BugSettings) -> StaticReading:
    try:
        return pin_reading(reader.target, metadata, bug, reader.bytes_read)
    except SourceChanged as error:
        return _unknown(reader, error.message)


def _unknown(reader: Reader, reason: str) -> StaticReading:
    return StaticReading(reader.target, "wheel", BugState.UNKNOWN, reason, bytes_read=reader.bytes_read)


def pin_reading(target: str, metadata: bytes, bug: BugSettings, bytes_read: int) -> StaticReading:
    """Return what a METADATA file asks for. Its state stays open: it follows from the builds that the pin allows."""
    pin = pinned(metadata, bug.component)
    reason = f"asks for {bug.component}{pin}" if pin else f"asks for no particular {bug.component}"
    return StaticReading(target, "wheel", BugState.UNKNOWN, reason, bytes_read=bytes_read, pin=pin)


def pinned(metadata: bytes, component: str) -> str | None:
    """Return the version specifier of a METADATA file on `component`, as in `==2.14.0`; None where it names none.

    Of several requirements all count; where it depends on the Python there is no one answer, and none is given.
    Raises SourceChanged for what is no metadata.
    """
    from packaging.metadata import parse_email

    try:
        fields, _ = parse_email(metadata)
    except (ValueError, LookupError, RecursionError) as error:
        raise SourceChanged("the wheel's metadata cannot be read", cause=str(error)[:200]) from None
    if "name" not in fields:
        raise SourceChanged("the wheel's metadata names no project")
    lines = fields.get("requires_dist", ())
    found = {
        ",".join(sorted({text for line in lines for text in _specifiers(line, component, python)}))
        for python in _PYTHONS
    }
    return next(iter(found)) or None if len(found) == 1 else None


def _specifiers(requirement: str, component: str, python: str) -> Iterator[str]:
    """Yield the specifier of a requirement on the component that holds on a Jetson; extras are nobody's pin."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        asked = Requirement(requirement[:2000])
        here = {**_MACHINE, "python_version": python, "python_full_version": f"{python}.0"}
        holds = asked.marker is None or asked.marker.evaluate(here)
    except (InvalidRequirement, ValueError, KeyError, RecursionError):
        return
    if holds and canonicalize_name(asked.name) == component and str(asked.specifier):
        yield str(asked.specifier)
