"""The way there: name what is owed, write it down, stop it, and wait until the memory that it held is back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from watcher.errors import Refused
from watcher.host.owed import write_debt
from watcher.model.container import Debt
from watcher.model.device import DeviceFacts
from watcher.planner.preflight import Known, condition, gb, is_settled, not_settled
from watcher.ports import Clock, Display, Host
from watcher.trial.machine import Displacing, Event, Failed, Passed
from watcher.trial.order import Order
from watcher.trial.seen import Seen, seen_of_device
from watcher.trial.surroundings import Surroundings

_SETTLE_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class WayThere:
    """Puts aside what runs. What it did stands in `seen`, from where the way back takes it."""

    order: Order
    host: Host
    clock: Clock
    seen: Seen
    display: Display

    def name(self) -> Event:
        """Return what is owed, for the journal: nothing is stopped yet. Raises Refused."""
        end = self.order.must_end_by
        if end is not None and self.clock.now() + self.order.longest > end:
            raise Refused("the trial would not end inside the window any more", retry_at=end + timedelta(hours=12))
        self.seen.services = self._surroundings().services()
        return Displacing(frozenset(owed.service for owed in self.seen.services))

    def stop(self, trial_id: int) -> Event:
        """Write what was named into the owed file, then stop it."""
        if self.seen.services:
            now = self.clock.now()
            self.keep_condition("before the service was stopped", self.host.facts(), self._circumstances())
            self.seen.debt = Debt(trial_id, self.host.docker_url, now, self.seen.services)
            write_debt(self.order.data_dir / "owed", self.seen.debt)
            self.seen.stopped_at = self.clock.monotonic()
            for owed in reversed(self.seen.services):  # what lives in another's network goes first
                self.display.say(f"stopping {owed.service}")
                self.seen.stopping = owed
                self.host.stop_service(owed)
                self.seen.stopping = None
        return Passed()

    def settle(self, give_way: Callable[[], None]) -> Event:
        """Wait until the memory that was freed is really back."""
        needed = self._needed_memory()
        looks = [self.host.facts()]
        while (self.seen.services or needed) and not is_settled(looks, needed):
            self.display.update(f"waiting for memory: {gb(looks[-1].memory_available or 0)} available")
            self.clock.sleep(_SETTLE_PAUSE)
            give_way()
            looks.append(self.host.facts())
        self.keep_condition("after the service was stopped", looks[-1])
        return Passed()

    def not_settled(self) -> Event:
        """Give up on memory that was not there at the deadline."""
        facts = self.host.facts()
        self.keep_condition("after the service was stopped", facts)
        return Failed(not_settled(facts, self._needed_memory(), self._known()))

    def keep_condition(self, when: str, facts: DeviceFacts, circumstances: str = "") -> None:
        self.seen.extra.append(seen_of_device(f"the device {when}: {condition(facts)}{circumstances}"))

    def _needed_memory(self) -> int | None:
        return None if self.order.force else self.order.trial.preflight.min_memory

    def _circumstances(self) -> str:
        """Return what else speaks for memory that is not free: others on the GPU, failures that kept theirs."""
        others, failures = self._known().others, self.seen.gpu_failures
        said = f"; also on the GPU: {', '.join(others)}" if others else ""
        return f"{said}; starts that failed on the GPU on this boot: {failures}" if failures else said

    def _known(self) -> Known:
        return self._surroundings().known(self.seen.services)

    def _surroundings(self) -> Surroundings:
        return Surroundings(self.order, self.host, self.clock)
