"""The simulated device keeps the same contract as the real engine."""

import time
from collections.abc import Iterator

import pytest

from tests.host.contract import HostContract, HostWorld, unnoted
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import World
from watcher.demo.year import DAYS, NVIDIA, UPSTREAM
from watcher.model.container import ContainerSpec


@pytest.fixture(scope="module")
def upstream() -> Iterator[World]:
    with World() as upstream:
        for today in DAYS:
            upstream.live(today)
        yield upstream


class TestSimulatedHost(HostContract):
    @pytest.fixture
    def world(self, upstream: World) -> Iterator[HostWorld]:
        host = SimulatedHost()
        deadline = time.monotonic() + 10
        failing, healthy = (
            host.pull(f"{upstream.image(repository)}:{tag}", None, lambda _: None, deadline, unnoted).id
            for repository, tag in ((NVIDIA, "latest-jetson-orin"), (UPSTREAM, "v0.33.0"))
        )
        yield HostWorld(
            host=host,
            healthy=ContainerSpec(healthy, ("vllm", "serve")),
            failing=ContainerSpec(failing, ("vllm", "serve")),
            without_command=ContainerSpec(healthy, ("ollama", "serve")),
            service="container:assistant",
            start_behind=host.services["assistant"].start,
        )
        host.remove_trial()
