"""The Docker engine with a host on it."""

from collections.abc import Iterator

import pytest

from tests.host.docker_world import DockerWorld
from tests.real.docker import PrivateDaemon


@pytest.fixture
def docker(clean_engine: PrivateDaemon) -> Iterator[DockerWorld]:
    world = DockerWorld(clean_engine)
    yield world
    world.host.close()
