"""Fixtures of the artefact tests: a loopback server, a fetcher, the shipped bug."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.artifacts.builders import allocator_bug
from tests.real.web import web
from watcher.config.bugs import BugSettings
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds

__all__ = ["web"]


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(timeout=timedelta(seconds=60), holds=HostHolds({}, RealClock()))


@pytest.fixture
def bug() -> BugSettings:
    return allocator_bug()
