"""The simulated device: what it shows beyond the contract that every host keeps."""

import time
from collections.abc import Iterator

import pytest

from tests.demo.whole_year import world
from tests.host.contract import unnoted
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import World
from watcher.demo.year import NVIDIA, UPSTREAM
from watcher.errors import CannotStart, HostError
from watcher.model.container import ContainerSpec, LocalImage
from watcher.model.trial import ServiceState
from watcher.trial.exchange import EngineClient
from watcher.trial.probing import read_probe

__all__ = ["world"]  # the fixture


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    host = SimulatedHost()
    yield host
    host.remove_trial()


BROKEN, FIXED = (NVIDIA, "r36.4-tegra-aarch64-cu126-22.04"), (UPSTREAM, "v0.33.0")


def _pulled(host: SimulatedHost, world: World, image: tuple[str, str]) -> LocalImage:
    repository, tag = image
    return host.pull(f"{world.image(repository)}:{tag}", None, lambda _: None, time.monotonic() + 10, unnoted)


def _log(host: SimulatedHost, container: str) -> str:
    return b"".join(host.follow(container)).decode()


def test_an_engine_with_the_bug_dies_at_the_kv_cache(host: SimulatedHost, world: World) -> None:
    container = host.start(ContainerSpec(_pulled(host, world, BROKEN).id, ("vllm", "serve")))
    assert "CUDACachingAllocator.cpp" in _log(host, container)
    assert host.state(container).exit_code == 1


def test_a_fixed_engine_answers_streams_and_calls_the_tool(host: SimulatedHost, world: World) -> None:
    container = host.start(ContainerSpec(_pulled(host, world, FIXED).id, ("vllm", "serve")))
    client = EngineClient(host.address(container, 8000), "watcher-trial", "/health")
    ends = time.monotonic() + 10
    while not client.is_well() and time.monotonic() < ends:
        time.sleep(0.02)
    assert all(reply.ok for reply in (client.complete(), client.stream(), client.call_tool()))
    client.close()
    assert host.signal(container, 5).exit_code == 0
    assert "Application startup complete." in _log(host, container)


@pytest.mark.parametrize(("image", "state"), [(BROKEN, "present"), (FIXED, "fixed")])
def test_the_probe_tells_the_builds_apart(
    host: SimulatedHost, world: World, image: tuple[str, str], state: str
) -> None:
    container = host.start(ContainerSpec(_pulled(host, world, image).id, ("python3", "-c", "the probe")))
    reading = read_probe(_log(host, container).encode(), host.state(container).exit_code)
    assert (reading.state.value, reading.trap_set) == (state, True)


def test_a_command_that_the_image_lacks_cannot_start(host: SimulatedHost, world: World) -> None:
    with pytest.raises(CannotStart):
        host.start(ContainerSpec(_pulled(host, world, BROKEN).id, ("ollama", "serve")))


def test_a_blob_that_does_not_fit_its_digest_is_refused(host: SimulatedHost) -> None:
    with World() as world:
        world.registry.blobs = dict.fromkeys(world.registry.blobs, b"something else")
        tag = next(iter(world.registry.tags[NVIDIA]))
        with pytest.raises(HostError, match="something else than was asked for"):
            host.pull(f"{world.image(NVIDIA)}:{tag}", None, lambda _: None, time.monotonic() + 10, unnoted)
    assert host.images == {}


def test_an_image_that_is_there_is_not_pulled_again(host: SimulatedHost, world: World) -> None:
    first = _pulled(host, world, BROKEN)
    again = host.pull(f"{world.image(NVIDIA)}:{BROKEN[1]}", first.digest, lambda _: None, time.monotonic(), unnoted)
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


def test_an_upgrade_is_another_state_of_the_device(host: SimulatedHost) -> None:
    before = host.facts()
    host.upgrade("39.2.1")
    after = host.facts()
    assert (before.state.l4t, after.state.l4t, after.state.driver, after.jetpack) == ("36.4.4", "39.2.1", None, "7.2.1")
    assert before.state.boot_id != after.state.boot_id
