"""Fixtures of the artefact tests: a loopback server, a fetcher, the shipped bug."""

from datetime import timedelta

import pytest

from tests.artifacts.builders import allocator_bug
from tests.real.web import web
from watcher.config.bugs import BugSettings
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds
from watcher.host.clock import SystemClock

__all__ = ["web"]


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(timeout=timedelta(seconds=60), holds=HostHolds({}, SystemClock()))


@pytest.fixture
def bug() -> BugSettings:
    return allocator_bug()
