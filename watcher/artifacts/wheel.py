"""Wheels on disk and behind HTTP."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, Self, cast

from watcher.artifacts.archive import zip_members
from watcher.errors import HostError, SourceChanged
from watcher.fetch.client import Fetcher
from watcher.fetch.ranged import RangedFile, RangesUnsupported
from watcher.fetch.refusals import shown

MAX_WHEEL = 8 * 10**9


class WheelFile:
    """A wheel on this machine. Its errors are HostErrors."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes_read = 0

    @property
    def kind(self) -> Literal["wheel"]:
        return "wheel"

    @property
    def target(self) -> str:
        return str(self._path)

    @property
    def bytes_read(self) -> int:
        return self._bytes_read

    def members(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        with self._open() as file:
            try:
                yield from zip_members(cast(BinaryIO, file), suffixes, HostError)
            except OSError as error:
                raise self._unreadable(error) from None
            finally:
                self._bytes_read += file.bytes_read

    def _open(self) -> "_CountedFile":
        try:
            return _CountedFile(self._path)
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> HostError:
        return HostError("the wheel cannot be read", path=self._path, cause=error.strerror or str(error))


class _CountedFile(io.FileIO):
    """An unbuffered file that counts what was read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size)
        self.bytes_read += len(data)
        return data


class RemoteWheel:
    """A wheel behind HTTP, read in ranges; its errors are SourceErrors.

    Raises RangesUnsupported while reading from a host that sends whole files only, unless `download` allows that: then
    the file goes to disk first. What was fetched is kept until the wheel is closed.
    """

    def __init__(self, url: str, fetcher: Fetcher, *, download: bool = False) -> None:
        self._url = url
        self._fetcher = fetcher
        self._download = download
        self._downloaded_bytes = 0
        self._file: RangedFile | BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def kind(self) -> Literal["wheel"]:
        return "wheel"

    @property
    def target(self) -> str:
        return shown(self._url)

    @property
    def bytes_read(self) -> int:
        return self._file.bytes_read if isinstance(self._file, RangedFile) else self._downloaded_bytes

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def members(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        self._file = self._file or self._open()
        yield from zip_members(cast(BinaryIO, self._file), suffixes, SourceChanged, read_ahead=True)

    def _open(self) -> RangedFile | BinaryIO:
        try:
            return RangedFile(self._fetcher, self._url)
        except RangesUnsupported:
            if not self._download:
                raise
            return self._downloaded()

    def _downloaded(self) -> BinaryIO:
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 — closed with the wheel
        try:
            headers = {"Accept-Encoding": "identity"}
            self._fetcher.get(self._url, headers=headers, max_body=MAX_WHEEL, elsewhere=True, into=file)
            self._downloaded_bytes = file.tell()
            file.seek(0)
        except OSError as error:
            file.close()
            raise HostError("the wheel cannot be kept on disk while it is read", cause=error.strerror) from None
        except BaseException:
            file.close()
            raise
        return file
