"""What stands around a candidate before it is tried: the services to displace, and what speaks against a trial."""

from dataclasses import dataclass

from watcher.errors import Refused
from watcher.model.container import OwedService
from watcher.planner.preflight import Known, Refusal, refusals, retry_at
from watcher.ports import Clock, Host
from watcher.trial.order import Order


@dataclass(frozen=True, slots=True)
class Surroundings:
    order: Order
    host: Host
    clock: Clock

    def services(self) -> tuple[OwedService, ...]:
        """Return what would be owed, in the order of starting again; for a wheel nothing is stopped. Raises Refused."""
        found: dict[str, OwedService] = {}
        if self.order.laying is not None:
            return ()
        for service in self.order.trial.services:
            for owed in self.host.examine(service):
                found.setdefault(owed.service, owed)
        return tuple(found.values())

    def services_or_refusals(self) -> tuple[tuple[OwedService, ...], tuple[Refusal, ...]]:
        """Return what would be owed; where something must not be stopped, nothing and why."""
        try:
            return self.services(), ()
        except Refused as refused:
            return (), (Refusal(str(refused), refused.retry_at),)

    def refuse(self, services: tuple[OwedService, ...], unstoppable: tuple[Refusal, ...]) -> None:
        """Raise Refused with all that speaks against the trial at once, less what `--force` lifts."""
        found = (*refusals(self.host.facts(), self.order.trial.preflight, self.known(services)), *unstoppable)
        standing = [one for one in found if not (one.lifted_by_force and self.order.force)]
        if standing:
            raise Refused("; ".join(one.reason for one in standing), retry_at=retry_at(standing))

    def known(self, services: tuple[OwedService, ...]) -> Known:
        """Return what the rules of preflight need beside the device's facts."""
        return Known(
            now=self.clock.now(),
            runtime=self.order.device.runtime,
            free_disk=self.host.free_disk(),
            displaced=tuple(owed.name for owed in services if owed.kind == "container"),
            gpu_users=self.host.gpu_users(),
            starts_engine=self.order.ask_bring_up,
            quarantined=self.order.quarantined,
        )
