"""Something that a person must be told."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoticeKind(StrEnum):
    """The values of `[notify] on`."""

    VERDICT = "verdict"
    NEWS = "news"
    TROUBLE = "trouble"
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Notice:
    """A row of the outbox: what it speaks of, never its text.

    Attributes:
        key: idempotency key (`trial:3`, `source:vllm:failed:2026-11-02T…`); one row per key for ever.
        subjects: ids or names of what it speaks of (trial id, event ids, source name).
    """

    kind: NoticeKind
    key: str
    topic: str
    subjects: tuple[str, ...]
    created_at: datetime
    id: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out through a channel. `type` is apprise's: info, success, warning or failure."""

    title: str
    body: str
    type: str = "info"
