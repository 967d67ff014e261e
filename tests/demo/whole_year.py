"""The demo's upstreams when the year is over, for tests of what a device does with them."""

from collections.abc import Iterator

import pytest

from watcher.demo.world import World
from watcher.demo.year import DAYS


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        for today in DAYS:
            world.live(today)
        yield world
