"""What all kinds of sources share: a name, a fetcher with one deadline per look, a cursor."""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from watcher.config.sources import SourceSection
from watcher.errors import SourceChanged
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds
from watcher.fetch.logins import without_logins
from watcher.model.facts import Poll, Traffic
from watcher.planner.news import MANY
from watcher.planner.versions import parse_version
from watcher.sources.bounded import bounded, check_json

CURSOR_VERSION = 2
"""Raise it when a parser changes what it makes of the same bytes: a 304 would keep the old facts."""
_NOT_ABOUT_CONTENT = {
    "name",
    "every",
    "enabled",
    "timeout",
    "include",
    "exclude",
    "prereleases",
    "allowed_hosts",
    "moved_to",
    "engine",
}

Cursor = dict[str, Any]


class PolledSource(ABC):
    """A source: subclasses say what one look is."""

    def __init__(self, config: SourceSection, kind: str, holds: HostHolds, depends_on: str = "") -> None:
        """`depends_on`: what the facts hang on besides the settings of their kind (an architecture, filters)."""
        self._name, self._kind = config.name, kind
        self._fetcher = Fetcher(timeout=config.timeout, holds=holds, allowed_hosts=frozenset(config.allowed_hosts))
        settings = config.model_dump(mode="json", exclude=_NOT_ABOUT_CONTENT)
        text = f"{CURSOR_VERSION} {kind} {depends_on} {json.dumps(without_logins(settings))}"
        self._fits = hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def traffic(self) -> Traffic:
        return self._fetcher.traffic

    def poll(self, cursor: str | None) -> Poll:
        """Look once. Raises SourceError; a cursor of other settings, or an unreadable one, is as none."""
        self._fetcher.begin()
        before = self._read_cursor(cursor)
        return replace(bounded(self._look(before)), moved_to=self._fetcher.moved_to, is_fresh=not before)

    @abstractmethod
    def _look(self, cursor: Cursor) -> Poll: ...

    def _write_cursor(self, cursor: Cursor) -> str:
        return json.dumps({**cursor, "fits": self._fits}, sort_keys=True)

    def _read_cursor(self, cursor: str | None) -> Cursor:
        try:
            stored = json.loads(cursor or "{}")
        except ValueError:
            return {}
        return stored if isinstance(stored, dict) and stored.get("fits") == self._fits else {}


def check_not_emptied(count: int, before: object) -> None:
    """Raise SourceChanged for an empty list where there were entries: it is taken for trouble, not for news."""
    if count == 0 and isinstance(before, int) and before >= MANY:
        raise SourceChanged("the upstream's list is empty where it was not", before=before)


def is_over(since: object, span: timedelta, now: datetime) -> bool:
    """Return whether `span` has passed since a stamp of the cursor; so it has where that is unreadable or to come."""
    try:
        return not timedelta(0) <= now - datetime.fromisoformat(str(since)) < span
    except (ValueError, TypeError):
        return True


def moment(text: object) -> datetime | None:
    """Return an upstream's ISO 8601 stamp in UTC, None for anything else; nanoseconds are cut off."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def json_object(body: bytes, otherwise: str, **fields: object) -> dict[str, Any]:
    """Return the object that an answer holds. Raises SourceChanged with the message `otherwise`.

    Half a surrogate pair, which JSON can hold, is no text that could be stored or shown.
    """
    check_json(body)
    try:
        answer = json.loads(body.decode("utf-8-sig"))
        if b"\\ud" in body.lower():
            json.dumps(answer, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SourceChanged(otherwise, **fields)
    return answer


def is_prerelease(version: str | None) -> bool:
    """Return what PEP 440 says of a version; what is no version is none."""
    parsed = parse_version(version)
    return parsed is not None and parsed.is_prerelease
