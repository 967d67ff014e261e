"""The way back: start what is owed at once, then wait until it is seen running as before."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from watcher.errors import HostError
from watcher.host.services import is_paid
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport, ServiceState
from watcher.ports import Clock, Host

_PAUSE_SECONDS = 0.5


@dataclass(slots=True)
class WayBack:
    """Brings services back; used by a trial at its end. Everything in it may be called twice."""

    host: Host
    clock: Clock
    reports: dict[str, ServiceReport] = field(default_factory=dict)

    def start_all(self, services: Iterable[OwedService]) -> None:
        """Start each without waiting for health; one that fails keeps no other down."""
        for owed in services:
            try:
                self.reports[owed.service] = self.host.start_service(owed)
            except HostError as error:
                self.reports[owed.service] = ServiceReport(owed.service, ServiceState.DOWN, str(error))

    def wait_for(
        self, services: Iterable[OwedService], seconds: float, paid: Callable[[OwedService], None]
    ) -> tuple[OwedService, ...]:
        """Wait until each stands as before, call `paid` for those; return the ones that still do not."""
        ends = self.clock.monotonic() + seconds
        waiting = list(services)
        while waiting:
            for owed in tuple(waiting):
                if self._stands(owed):
                    waiting.remove(owed)
                    paid(owed)
            if self.clock.monotonic() >= ends:
                break
            if waiting:
                self.clock.sleep(_PAUSE_SECONDS)
                self.start_all(owed for owed in waiting if self.reports[owed.service].state is ServiceState.DOWN)
        return tuple(waiting)

    def _stands(self, owed: OwedService) -> bool:
        try:
            report = self.host.settle_service(owed)
        except HostError as error:
            report = ServiceReport(owed.service, ServiceState.DOWN, str(error))
        self.reports[owed.service] = report
        return is_paid(owed, report)
