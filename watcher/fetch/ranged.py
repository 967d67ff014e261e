"""A file behind HTTP that is read in ranges, as `zipfile` reads a wheel of 430 MB for one member of 1 MB."""

import io
import re
from bisect import bisect_right, insort
from collections.abc import Mapping

from watcher.errors import SourceChanged, SourceError, SourceUnavailable
from watcher.fetch.client import Fetched, Fetcher
from watcher.fetch.refusals import shown

READ_AHEAD = 32 * 2**10
"""Small reads (a zip's end record, a member's header) fetch this much, so that what follows is already there."""
MAX_BYTES = 64 * 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_EMPTY_FILE = re.compile(r"bytes \*/0+")


class RangesUnsupported(SourceError):
    """The host sends whole files only. Nothing of the body was read."""


class RangedFile(io.RawIOBase):
    """A seekable, read-only file; what was fetched once is kept.

    The first request asks for one byte and learns the size: suffix ranges and HEAD are refused by too many hosts.
    Redirects may lead to any http or https host. `name` is the final address.

    Args of the constructor:
        read_ahead: least bytes of one request.
        max_bytes: raise SourceChanged rather than fetch more than this in all.
    """

    def __init__(self, fetcher: Fetcher, url: str, *, read_ahead: int = READ_AHEAD, max_bytes: int = MAX_BYTES) -> None:
        super().__init__()
        self._fetcher = fetcher
        self._read_ahead = read_ahead
        self._max_bytes = max_bytes
        self._position = 0
        self._starts: list[int] = []
        self._blocks: dict[int, bytes] = {}
        self.bytes_read = 0
        self.requests = 0
        self.name = url
        self._etag: str | None = None
        self.size = -1
        first = self._ask(0, 1)
        self._take(0, 1, first)
        self.name = first.url
        self._etag = first.headers.get("etag")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative seek position")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._range(self._position, min(self._position + len(buffer), self.size))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        data = self._range(self._position, self.size)
        self._position += len(data)
        return data

    def _range(self, begin: int, end: int) -> bytes:
        """Return the bytes [begin, end), fetching what is not there yet."""
        parts = []
        while begin < end:
            block_at = self._block_over(begin)
            if block_at is None:
                self._fetch(begin, end)
                continue
            part = self._blocks[block_at][begin - block_at : end - block_at]
            parts.append(part)
            begin += len(part)
        return b"".join(parts)

    def _block_over(self, position: int) -> int | None:
        index = bisect_right(self._starts, position) - 1
        if index < 0:
            return None
        start = self._starts[index]
        return start if position < start + len(self._blocks[start]) else None

    def _fetch(self, begin: int, end: int) -> None:
        """Fetch from `begin` to `end` or the next block, and at least `read_ahead` where there is room."""
        if begin + self._read_ahead >= self.size:  # near the end: read ahead backwards, zip directories stand there
            begin = self._free_from(max(self.size - self._read_ahead, 0), begin)
        end = min(max(end, begin + self._read_ahead), self.size)
        index = bisect_right(self._starts, begin)
        if index < len(self._starts):
            end = min(end, self._starts[index])
        self._take(begin, end, self._ask(begin, end))

    def _free_from(self, wanted: int, position: int) -> int:
        """Return the first byte from `wanted` on after which nothing up to `position` is there yet."""
        index = bisect_right(self._starts, position) - 1
        if index < 0:
            return wanted
        start = self._starts[index]
        return max(wanted, start + len(self._blocks[start]))

    def _ask(self, begin: int, end: int) -> Fetched:
        if self.bytes_read + end - begin > self._max_bytes:
            raise SourceChanged("reading this file would take more bytes than allowed", limit_bytes=self._max_bytes)
        headers = {"Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
        if self._etag and not self._etag.startswith("W/"):
            headers["If-Range"] = self._etag
        self.requests += 1
        answer = self._fetcher.get(
            self.name, headers=headers, max_body=end - begin, values=(416,), only=(206,), elsewhere=True
        )
        self.bytes_read += len(answer.body)
        return answer

    def _take(self, begin: int, end: int, answer: Fetched) -> None:
        if answer.status == 416 and _EMPTY_FILE.fullmatch(answer.headers.get("content-range", "")):
            self.size = 0
            return
        if answer.status != 206:
            raise self._not_a_range(answer)
        first, last, size = _content_range(answer.headers, self.name)
        if self.size < 0:
            self.size = size
        changed = self._etag is not None and answer.headers.get("etag", self._etag) != self._etag
        if changed or size != self.size:
            raise SourceUnavailable("the file changed while it was read", url=shown(self.name))
        if first != begin or last != end - 1 or len(answer.body) != end - begin:
            raise SourceUnavailable("the host sent another range than asked for", url=shown(self.name))
        insort(self._starts, begin)
        self._blocks[begin] = answer.body

    def _not_a_range(self, answer: Fetched) -> SourceError:
        if self.size < 0:
            return RangesUnsupported("the host sends only whole files", url=shown(answer.url), status=answer.status)
        return SourceUnavailable("the file changed while it was read", url=shown(answer.url), status=answer.status)


def _content_range(headers: Mapping[str, str], url: str) -> tuple[int, int, int]:
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if match is None:
        raise SourceChanged("the host does not say which range it sent", url=shown(url))
    return int(match[1]), int(match[2]), int(match[3])
