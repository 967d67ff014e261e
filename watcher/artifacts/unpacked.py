"""A wheel as its installation would lie, as the stream of a tar archive: nothing of it is unpacked on this machine."""

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from watcher.artifacts.archive import DAMAGE, MAX_RATIO, SMALL_MEMBER, files_of
from watcher.errors import CannotStart

MAX_UNPACKED = 16 * 10**9
MAX_MEMBERS = 100_000
_CHUNK = 2**20
_BLOCK = 512
_LAID_AT_THE_ROOT = ("purelib", "platlib")


def unpacked_bytes(wheel: Path) -> int:
    """Return what the wheel takes when it is unpacked, as it says itself. Raises CannotStart: it is no wheel."""
    with _opened(wheel) as archive:
        return sum(entry.file_size for _, entry in _members(archive))


def unpacked(wheel: Path) -> Iterator[bytes]:
    """Yield a tar archive of what the wheel installs. Raises CannotStart for a wheel that is damaged or hostile."""
    with _opened(wheel) as archive:
        folders: set[str] = set()
        for path, entry in _members(archive):
            for folder in reversed(PurePosixPath(path).parents[:-1]):
                if str(folder) not in folders:
                    folders.add(str(folder))
                    yield _header(str(folder), tarfile.DIRTYPE, 0, 0o755)
            yield _header(path, tarfile.REGTYPE, entry.file_size, (entry.external_attr >> 16) & 0o755 or 0o644)
            yield from _content(archive, entry)
    yield bytes(2 * _BLOCK)


def _opened(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except DAMAGE as error:
        raise _refused("its zip directory cannot be read", cause=str(error)) from None


def _members(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return (path in the installation, member) of all files; scripts, headers and data are not needed."""
    entries = files_of(archive)
    if len(entries) > MAX_MEMBERS or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise _refused("it unpacks to more than any wheel has reason to")
    return [(path, entry) for entry in entries if (path := _place(entry)) is not None]


def _place(entry: zipfile.ZipInfo) -> str | None:
    parts = PurePosixPath(entry.filename).parts
    if entry.filename.startswith("/") or ".." in parts or not parts:
        raise _refused("a member would lie outside of it", member=entry.filename)
    if entry.file_size > max(SMALL_MEMBER, entry.compress_size * MAX_RATIO):
        raise _refused("a member unpacks to far more than it holds", member=entry.filename)
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) or None if len(parts) > 2 and parts[1] in _LAID_AT_THE_ROOT else None
    return "/".join(parts)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    left = entry.file_size
    try:
        with archive.open(entry) as member:
            while left and (chunk := member.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk
            if left or member.read(1):
                raise _refused("a member is not as long as it says", member=entry.filename)
    except DAMAGE as error:
        raise _refused("a member is damaged", member=entry.filename, cause=str(error)) from None
    yield bytes(-entry.file_size % _BLOCK)


def _header(path: str, kind: bytes, size: int, mode: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.type, info.size, info.mode = kind, size, mode
    return info.tobuf(tarfile.GNU_FORMAT, errors="replace")


def _refused(reason: str, **fields: object) -> CannotStart:
    return CannotStart(f"the wheel cannot be laid over the image: {reason}", **fields)
