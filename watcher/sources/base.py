"""What all kinds of sources share: a name, a fetcher with one deadline per look, a cursor."""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Any

from watcher.config.sources import SourceSection
from watcher.errors import SourceChanged
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds
from watcher.model.facts import Poll, Traffic
from watcher.planner.news import MANY
from watcher.planner.versions import parse_version

CURSOR_VERSION = 1
"""Raise it when a parser changes what it makes of the same bytes: a 304 would keep the old facts."""
_NOT_ABOUT_CONTENT = {"name", "every", "enabled", "timeout", "prereleases", "allowed_hosts"}

Cursor = dict[str, Any]


class PolledSource(ABC):
    """A source: subclasses say what one look is."""

    def __init__(self, config: SourceSection, kind: str, holds: HostHolds, depends_on: str = "") -> None:
        """`depends_on`: what else, besides the configuration, the facts hang on (an architecture)."""
        self._name, self._kind = config.name, kind
        self._fetcher = Fetcher(timeout=config.timeout, holds=holds, allowed_hosts=frozenset(config.allowed_hosts))
        settings = config.model_dump_json(exclude=_NOT_ABOUT_CONTENT)
        text = f"{CURSOR_VERSION} {kind} {depends_on} {settings}"
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
        return self._look(self._read_cursor(cursor))

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
    """Raise SourceChanged for an empty list where there was a long one: it is taken for trouble, not for news."""
    if count == 0 and isinstance(before, int) and before >= MANY:
        raise SourceChanged("the upstream's list is empty where it was not", before=before)


def is_prerelease(version: str | None) -> bool:
    """Return what PEP 440 says of a version; what is no version is none."""
    parsed = parse_version(version)
    return parsed is not None and parsed.is_prerelease
