"""A notice is told once to each channel, is never lost, and does not spin while a channel is down."""

from datetime import timedelta

from tests.store.examples import HOUR, NOON, notice
from watcher.model.notice import NoticeKind
from watcher.store import outbox
from watcher.store.database import Store
from watcher.store.transaction import Transaction

ALL = tuple(NoticeKind)
SECOND = timedelta(seconds=1)


def keys(tx: Transaction, channel: str, hours: float = 0, kinds: tuple[NoticeKind, ...] = ALL) -> list[str]:
    return [one.key for one in outbox.pending(tx, channel, kinds, NOON + hours * HOUR)]


def test_the_same_key_is_told_once_for_ever(store: Store) -> None:
    with store.transaction() as tx:
        assert outbox.enqueue(tx, notice("trial:1"))
        assert not outbox.enqueue(tx, notice("trial:1"))
        (waiting,) = outbox.pending(tx, "mail", ALL, NOON)
        outbox.delivered(tx, "mail", [waiting.id], NOON)
        assert not outbox.enqueue(tx, notice("trial:1"))
        assert keys(tx, "mail") == []


def test_a_notice_comes_back_as_it_was_written(store: Store) -> None:
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("a"))
        (waiting,) = outbox.pending(tx, "mail", ALL, NOON)
    assert (waiting.kind, waiting.key, waiting.topic, waiting.subjects) == (NoticeKind.NEWS, "a", "news", ("1", "2"))
    assert waiting.created_at == NOON


def test_each_channel_is_told_by_itself(store: Store) -> None:
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("a"))
        (waiting,) = outbox.pending(tx, "mail", ALL, NOON)
        outbox.delivered(tx, "mail", [waiting.id], NOON)
        assert keys(tx, "mail") == []
        assert keys(tx, "slack") == ["a"]


def test_only_the_wanted_kinds_are_told(store: Store) -> None:
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("news"))
        outbox.enqueue(tx, notice("verdict", NoticeKind.VERDICT))
        assert keys(tx, "mail", kinds=(NoticeKind.VERDICT,)) == ["verdict"]
        assert keys(tx, "mail", kinds=()) == []


def test_a_channel_that_is_down_is_asked_ever_more_rarely(store: Store) -> None:
    now, waits = NOON, []
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("a"))
        for _ in range(12):
            (waiting,) = outbox.pending(tx, "mail", ALL, now)
            wait = outbox.postpone(tx, "mail", [waiting.id], now)
            assert outbox.pending(tx, "mail", ALL, now + wait - SECOND) == ()
            waits.append(wait)
            now += wait
    minutes = [wait / timedelta(minutes=1) for wait in waits]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]


def test_what_was_postponed_is_due_once_the_channel_works(store: Store) -> None:
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("old"))
        (old,) = outbox.pending(tx, "mail", ALL, NOON)
        for _ in range(10):
            outbox.postpone(tx, "mail", [old.id], NOON)
        outbox.enqueue(tx, notice("young"))
        (young,) = outbox.pending(tx, "mail", ALL, NOON)
        assert young.key == "young"
        outbox.delivered(tx, "mail", [young.id], NOON)
        assert keys(tx, "mail") == ["old"]


def test_delivered_after_failures_stays_delivered(store: Store) -> None:
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("a"))
        (waiting,) = outbox.pending(tx, "mail", ALL, NOON)
        outbox.postpone(tx, "mail", [waiting.id], NOON)
        outbox.delivered(tx, "mail", [waiting.id], NOON)
        outbox.postpone(tx, "mail", [waiting.id], NOON)
        assert keys(tx, "mail", hours=99) == []


def test_a_channel_added_later_is_told_what_is_at_most_a_week_old(store: Store) -> None:
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("long ago", at=NOON - 8 * 24 * HOUR))
        outbox.enqueue(tx, notice("of late", at=NOON - 6 * 24 * HOUR))
        assert keys(tx, "mail") == ["of late"]


def test_a_known_channel_that_was_down_for_a_month_still_gets_everything(store: Store) -> None:
    with store.transaction() as tx:
        assert keys(tx, "mail") == []
        outbox.enqueue(tx, notice("a", at=NOON + HOUR))
        assert keys(tx, "mail", hours=30 * 24) == ["a"]


def test_a_kind_that_is_wanted_later_brings_no_flood(store: Store) -> None:
    with store.transaction() as tx:
        assert keys(tx, "mail", kinds=(NoticeKind.VERDICT,)) == []
        outbox.enqueue(tx, notice("old news", at=NOON))
        assert keys(tx, "mail", hours=30 * 24) == []
