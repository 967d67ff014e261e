"""The log of one start: streamed to a capped, compressed file while the engine runs."""

import gzip
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

HEAD_BYTES = 32_000_000
TAIL_BYTES = 4_000_000
_PIECE = 1 << 16


class EngineLog:
    """Follows a container's output in a thread. A flood is kept as its first 32 MB and last 4 MB.

    `show` takes each chunk as it comes, for whoever watches.
    """

    def __init__(self, path: Path, chunks: Iterable[bytes], show: Callable[[bytes], None]) -> None:
        self.path = path
        self._show = show
        self._chunks = chunks
        self._thread = threading.Thread(target=self._write, name="engine-log", daemon=True)

    def start(self) -> "EngineLog":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def finish(self, seconds: float = 10) -> None:
        """Wait until the container's last line is on disk."""
        self._thread.join(seconds)

    def _write(self) -> None:
        written, left_out, tail = 0, 0, bytearray()
        try:
            with gzip.open(self.path, "wb", compresslevel=3) as file:
                for chunk in self._chunks:
                    self._show(chunk)
                    room = HEAD_BYTES - written
                    file.write(chunk[:room])
                    written += min(len(chunk), room)
                    tail += chunk[room:] if room < len(chunk) else b""
                    if len(tail) > 2 * TAIL_BYTES:
                        left_out += len(tail) - TAIL_BYTES
                        del tail[:-TAIL_BYTES]
                    file.flush()
                if tail:
                    file.write(
                        b"\n[watcher: %d bytes of this log were left out here]\n" % left_out if left_out else b""
                    )
                    file.write(tail)
        except Exception:  # noqa: BLE001  Docker's client raises anything when the daemon dies within a frame
            return  # a full disk or a lost daemon ends the record, never the trial: what is on disk stays readable


def read_log(path: Path) -> Iterator[bytes]:
    """Yield the pieces of a kept log; one that was cut off by a crash is read as far as it goes."""
    try:
        with gzip.open(path, "rb") as file:
            while piece := file.read1(_PIECE):  # `read` would drop what comes just before a cut
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return
    except FileNotFoundError:
        return


def is_whole(path: Path) -> bool:
    """Return whether a kept log is there, and was written to its end."""
    try:
        with gzip.open(path, "rb") as file:
            while file.read1(_PIECE):
                pass
    except (OSError, EOFError, zlib.error):  # BadGzipFile is an OSError
        return False
    return True
