"""The simulated device: what it shows beyond the contract that every host keeps."""

import time
from collections.abc import Iterator

import pytest

from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import REPOSITORY, STEPS, World
from watcher.errors import CannotStart, HostError
from watcher.model.container import ContainerSpec, LocalImage
from watcher.model.trial import ServiceState
from watcher.trial.exchange import EngineClient
from watcher.trial.probing import read_probe


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        while world.advance():
            pass
        yield world


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    host = SimulatedHost()
    yield host
    host.remove_trial()


def _pulled(host: SimulatedHost, world: World, step: int) -> LocalImage:
    return host.pull(f"{world.image}:{STEPS[step].tag}", None, lambda _: None, time.monotonic() + 10)


def _log(host: SimulatedHost, container: str) -> str:
    return b"".join(host.follow(container)).decode()


def test_an_engine_with_the_bug_dies_at_the_kv_cache(host: SimulatedHost, world: World) -> None:
    container = host.start(ContainerSpec(_pulled(host, world, 0).id, ("vllm", "serve")))
    assert "CUDACachingAllocator.cpp" in _log(host, container)
    assert host.state(container).exit_code == 1


def test_a_fixed_engine_answers_streams_and_calls_the_tool(host: SimulatedHost, world: World) -> None:
    container = host.start(ContainerSpec(_pulled(host, world, 1).id, ("vllm", "serve")))
    client = EngineClient(host.address(container, 8000), "watcher-trial", "/health")
    ends = time.monotonic() + 10
    while not client.is_well() and time.monotonic() < ends:
        time.sleep(0.02)
    assert all(reply.ok for reply in (client.complete(), client.stream(), client.call_tool()))
    client.close()
    assert host.signal(container, 5).exit_code == 0
    assert "Application startup complete." in _log(host, container)


@pytest.mark.parametrize(("step", "state"), [(0, "present"), (1, "fixed")])
def test_the_probe_tells_the_builds_apart(host: SimulatedHost, world: World, step: int, state: str) -> None:
    container = host.start(ContainerSpec(_pulled(host, world, step).id, ("python3", "-c", "the probe")))
    reading = read_probe(_log(host, container).encode(), host.state(container).exit_code)
    assert (reading.state.value, reading.trap_set) == (state, True)


def test_a_command_that_the_image_lacks_cannot_start(host: SimulatedHost, world: World) -> None:
    with pytest.raises(CannotStart):
        host.start(ContainerSpec(_pulled(host, world, 0).id, ("ollama", "serve")))


def test_a_blob_that_does_not_fit_its_digest_is_refused(host: SimulatedHost) -> None:
    with World() as world:
        layer = max(world.registry.blobs, key=lambda digest: len(bytes(world.registry.blobs[digest])))
        world.registry.blobs[layer] = b"something else"
        tag = next(iter(world.registry.tags[REPOSITORY]))
        with pytest.raises(HostError, match="something else than was asked for"):
            host.pull(f"{world.image}:{tag}", None, lambda _: None, time.monotonic() + 10)
    assert host.images == {}


def test_an_image_that_is_there_is_not_pulled_again(host: SimulatedHost, world: World) -> None:
    first = _pulled(host, world, 0)
    again = host.pull(f"{world.image}:{STEPS[0].tag}", first.digest, lambda _: None, time.monotonic())
    assert (first.pulled, again.pulled, again.id) == (True, False, first.id)


def test_a_stopped_service_comes_back_healthy_with_its_own_policy(host: SimulatedHost) -> None:
    (owed,) = host.examine("container:assistant")
    free_before = host.facts().memory_available or 0
    host.stop_service(owed)
    assert not host.is_back(owed)
    assert host.services["assistant"].policy == "always"
    assert (host.facts().memory_available or 0) > free_before
    assert host.start_service(owed).state is ServiceState.RUNNING
    ends = time.monotonic() + 5
    while (report := host.settle_service(owed)).state is not ServiceState.HEALTHY and time.monotonic() < ends:
        time.sleep(0.02)
    assert report.state is ServiceState.HEALTHY
    assert host.services["assistant"].policy == "unless-stopped"


def test_a_service_that_does_not_run_is_not_owed(host: SimulatedHost) -> None:
    host.services["assistant"].running = False
    assert host.examine("container:assistant") == ()
    assert host.examine("container:unknown") == ()
