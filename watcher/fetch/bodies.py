"""Bodies in bounded memory, also after decompression."""

import io
import lzma
import zlib
from typing import BinaryIO

from watcher.errors import SourceChanged, SourceUnavailable

_ANY_ZLIB_HEADER = 32 + zlib.MAX_WBITS
_XZ_MEMORY = 72 * 2**20
"""The dictionary of `xz -9`, and a little."""
_MOST_MEMBERS = 64


class Body:
    """Collects the chunks of one answer; `limit` counts bytes after decompression, and those on the wire too.

    `into` takes them where they would fill the memory; `content` is empty then.
    """

    def __init__(self, limit: int, encoding: str, into: BinaryIO | None = None) -> None:
        self._limit = limit
        self._kept = io.BytesIO()  # one piece: a body in chunks of two bytes would be twenty times as large in a list
        self._into = into or self._kept
        self._received = 0
        self._size = 0
        self._zlib = _decoder(encoding)

    def feed(self, chunk: bytes) -> None:
        """Take a chunk. Raises SourceChanged when the body is larger than allowed."""
        self._received += len(chunk)
        if self._received > self._limit:
            raise _too_large(self._limit)
        if self._zlib is None:
            self._keep(chunk)
            return
        try:
            while chunk and not self._zlib.eof:
                self._keep(self._zlib.decompress(chunk, self._limit - self._size + 1))
                chunk = self._zlib.unconsumed_tail
        except zlib.error as error:
            raise SourceChanged("the answer is not compressed as it says", cause=str(error)) from None

    def content(self) -> bytes:
        """Return the whole body. Raises SourceUnavailable when it was cut off."""
        if self._zlib is not None and self._received and not self._zlib.eof:
            raise SourceUnavailable("the answer was cut off")
        return self._kept.getvalue()

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._into.write(part)


def unpacked(packed: bytes, suffix: str, limit: int) -> bytes:
    """Return the content of a `.gz`, `.xz` or plain ("") file. Raises SourceChanged: damaged, or over `limit`."""
    if not suffix or not packed:
        return packed
    parts: list[bytes] = []
    size = 0
    try:
        for _ in range(_MOST_MEMBERS):  # both formats allow several in a row; each costs a copy of what follows it
            decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY) if suffix == ".xz" else zlib.decompressobj(31)
            part = decoder.decompress(packed, limit - size + 1)
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            if not decoder.eof:
                raise SourceChanged("the compressed file ends too early")
            parts.append(part)
            packed = decoder.unused_data.lstrip(b"\0")
            if not packed:
                return b"".join(parts)
    except (zlib.error, lzma.LZMAError) as error:
        raise SourceChanged("the compressed file is damaged", cause=str(error)) from None
    raise SourceChanged("the compressed file has more parts than allowed", limit=_MOST_MEMBERS)


def _decoder(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(_ANY_ZLIB_HEADER)
        case other:
            raise SourceChanged("the answer has an encoding that was not asked for", encoding=other)


def _too_large(limit: int) -> SourceChanged:
    return SourceChanged("the answer is larger than allowed", limit_bytes=limit)
