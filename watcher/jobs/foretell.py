"""Say beforehand which service a planned trial will take away, when, and how to leave the trial out."""

from watcher.jobs.announce import PLANNED
from watcher.jobs.means import Means
from watcher.jobs.plan import Plan, announcement_key
from watcher.model.device import DeviceFacts
from watcher.model.notice import Notice, NoticeKind
from watcher.planner.window import window_start
from watcher.store import outbox


def foretell(means: Means, device: DeviceFacts, plan: Plan) -> None:
    """Put the next trial that displaces a service into the outbox: once, and again when it moved to another window."""
    if plan.starts is None or means.host is None:
        return
    candidate, starts_at = plan.starts
    opened = window_start(plan.rules.hours, plan.rules.zone, starts_at)
    key = announcement_key(means, device, candidate) + (opened.isoformat() if opened else "any")
    subjects = (str(candidate.id), starts_at.isoformat())
    with means.store.transaction() as tx:
        outbox.enqueue(tx, Notice(NoticeKind.PLAN, key, PLANNED, subjects, means.clock.now()))
