"""Single files out of a zip that a stranger made: bounded, and every kind of damage is one error."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from watcher.errors import WatcherError
from watcher.ports import is_wanted

MAX_MEMBER = 256 * 10**6
SMALL_MEMBER = 2**20
"""Up to this size any ratio is harmless."""
MAX_RATIO = 200
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What wheels use. The other methods of `zipfile` decompress a whole chunk at once, without a bound."""
DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)

Broken = Callable[..., WatcherError]


def zip_members(
    file: IO[bytes], suffixes: tuple[str, ...], broken: Broken, *, read_ahead: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of the wanted members, in the order in which they lie in the file.

    Args:
        broken: makes the error for an archive that is damaged, or larger inside than any wheel has reason to be.
        read_ahead: ask `file` for a whole member at once before it is unpacked; it has to keep what it read.
    """
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise broken("this is not a wheel: its zip directory cannot be read", cause=str(error)) from None
    with archive:
        wanted = [entry for entry in files_of(archive) if is_wanted(entry.filename, suffixes)]
        for entry in sorted(wanted, key=lambda entry: entry.header_offset):
            if reason := _refused(entry):
                raise broken(reason, member=entry.filename)
            if read_ahead:
                _read_ahead(file, entry)
            yield entry.filename, _content(archive, entry, broken)


def files_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members that are no folders; `is_dir` breaks on a name that is empty."""
    return [entry for entry in archive.infolist() if not entry.filename.endswith("/")]


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, broken: Broken) -> bytes:
    """Unpack at most what the directory promises; `ZipFile.read` would unpack whatever comes and cut it afterwards."""
    try:
        with archive.open(entry) as member:
            return member.read(max(entry.file_size, 1))
    except DAMAGE as error:
        raise broken("a member of the wheel is damaged", member=entry.filename, cause=str(error)) from None


def _refused(entry: zipfile.ZipInfo) -> str | None:
    if entry.compress_type not in _METHODS:
        return "a member of the wheel is compressed in a way that wheels do not use"
    if entry.file_size > MAX_MEMBER or entry.compress_size > MAX_MEMBER:
        return "a member of the wheel is larger than allowed"
    if entry.file_size > max(SMALL_MEMBER, entry.compress_size * MAX_RATIO):
        return "a member of the wheel unpacks to far more than it holds"
    return None


def _read_ahead(file: IO[bytes], entry: zipfile.ZipInfo) -> None:
    """Read the member's header and data in one go: behind HTTP that is one request, where `zipfile` would make many."""
    header = 30 + len(entry.filename.encode()) + len(entry.extra)
    file.seek(entry.header_offset)
    file.read(header + entry.compress_size)
