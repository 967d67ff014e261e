"""Fixtures of the fetch tests: two loopback servers and a fetcher."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.clocks import SteppingClock
from tests.real.web import other_web, web
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds

__all__ = ["other_web", "web"]


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
