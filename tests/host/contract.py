"""What every Host keeps, whichever stands behind the port. Subclass `HostContract` and give it a `world` fixture."""

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from watcher.errors import CannotStart
from watcher.model.container import ContainerSpec, LaidFiles, OwedService
from watcher.model.trial import ServiceState
from watcher.ports import Host

HEALTH_PORT = 8000


@dataclass(frozen=True)
class HostWorld:
    """A host with what the contract needs of its surroundings.

    Attributes:
        healthy: serves `/health` on port 8000 until it is stopped, then ends with exit code 0.
        failing: writes the allocator's assert and ends by itself with an exit code that is not 0.
        without_command: its image does not have the command.
        service: a service that runs, and is healthy, as `examine` takes it.
        start_behind: starts the service as somebody else would.
    """

    host: Host
    healthy: ContainerSpec
    failing: ContainerSpec
    without_command: ContainerSpec
    service: str
    start_behind: Callable[[], None]


def wait_for(what: Callable[[], object], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.1)


def is_well(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def unnoted(reference: str, there: frozenset[str]) -> None:
    """Let a pull begin that nobody keeps books of."""


class HostContract:
    """Collected only through subclasses, whose names begin with `Test`."""

    def test_a_started_engine_is_reached_at_its_address_and_ends_when_asked(self, world: HostWorld) -> None:
        container = world.host.start(world.healthy)
        assert world.host.state(container).running
        base = world.host.address(container, HEALTH_PORT)
        wait_for(lambda: is_well(base))
        ended = world.host.signal(container, grace_seconds=10)
        assert (ended.running, ended.exit_code) == (False, 0)
        assert not is_well(base)

    def test_a_look_tells_memory_and_programs_until_it_is_killed(self, world: HostWorld) -> None:
        container = world.host.start(world.healthy)
        wait_for(lambda: is_well(world.host.address(container, HEALTH_PORT)))
        first, second = world.host.look(container), world.host.look(container)
        assert first is not None
        assert second is not None
        assert first.started == second.started
        assert first.memory is None or first.memory > 10**6, "None where the kernel keeps no count"
        assert any("vllm" in command for command in first.programs.values()), first.programs
        assert first.programs == second.programs
        for _ in range(2):  # safe at any time
            world.host.kill(container)
            wait_for(lambda: not world.host.state(container).running)
        assert world.host.state(container).exit_code == 137
        assert world.host.look(container) is None
        again = world.host.start(world.healthy)
        anew = world.host.look(again)
        assert anew is not None
        assert anew.started != first.started
        world.host.remove_trial()

    def test_the_log_is_followed_to_the_end_of_the_container(self, world: HostWorld) -> None:
        container = world.host.start(world.failing)
        assert b"INTERNAL ASSERT FAILED" in b"".join(world.host.follow(container))
        wait_for(lambda: not world.host.state(container).running)
        assert world.host.state(container).exit_code not in (0, None)

    def test_an_image_without_the_command_cannot_start(self, world: HostWorld) -> None:
        with pytest.raises(CannotStart):
            world.host.start(world.without_command)
        world.host.remove_trial()

    def test_files_that_cannot_be_laid_are_the_candidates_fault(self, world: HostWorld) -> None:
        def tar() -> Iterator[bytes]:
            yield b""
            raise CannotStart("a member is damaged")

        with pytest.raises(CannotStart, match="a member is damaged"):
            world.host.start(replace(world.healthy, laid=LaidFiles("/laid", tar)))
        world.host.remove_trial()

    def test_what_was_removed_does_not_exist_any_more(self, world: HostWorld) -> None:
        container = world.host.start(world.healthy)
        for _ in range(2):  # safe at any time
            world.host.remove_trial()
        assert not world.host.state(container).exists

    def test_a_second_start_takes_the_place_of_the_first(self, world: HostWorld) -> None:
        first = world.host.start(world.healthy)
        second = world.host.start(world.healthy)
        assert not world.host.state(first).exists
        assert world.host.state(second).running
        world.host.remove_trial()

    def test_a_service_that_does_not_run_owes_nothing(self, world: HostWorld) -> None:
        assert world.host.examine("container:nobody-is-called-so") == ()
        (owed,) = world.host.examine(world.service)
        world.host.stop_service(owed)
        assert world.host.examine(world.service) == ()

    def test_what_ails_a_service_is_told_and_nothing_where_it_is_well(self, world: HostWorld) -> None:
        assert world.host.ailment(world.service) is None
        gone = world.host.ailment("container:nobody-is-called-so")
        assert gone is not None
        assert gone.kind == "gone"
        (owed,) = world.host.examine(world.service)
        world.host.stop_service(owed)
        stopped = world.host.ailment(world.service)
        assert stopped is not None
        assert (stopped.kind, bool(stopped.remedy)) == ("stopped", True)

    def test_a_service_is_stopped_started_and_seen_healthy_again(self, world: HostWorld) -> None:
        (owed,) = world.host.examine(world.service)
        assert owed.service == world.service
        world.host.stop_service(owed)
        assert not world.host.is_back(owed)
        assert world.host.settle_service(owed).state is ServiceState.DOWN
        assert world.host.start_service(owed).state in (ServiceState.RUNNING, ServiceState.HEALTHY)
        assert world.host.is_back(owed)
        self._settles(world.host, owed)

    def test_starting_what_runs_changes_nothing(self, world: HostWorld) -> None:
        (owed,) = world.host.examine(world.service)
        world.host.stop_service(owed)
        for _ in range(3):
            world.host.start_service(owed)
        self._settles(world.host, owed)
        world.host.start_service(owed)
        assert world.host.settle_service(owed).state is ServiceState.HEALTHY

    def test_a_service_that_somebody_else_started_is_back(self, world: HostWorld) -> None:
        (owed,) = world.host.examine(world.service)
        world.host.stop_service(owed)
        world.start_behind()
        assert world.host.is_back(owed)
        self._settles(world.host, owed)

    def test_the_device_tells_its_memory_and_runtimes(self, world: HostWorld) -> None:
        facts = world.host.facts()
        assert facts.memory_available is not None
        assert facts.memory_total is not None
        assert 0 < facts.memory_available <= facts.memory_total
        assert facts.runtimes

    def test_the_trial_container_is_not_among_those_who_use_the_gpu(self, world: HostWorld) -> None:
        before = world.host.gpu_users()
        world.host.start(replace(world.healthy, runtime="nvidia"))
        assert world.host.gpu_users() == before
        world.host.remove_trial()

    @staticmethod
    def _settles(host: Host, owed: OwedService) -> None:
        wait_for(lambda: host.settle_service(owed).state is ServiceState.HEALTHY)
