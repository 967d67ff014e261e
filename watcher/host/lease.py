"""One trial at a time: an flock in `data_dir`, which dies with the process that holds it."""

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from watcher.errors import HostError, LeaseHeld

_FILE = "lease"
_PATIENCE_SECONDS = 0.3
"""Somebody who only looks whether the lease is held has it for a moment."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease; a process that is just taking it has not written itself down yet."""

    pid: int | None
    since: datetime | None


class Lease:
    """Holds the lease while the block runs. Raises LeaseHeld when another process has it, or HostError."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file: IO[str] | None = None

    def __enter__(self) -> "Lease":
        file = _open(self._data_dir)
        ends = time.monotonic() + _PATIENCE_SECONDS
        while not _lock(file, fcntl.LOCK_EX):
            if time.monotonic() > ends:
                holder = _read(file)
                file.close()
                raise LeaseHeld("another process runs a trial", pid=holder.pid, since=holder.since)
            time.sleep(0.02)
        self._file = file
        _write(file)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk what `_write` could not write is still waiting
                self._file.truncate(0)
            with contextlib.suppress(OSError):  # it is closed all the same, and with that the lease is free
                self._file.close()
            self._file = None


def lease_holder(data_dir: Path) -> Holder | None:
    """Return who holds the lease; None when nobody does. Disturbs nobody."""
    try:
        file = (data_dir / _FILE).open("r", encoding="utf-8")
    except OSError:
        return None
    with file:
        return None if _lock(file, fcntl.LOCK_SH) else _read(file)


def _open(data_dir: Path) -> IO[str]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return (data_dir / _FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise HostError("the data folder cannot be written", folder=str(data_dir), cause=error.strerror) from None


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: IO[str]) -> None:
    with contextlib.suppress(OSError):  # the lock counts; who holds it is only for people, and a disk may be full
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        file.flush()


def _read(file: IO[str]) -> Holder:
    try:
        file.seek(0)
        told = json.loads(file.read())
        return Holder(int(told["pid"]), datetime.fromisoformat(told["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(None, None)
