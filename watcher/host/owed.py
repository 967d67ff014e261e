"""What is owed, as files: one per trial, written before anything is stopped, gone once it is paid.

They hold all that the way back needs, so that `watcher restore` reads no database and no configuration.
"""

import contextlib
import json
import os
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from watcher.errors import HostError
from watcher.model.container import Debt, KeptEngine, OwedService

_SCHEMA = "watcher/owed/1"


def write_debt(folder: Path, debt: Debt) -> None:
    """Write the owed file so that a power cut leaves the old one or the new one. Raises HostError."""
    path = _path(folder, debt.trial_id)
    draft = _draft(folder, debt.trial_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            json.dump(_told(debt), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(folder)
        _sync(folder.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise HostError("what is owed could not be written down", file=str(path), cause=error.strerror) from None


def read_debts(folder: Path) -> tuple[Debt, ...]:
    """Return the debts of all trials, oldest first. A file that cannot be read is left to `broken_debts`."""
    read = (_read(path) for path in sorted(folder.glob("*.json")))
    return tuple(sorted((debt for debt in read if debt is not None), key=lambda debt: (debt.stopped_at, debt.trial_id)))


def broken_debts(folder: Path) -> tuple[Path, ...]:
    """Return the owed files that cannot be read: a person must look at them, they are never removed."""
    return tuple(path for path in sorted(folder.glob("*.json")) if _read(path) is None)


def clear_debt(folder: Path, trial_id: int) -> None:
    """Remove the owed file of a trial whose services were all seen running again; one that is gone is fine."""
    try:
        for path in (_path(folder, trial_id), _draft(folder, trial_id)):  # a killed program may leave the latter
            path.unlink(missing_ok=True)
        if folder.is_dir():
            _sync(folder)
    except OSError as error:
        raise HostError("a paid owed file could not be removed", trial=trial_id, cause=error.strerror) from None


def clear_drafts(folder: Path) -> None:
    """Remove what programs left that were killed while they wrote: nothing had been stopped by then.

    Only for who holds the lease: nobody else writes.
    """
    with contextlib.suppress(OSError):
        for draft in folder.glob("*.tmp"):
            draft.unlink(missing_ok=True)


def _path(folder: Path, trial_id: int) -> Path:
    return folder / f"{trial_id}.json"


def _draft(folder: Path, trial_id: int) -> Path:
    return folder / f"{trial_id}.tmp"


def _told(debt: Debt) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "trial_id": debt.trial_id,
        "docker": debt.docker,
        "stopped_at": debt.stopped_at.isoformat(),
        "services": [asdict(service) for service in debt.services],
        "kept": asdict(debt.kept) if debt.kept else None,
    }


def _read(path: Path) -> Debt | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        services = tuple(_service(service) for service in told["services"])
        kept = KeptEngine(**{name: str(text) for name, text in told["kept"].items()}) if told.get("kept") else None
        stopped_at = datetime.fromisoformat(told["stopped_at"])
        return Debt(int(told["trial_id"]), str(told["docker"]), stopped_at, services, kept)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _service(told: dict[str, Any]) -> OwedService:
    """Return a service of any release's file: an older one leaves defaults, a newer one's words are passed over."""
    known = {field.name for field in fields(OwedService)}
    return OwedService(**{name: value for name, value in told.items() if name in known})


def _sync(folder: Path) -> None:
    """Make a rename or removal in the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
