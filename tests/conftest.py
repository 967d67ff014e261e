"""Fixtures for everyone: the one private Docker engine of a run."""

from collections.abc import Iterator

import pytest

from tests.real.docker import CannotRunHere, PrivateDaemon, private_daemon, require_docker, reused_folder

pytest_plugins = ["tests.no_skips"]


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[PrivateDaemon]:
    """Run one private Docker engine for the whole run; base images stay in it from run to run, nothing else does."""
    try:
        require_docker()
    except CannotRunHere as reason:
        pytest.skip(str(reason))
    with reused_folder() as folder, private_daemon(folder) as daemon:
        daemon.sweep()
        yield daemon


@pytest.fixture
def clean_engine(docker_engine: PrivateDaemon) -> Iterator[PrivateDaemon]:
    """Lend the engine for one test; its containers, networks, volumes and image tags are swept away afterwards."""
    yield docker_engine
    docker_engine.sweep()
