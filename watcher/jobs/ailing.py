"""Services that trials displace and that are ill by themselves: told once, with the likely cause and what to do."""

from watcher.errors import HostError, NoEngine
from watcher.host.lease import lease_holder
from watcher.host.owed import read_debts
from watcher.jobs.means import Means
from watcher.model.container import Ailment
from watcher.model.notice import Notice, NoticeKind
from watcher.store import outbox, trials
from watcher.store.transaction import Transaction

AILING = "ailing"
"""Topic of notices: their subjects are services."""
_TWICE = ("stopped", "gone")
"""Seen in two rounds before it is told: a service that is being updated is away for a moment."""


def ailments(means: Means) -> tuple[Ailment, ...]:
    """Return what ails the services of `trial.displace` now; none while a trial, or what it owes, explains it."""
    if means.host is None or lease_holder(means.data_dir) is not None or read_debts(means.data_dir / "owed"):
        return ()
    found = []
    for service in means.settings.trial.services:
        try:
            ailment = means.host.ailment(service)
        except NoEngine:  # said where the device was looked at
            return ()
        except HostError as error:
            means.say(f"{service} was not looked at: {error}")
            continue
        if ailment is not None:
            found.append(ailment)
    return tuple(found)


def note_ailing(means: Means) -> None:
    """Put into the outbox, once per illness, what ails a service; one that was well in between is ill anew."""
    found = {one.service: one for one in ailments(means)}
    with means.store.transaction() as tx:
        for service in means.settings.trial.services:
            _note(tx, means, service, found.get(service))


def _note(tx: Transaction, means: Means, service: str, ailment: Ailment | None) -> None:
    seen = trials.get_meta(tx, key := f"ailing:{service}")
    if ailment is None:
        if seen is not None:
            trials.set_meta(tx, key, None)
        return
    now = means.clock.now()
    if seen is None or seen.partition(" ")[0] != ailment.kind:
        trials.set_meta(tx, key, seen := f"{ailment.kind} {now.isoformat()}")
        if ailment.kind in _TWICE:
            return
    outbox.enqueue(tx, Notice(NoticeKind.TROUBLE, f"{key}:{seen}", AILING, (service,), now))
