"""Whole wheels on disk, fetched once for a trial: continued where they broke off, proven by their digest."""

import hashlib
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from watcher.artifacts.wheel import MAX_WHEEL
from watcher.errors import HostError, SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetched, Fetcher
from watcher.fetch.refusals import shown
from watcher.model.trial import Overlay

_ATTEMPTS = 5
_FIRST_PAUSE = 2.0
_CHUNK = 2**20
_REPORT_EVERY = 32 * 2**20
_PART = ".part"

Tick = Callable[[str], None]
"""Takes a line for a person who waits, and raises what shall end the download."""


@dataclass(frozen=True, slots=True)
class WheelStore:
    """The wheels in `folder`, each named by its digest; what is not whole yet ends in `.part`."""

    folder: Path
    fetcher: Fetcher

    def missing_bytes(self, overlay: Overlay) -> int | None:
        """Return how much there is to fetch; None where the upstream does not say. Raises SourceError."""
        if self._path(overlay).exists():
            return 0
        answer = self.fetcher.head(overlay.url, values=(403, 405, 501), elsewhere=True)
        length = answer.headers.get("content-length", "")
        if answer.status != 200 or not (length.isascii() and length.isdigit()) or len(length) > 15:
            return None
        return max(0, int(length) - _size(self._part(overlay)))

    def free_bytes(self) -> int:
        """Return the room for wheels. Raises HostError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.folder).free
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def fetch(self, overlay: Overlay, tick: Tick) -> Path:
        """Return the wheel, whole and with the digest that the index names.

        Raises SourceError, also when another content came (it is dropped), and HostError when it cannot be kept.
        """
        whole, part = self._path(overlay), self._part(overlay)
        if whole.exists():
            return whole
        self.free_bytes()
        try:
            self._complete(overlay, part, tick)
            if _digest_of(part, tick) != overlay.digest:
                part.unlink(missing_ok=True)
                raise SourceChanged("the wheel is not the one that its index names", url=shown(overlay.url))
            part.replace(whole)
        except OSError as error:
            raise _unwritable(part, error) from None
        return whole

    def _complete(self, overlay: Overlay, part: Path, tick: Tick) -> None:
        """Fetch until the body has ended; one that breaks off is continued while each attempt brings more."""
        for attempt in range(1, _ATTEMPTS + 1):
            before = _size(part)
            try:
                self._ask(overlay, part, tick)
                return
            except SourceUnavailable as error:
                if attempt == _ATTEMPTS or error.retry_after is not None or _size(part) <= before:
                    raise
                tick(f"{overlay.name} broke off after {_size(part) // 10**6} MB; going on from there")
                time.sleep(_FIRST_PAUSE * attempt)

    def _ask(self, overlay: Overlay, part: Path, tick: Tick) -> None:
        have = _size(part)
        if have and self._continued(overlay, part, have, tick):
            return
        with part.open("wb") as file:
            self._get(overlay, _Landing(file, overlay.name, tick), {}, None)

    def _continued(self, overlay: Overlay, part: Path, have: int, tick: Tick) -> bool:
        """Return whether the rest came; False where the host sends whole files only, or no rest is there."""
        with part.open("ab") as file:
            answer = self._get(overlay, _Landing(file, overlay.name, tick), {"Range": f"bytes={have}-"}, (206,))
        if answer.status == 206 and answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
            return True
        part.unlink(missing_ok=True)
        return False

    def _get(
        self, overlay: Overlay, into: "_Landing", headers: dict[str, str], only: tuple[int, ...] | None
    ) -> Fetched:
        return self.fetcher.get(
            overlay.url,
            headers={**headers, "Accept-Encoding": "identity"},
            max_body=MAX_WHEEL,
            values=(416,) if headers else (),
            only=only,
            elsewhere=True,
            into=cast(BinaryIO, into),
        )

    def _path(self, overlay: Overlay) -> Path:
        return self.folder / f"{_name(overlay.digest)}.whl"

    def _part(self, overlay: Overlay) -> Path:
        return self.folder / f"{_name(overlay.digest)}{_PART}"


def prune_wheels(folder: Path, kept: Collection[str]) -> None:
    """Remove every wheel in a folder, whole or not, whose digest is not among `kept`. Raises HostError."""
    names = {_name(digest) for digest in kept}
    try:
        for path in folder.glob("*"):
            if path.name.partition(".")[0] not in names:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise HostError("old wheels cannot be removed", path=folder, cause=error.strerror) from None


@dataclass(slots=True)
class _Landing:
    """The least of a file that a body needs; it lets a person see how far it is, and somebody end it."""

    file: BinaryIO
    name: str
    tick: Tick
    _untold: int = 0

    def write(self, part: bytes) -> int:
        self._untold += len(part)
        if self._untold >= _REPORT_EVERY:
            self._untold = 0
            self.tick(f"fetching {self.name}: {self.file.tell() // 10**6} MB")
        return self.file.write(part)


def _digest_of(path: Path, tick: Tick) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    tick(f"{path.name} is whole")
    return f"sha256:{digest.hexdigest()}"


def _name(digest: str) -> str:
    """Return a file name of a digest, which an upstream wrote."""
    return hashlib.sha256(digest.encode()).hexdigest()[:32]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _unwritable(path: Path, error: OSError) -> HostError:
    return HostError("the wheel cannot be kept on disk", path=path, cause=error.strerror or str(error))
