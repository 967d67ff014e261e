"""The outbox: a notice stays until every channel that is told its kind has taken it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from watcher.model.notice import Notice, NoticeKind
from watcher.store.transaction import Reading, Row, Transaction
from watcher.store.values import json_text, listed, moment, reader

OLDEST_FOR_A_NEW_CHANNEL = timedelta(days=7)
_FIRST_DELAY = timedelta(minutes=1)
_LONGEST_DELAY = timedelta(hours=6)
_SUBJECTS = tuple[str, ...]
_read_subjects = reader(_SUBJECTS)


def enqueue(tx: Transaction, notice: Notice) -> bool:
    """Keep a notice to be told; return False when its key was there before, and then nothing changes."""
    row = {
        "kind": notice.kind,
        "key": notice.key,
        "topic": notice.topic,
        "subjects": json_text(_SUBJECTS, notice.subjects),
        "created_at": notice.created_at,
    }
    return tx.insert_new("notices", [row]) == 1


def written_at(tx: Reading, key: str) -> datetime | None:
    """Return when the notice of this key was put into the outbox; None: it never was."""
    at = tx.value("SELECT created_at FROM notices WHERE key = ?", (key,))
    return None if at is None else moment(at)


def written(tx: Reading, kind: NoticeKind) -> tuple[tuple[str, datetime], ...]:
    """Return the keys of all notices of a kind, and when each was put into the outbox."""
    return tuple(
        (key, moment(at)) for key, at in tx.rows("SELECT key, created_at FROM notices WHERE kind = ?", (kind,))
    )


def pending(tx: Transaction, channel: str, kinds: Iterable[NoticeKind], now: datetime) -> tuple[Notice, ...]:
    """Return what this channel must still be told of these kinds, oldest first; what is postponed comes when due.

    A channel that is seen for the first time gets what is at most a week old.
    """
    wanted = tuple(dict.fromkeys(kinds))
    _remember(tx, channel, wanted, now)
    query = """
        SELECT n.kind, n.key, n.topic, n.subjects, n.created_at, n.id FROM notices n
        JOIN channels c ON c.channel = :channel AND c.kind = n.kind
        LEFT JOIN deliveries d ON d.notice_id = n.id AND d.channel = :channel
        WHERE n.kind IN (SELECT value FROM json_each(:kinds)) AND n.created_at >= c.since
          AND d.delivered_at IS NULL AND (d.next_at IS NULL OR d.next_at <= :now)
        ORDER BY n.id
    """
    found = tx.rows(query, {"channel": channel, "kinds": listed(wanted), "now": now})
    return tuple(map(_notice, found))


def delivered(tx: Transaction, channel: str, notice_ids: Iterable[int], now: datetime) -> None:
    """Note that the channel took these; it works, so what was postponed for it is due at once."""
    rows = [_delivery(number, channel, 0, None, now) for number in notice_ids]
    tx.upsert("deliveries", rows, by=("notice_id", "channel"), kept=("attempts",))
    tx.change("UPDATE deliveries SET next_at = ? WHERE channel = ? AND delivered_at IS NULL", (now, channel))


def postpone(tx: Transaction, channel: str, notice_ids: Iterable[int], now: datetime) -> timedelta:
    """Offer these again later: in a minute, then twice as long each time, up to six hours. Return the longest wait."""
    attempts = _attempts(tx, channel)
    rows, longest = [], timedelta(0)
    for number in notice_ids:
        before = attempts.get(number, 0)
        delay = min(_FIRST_DELAY * 2 ** min(before, 16), _LONGEST_DELAY)
        longest = max(longest, delay)
        rows.append(_delivery(number, channel, before + 1, now + delay, None))
    tx.upsert("deliveries", rows, by=("notice_id", "channel"), kept=("delivered_at",))
    return longest


def _remember(tx: Transaction, channel: str, kinds: Sequence[NoticeKind], now: datetime) -> None:
    since = now - OLDEST_FOR_A_NEW_CHANNEL
    rows = [{"channel": channel, "kind": kind, "since": since} for kind in kinds]
    tx.insert_new("channels", rows)


def _attempts(tx: Reading, channel: str) -> dict[int, int]:
    query = "SELECT notice_id, attempts FROM deliveries WHERE channel = ? AND delivered_at IS NULL"
    return dict(tx.rows(query, (channel,)))


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


def _notice(row: Row) -> Notice:
    kind, key, topic, subjects, created_at, number = row
    return Notice(
        kind=NoticeKind(kind),
        key=key,
        topic=topic,
        subjects=_read_subjects(subjects),
        created_at=moment(created_at),
        id=number,
    )
