"""Engines that a person keeps: each runs in place of what it displaced until `watcher restore`, or until it ends."""

import contextlib
from pathlib import Path

from watcher.errors import HostError
from watcher.host.owed import broken_debts, read_debts
from watcher.model.container import Debt, KeptEngine
from watcher.model.trial import ServiceReport, ServiceState


def kept_debts(folder: Path) -> tuple[Debt, ...]:
    """Return the debts whose engine is kept, still runs, and gives way to nobody: these are not to be paid yet.

    Asks Docker only where an owed file names such an engine. One that cannot be asked keeps nothing.
    """
    return tuple(debt for debt in read_debts(folder) if debt.kept is not None and _holds(debt, debt.kept.container))


def kept_engines(data_dir: Path) -> str:
    """Return the names of the engines that are kept, for a person; empty when there is none."""
    return ", ".join(debt.kept.title for debt in kept_debts(data_dir / "owed") if debt.kept is not None)


def kept_out(service: str, kept: KeptEngine) -> ServiceReport:
    """Return how a displaced service stands while an engine is kept in its place."""
    message = f"it makes room for {kept.title}, kept at {kept.address}; `watcher restore` gives it back"
    return ServiceReport(service, ServiceState.DOWN, message, makes_room=True)


def owed_reports(data_dir: Path, trial_id: int | None = None) -> tuple[ServiceReport, ...]:
    """Return what the owed files say, of all trials or of one; the engine is asked only about one that is kept."""
    folder = data_dir / "owed"
    kept = {debt.trial_id: debt.kept for debt in kept_debts(folder)}
    owed = []
    for debt in (debt for debt in read_debts(folder) if trial_id in (None, debt.trial_id)):
        engine, since = kept.get(debt.trial_id), f"owed since {debt.stopped_at:%Y-%m-%d %H:%M} UTC"
        for service in (owed.service for owed in debt.services):
            owed.append(kept_out(service, engine) if engine else ServiceReport(service, ServiceState.DOWN, since))
    broken = broken_debts(folder) if trial_id is None else ()
    unreadable = "this owed file cannot be read; look into it, start what it names, then remove it"
    return (*owed, *(ServiceReport(f"file:{path.name}", ServiceState.DOWN, unreadable) for path in broken))


def _holds(debt: Debt, container: str) -> bool:
    from watcher.host.engine import Engine
    from watcher.host.services import Services

    with contextlib.closing(Engine(debt.docker)) as engine:
        try:
            told = engine.container(container)
            services = Services(engine)
            is_running = told is not None and bool(told["State"]["Running"])
            return is_running and not any(services.is_back(owed) for owed in debt.services)
        except HostError:
            return False
