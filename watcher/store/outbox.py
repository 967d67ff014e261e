"""The outbox: a notice stays until every channel that is told its kind has taken it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from watcher.model.notice import Notice, NoticeKind
from watcher.store.database import Transaction
from watcher.store.tables import channels, deliveries, notices
from watcher.store.upsert import upsert

OLDEST_FOR_A_NEW_CHANNEL = timedelta(days=7)
_FIRST_DELAY = timedelta(minutes=1)
_LONGEST_DELAY = timedelta(hours=6)


def enqueue(tx: Transaction, notice: Notice) -> bool:
    """Keep a notice to be told; return False when its key was there before, and then nothing changes."""
    row = {
        "kind": notice.kind,
        "key": notice.key,
        "topic": notice.topic,
        "subjects": notice.subjects,
        "created_at": notice.created_at,
    }
    return tx.execute(insert(notices).on_conflict_do_nothing(index_elements=["key"]), row).rowcount == 1


def written_at(tx: Transaction, key: str) -> datetime | None:
    """Return when the notice of this key was put into the outbox; None: it never was."""
    written: datetime | None = tx.execute(select(notices.c.created_at).where(notices.c.key == key)).scalar()
    return written


def written(tx: Transaction, kind: NoticeKind) -> tuple[tuple[str, datetime], ...]:
    """Return the keys of all notices of a kind, and when each was put into the outbox."""
    query = select(notices.c.key, notices.c.created_at).where(notices.c.kind == kind)
    return tuple((row.key, row.created_at) for row in tx.execute(query))


def pending(tx: Transaction, channel: str, kinds: Iterable[NoticeKind], now: datetime) -> tuple[Notice, ...]:
    """Return what this channel must still be told of these kinds, oldest first; what is postponed comes when due.

    A channel that is seen for the first time gets what is at most a week old.
    """
    wanted = tuple(dict.fromkeys(kinds))
    _remember(tx, channel, wanted, now)
    query = (
        select(notices)
        .join(channels, and_(channels.c.channel == channel, channels.c.kind == notices.c.kind))
        .outerjoin(deliveries, and_(deliveries.c.notice_id == notices.c.id, deliveries.c.channel == channel))
        .where(
            notices.c.kind.in_(wanted),
            notices.c.created_at >= channels.c.since,
            deliveries.c.delivered_at.is_(None),
            or_(deliveries.c.next_at.is_(None), deliveries.c.next_at <= now),
        )
        .order_by(notices.c.id)
    )
    return tuple(map(_notice, tx.execute(query)))


def delivered(tx: Transaction, channel: str, notice_ids: Iterable[int], now: datetime) -> None:
    """Note that the channel took these; it works, so what was postponed for it is due at once."""
    rows = [_delivery(number, channel, 0, None, now) for number in notice_ids]
    upsert(tx, deliveries, rows, kept=("attempts",))
    waiting = and_(deliveries.c.channel == channel, deliveries.c.delivered_at.is_(None))
    tx.execute(update(deliveries).where(waiting).values(next_at=now))


def postpone(tx: Transaction, channel: str, notice_ids: Iterable[int], now: datetime) -> timedelta:
    """Offer these again later: in a minute, then twice as long each time, up to six hours. Return the longest wait."""
    attempts = _attempts(tx, channel)
    rows, longest = [], timedelta(0)
    for number in notice_ids:
        before = attempts.get(number, 0)
        delay = min(_FIRST_DELAY * 2 ** min(before, 16), _LONGEST_DELAY)
        longest = max(longest, delay)
        rows.append(_delivery(number, channel, before + 1, now + delay, None))
    upsert(tx, deliveries, rows, kept=("delivered_at",))
    return longest


def _remember(tx: Transaction, channel: str, kinds: Sequence[NoticeKind], now: datetime) -> None:
    since = now - OLDEST_FOR_A_NEW_CHANNEL
    rows = [{"channel": channel, "kind": kind, "since": since} for kind in kinds]
    if rows:
        tx.execute(insert(channels).on_conflict_do_nothing(), rows)


def _attempts(tx: Transaction, channel: str) -> dict[int, int]:
    query = select(deliveries.c.notice_id, deliveries.c.attempts).where(
        deliveries.c.channel == channel, deliveries.c.delivered_at.is_(None)
    )
    return {row.notice_id: row.attempts for row in tx.execute(query)}


def _delivery(
    number: int, channel: str, attempts: int, next_at: datetime | None, delivered_at: datetime | None
) -> dict[str, Any]:
    return {
        "notice_id": number,
        "channel": channel,
        "attempts": attempts,
        "next_at": next_at,
        "delivered_at": delivered_at,
    }


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        kind=row.kind,
        key=row.key,
        topic=row.topic,
        subjects=row.subjects,
        created_at=row.created_at,
        id=row.id,
    )
