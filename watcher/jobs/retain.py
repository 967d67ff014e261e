"""Drop what has grown old: rows of the database, engine logs, copies from before a migration.

Nothing that an answer stands on goes. A process that is killed in here leaves files without a row or rows without a
file; the next run finds the first by their age, and whoever reads a log is told that it is gone.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watcher.host.lease import lease_holder
from watcher.jobs.means import Means
from watcher.store import retention, trials
from watcher.store.retention import Dropped, KeptLogs
from watcher.trial.metrics import metrics_beside

RETAINED_AT = "retained-at"
EVERY = timedelta(days=1)
LOGS = timedelta(days=90)
"""How long logs are kept that no verdict stands on."""
LOG_BYTES = 2_000_000_000
"""What they may take together, beside those that verdicts stand on: the oldest go first."""
COPIES = 2
"""Copies of the database from before a migration, the newest."""


@dataclass(frozen=True, slots=True)
class Retained:
    """What went: rows, log files and their bytes, copies of the database."""

    rows: Dropped
    logs: int
    log_bytes: int
    copies: int


def retain_daily(means: Means) -> Retained | None:
    """Drop what is old, once a day; None where it was done already. A last time in the future is a wrong clock."""
    now = means.clock.now()
    with means.store.reading() as tx:
        last = trials.get_meta(tx, RETAINED_AT)
    if last is not None and timedelta(0) <= now - datetime.fromisoformat(last) < EVERY:
        return None
    return retain(means)


def retain(means: Means) -> Retained:
    """Drop what is old now. Logs wait while a trial runs: it writes one. Raises StoreError."""
    now = means.clock.now()
    with means.store.transaction() as tx:
        rows = retention.drop_old(tx, now)
    logs, log_bytes = (0, 0) if lease_holder(means.data_dir) is not None else _drop_logs(means, now)
    copies = _drop_copies(means.store.path)
    with means.store.transaction() as tx:
        trials.set_meta(tx, RETAINED_AT, now.isoformat())
    return Retained(rows, logs, log_bytes, copies)


@dataclass(frozen=True, slots=True)
class _Log:
    """A file below `logs/` that may go, with the time that its age counts from."""

    path: Path
    since: datetime
    bytes: int


def _drop_logs(means: Means, now: datetime) -> tuple[int, int]:
    """Remove logs that are too old, then the oldest of those that are too many; return how many and their bytes."""
    with means.store.reading() as tx:
        kept = retention.kept_logs(tx)
    found = sorted(_may_go(means.data_dir, kept), key=lambda log: log.since)
    room, gone, size = LOG_BYTES, 0, 0
    for log in reversed(found):
        room -= log.bytes
        if (now - log.since > LOGS or room < 0) and _remove(log.path):
            gone, size = gone + 1, size + log.bytes
    return gone, size


def _may_go(data_dir: Path, kept: Mapping[int, KeptLogs]) -> Iterator[_Log]:
    """Yield the logs that no verdict stands on. Of a trial that the database does not know the file's age counts."""
    deciding = {Path(one.deciding) for one in kept.values() if one.deciding}
    deciding |= {metrics_beside(log) for log in deciding}
    for path in data_dir.glob("logs/trial-*/*"):
        number = path.parent.name.removeprefix("trial-")
        trial = kept.get(int(number)) if number.isdecimal() else None
        if path.relative_to(data_dir) in deciding or (trial is not None and trial.ended is None):
            continue
        with suppress(OSError):
            stat = path.stat()
            written = datetime.fromtimestamp(stat.st_mtime, UTC)
            yield _Log(path, trial.ended if trial and trial.ended else written, stat.st_size)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    with suppress(OSError):  # others are left in it
        path.parent.rmdir()
    return True


def _drop_copies(database: Path) -> int:
    """Remove the copies from before a migration but the newest."""
    dated = []
    for path in database.parent.glob(f"{database.name}.before-*"):
        with suppress(OSError):
            if not path.name.endswith(".partial"):
                dated.append((path.stat().st_mtime, path))
    return sum(_remove_copy(path) for _, path in sorted(dated)[:-COPIES])


def _remove_copy(path: Path) -> bool:
    with suppress(OSError):
        path.unlink()
        return True
    return False
