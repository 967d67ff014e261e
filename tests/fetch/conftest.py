"""Fixtures of the fetch tests: two loopback servers and a fetcher."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.real.web import other_web, web
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds

__all__ = ["other_web", "web"]


class SteppingClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


MakeFetcher = Callable[..., Fetcher]


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def holds(clock: SteppingClock) -> HostHolds:
    return HostHolds({}, clock)


@pytest.fixture
def fetcher(holds: HostHolds) -> Fetcher:
    return Fetcher(timeout=timedelta(seconds=20), holds=holds)
