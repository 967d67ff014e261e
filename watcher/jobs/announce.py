"""Tell people: every notice that waits becomes part of one message per channel, and is offered again until delivered."""

from collections.abc import Callable

from watcher.errors import NotifyFailed
from watcher.jobs.means import Means
from watcher.model.answer import Answer
from watcher.model.notice import NoticeKind
from watcher.notify.message import Digest, compose
from watcher.ports import Notifier
from watcher.store import outbox


def announce(means: Means, stand: Callable[[], Answer]) -> int:
    """Deliver what waits; return how many channels failed. A failed channel keeps its notices for later."""
    failed = 0
    for notifier in means.notifiers:
        failed += not _deliver(means, notifier, stand)
    return failed


def _deliver(means: Means, notifier: Notifier, stand: Callable[[], Answer]) -> bool:
    now = means.clock.now()
    kinds = tuple(NoticeKind(kind) for kind in means.settings.notify.on)
    with means.store.transaction() as tx:
        notices = outbox.pending(tx, notifier.channel, kinds, now)
        digest = _digest(tx, means, notices)
    if not notices:
        return True
    ids = tuple(notice.id for notice in notices)
    try:
        notifier.send(compose(Digest(answer=stand(), **digest)))
    except NotifyFailed as error:
        means.say(f"{notifier.channel} did not take the message; it is offered again: {error}")
        with means.store.transaction() as tx:
            outbox.postpone(tx, notifier.channel, ids, means.clock.now())
        return False
    with means.store.transaction() as tx:
        outbox.delivered(tx, notifier.channel, ids, means.clock.now())
    return True
