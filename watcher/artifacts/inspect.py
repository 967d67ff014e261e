"""What the bytes of an artefact say about a bug: the static rung."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from watcher.config.bugs import BugSettings, StaticRule
from watcher.fetch.ranged import RangesUnsupported
from watcher.model.verdict import BugState, ByteEvidence, StaticReading
from watcher.ports import Reader, is_wanted

PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\n\r"
_REACH = 4096
"""How far a string is followed to each side of the text that was looked for."""
_LONGEST_EVIDENCE = 400
_VERSION_LINE = re.compile(rb"""^__version__\s*(?::\s*\w+\s*)?=\s*['"]([\w.+!-]{1,100})['"]""", re.MULTILINE)
_METADATA_VERSION = re.compile(rb"^Version:[ \t]*([\w.+!-]{1,100})[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Library:
    """One copy of the library: where it lies and which of the texts stand in it."""

    path: str
    present: tuple[str, ...]
    fixed: tuple[str, ...]

    @property
    def state(self) -> BugState:
        """Return unknown also for a library with both texts: which of them speaks depends on what NVML refuses."""
        if bool(self.present) == bool(self.fixed):
            return BugState.UNKNOWN
        return BugState.PRESENT if self.present else BugState.FIXED

    @property
    def saying(self) -> str:
        if self.present and self.fixed:
            return "holds both the fault's text and the text which replaced it: only the probe can tell"
        if not self.present and not self.fixed:
            return "holds neither the fault's text nor the text which replaced it"
        return "holds the fault's text" if self.present else "holds the text which replaced the fault's"


@dataclass(slots=True)
class _Found:
    """What was met in one artefact; versions by the path of the file that tells them."""

    libraries: list[_Library] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)


def read_static(reader: Reader, bug: BugSettings) -> StaticReading:
    """Return what the artefact's bytes say. Raises what the reader raises, but for a host that serves no ranges."""
    if bug.static is None:
        return _reading(reader, BugState.UNKNOWN, "this bug says nothing about bytes")
    try:
        found = _look(reader, bug.component, bug.static)
    except RangesUnsupported as error:
        reason = f"{error.message}, so only a download could tell (inspect --download)"
        return _reading(reader, BugState.UNKNOWN, reason)
    return _judge(reader, bug.component, bug.static, found)


def strings_holding(data: bytes, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the different printable strings of `data` that hold all of `texts`, in their order.

    Searches for the longest text and looks around it, which takes as long as one pass over the data.
    """
    needles = sorted((text.encode() for text in texts), key=len, reverse=True)
    if not needles:
        return ()
    found = (string for string in _strings_around(data, needles[0]) if all(needle in string for needle in needles))
    return tuple(dict.fromkeys(string.decode("ascii", "replace").strip() for string in found))


def _strings_around(data: bytes, needle: bytes) -> Iterator[bytes]:
    at = data.find(needle)
    while at >= 0:
        before = data[max(0, at - _REACH) : at]
        after = data[at + len(needle) : at + len(needle) + _REACH]
        head = before[len(before.rstrip(PRINTABLE)) :]
        tail = after[: len(after) - len(after.lstrip(PRINTABLE))]
        yield head + needle + tail
        at = data.find(needle, at + len(needle) + len(tail))


def _look(reader: Reader, component: str, rule: StaticRule) -> _Found:
    found, version_file = _Found(), f"{component}/version.py"
    for path, content in reader.members((rule.member, version_file)):
        if is_wanted(path, (rule.member,)):
            found.libraries.append(
                _Library(path, strings_holding(content, rule.present), strings_holding(content, rule.fixed))
            )
        else:
            found.versions[path] = _first(_VERSION_LINE, content)
    if reader.kind == "wheel" and not any(found.versions.values()):
        _look_into_metadata(reader, component, found)
    return found


def _look_into_metadata(reader: Reader, component: str, found: _Found) -> None:
    for path, content in reader.members(("METADATA",)):
        folder = PurePosixPath(path).parent.name
        if folder.startswith(f"{component}-") and folder.endswith(".dist-info"):
            header = content.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
            found.versions[path] = _first(_METADATA_VERSION, header)


def _first(pattern: re.Pattern[bytes], content: bytes) -> str | None:
    match = pattern.search(content)
    return match[1].decode("ascii", "replace") if match else None


def _judge(reader: Reader, component: str, rule: StaticRule, found: _Found) -> StaticReading:
    versions = {version for version in found.versions.values() if version}
    version = next(iter(versions)) if len(versions) == 1 else None
    state, reason = _state(component, rule, found)
    return _reading(
        reader,
        state,
        reason,
        torch=version,
        evidence=tuple(_evidence(found.libraries)),
        copies=tuple(library.path for library in found.libraries),
    )


def _state(component: str, rule: StaticRule, found: _Found) -> tuple[BugState, str]:
    name = PurePosixPath(rule.member).name
    if not found.libraries:
        return BugState.UNKNOWN, _missing(component, name, found)
    states = {library.state for library in found.libraries}
    if len(states) > 1:
        told = "; ".join(f"{library.path} {library.saying}" for library in found.libraries)
        return BugState.UNKNOWN, f"there are copies of {name} that differ: {told}"
    first = found.libraries[0]
    copies = f"each of {len(found.libraries)} copies of {name}" if len(found.libraries) > 1 else name
    return first.state, f"{copies} {first.saying}"


def _missing(component: str, name: str, found: _Found) -> str:
    if not found.versions:
        return f"there is no {component} inside"
    return f"this is a build of {component} without {name}, as CPU builds are"


def _evidence(libraries: list[_Library]) -> Iterator[ByteEvidence]:
    for library in libraries:
        for text in (*library.present, *library.fixed):
            yield ByteEvidence(library.path, text[:_LONGEST_EVIDENCE])


def _reading(
    reader: Reader,
    state: BugState,
    reason: str,
    torch: str | None = None,
    evidence: tuple[ByteEvidence, ...] = (),
    copies: tuple[str, ...] = (),
) -> StaticReading:
    return StaticReading(
        target=reader.target,
        kind=reader.kind,
        state=state,
        reason=reason,
        torch=torch,
        evidence=evidence,
        bytes_read=reader.bytes_read,
        copies=copies,
    )
