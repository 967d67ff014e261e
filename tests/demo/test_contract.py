"""The simulated device keeps the same contract as the real engine."""

import time
from collections.abc import Iterator

import pytest

from tests.host.contract import HostContract, HostWorld
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import STEPS, World
from watcher.model.container import ContainerSpec


@pytest.fixture(scope="module")
def upstream() -> Iterator[World]:
    with World() as upstream:
        while upstream.advance():
            pass
        yield upstream


class TestSimulatedHost(HostContract):
    @pytest.fixture
    def world(self, upstream: World) -> Iterator[HostWorld]:
        host = SimulatedHost()
        deadline = time.monotonic() + 10
        failing, healthy = (
            host.pull(f"{upstream.image}:{step.tag}", None, lambda _: None, deadline).id for step in STEPS
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
