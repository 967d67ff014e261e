"""The way back: start what is owed at once, then wait until it is seen running as before."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from watcher.errors import HostError
from watcher.host.paid import better_told, down_report, is_paid, needs_start, stop_patience
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport
from watcher.ports import Clock, Host

_PAUSE_SECONDS = 0.1


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
            except Exception as error:  # noqa: BLE001  a bug of ours with one service keeps no other down
                self.reports[owed.service] = down_report(owed, error)

    def has_ended(self, owed: OwedService) -> bool:
        """Return whether a service that was told to stop has stopped; one that cannot be seen counts as such."""
        try:
            return not self.host.is_back(owed)
        except HostError:
            return True

    def let_end(self, owed: OwedService) -> None:
        """Wait until the service has stopped: Docker goes on with a stop that nobody waits for any more.

        Seen running before that, it would count as back, and end afterwards.
        """
        ends = self.clock.monotonic() + stop_patience(owed)
        while not self.has_ended(owed) and self.clock.monotonic() < ends:
            self.clock.sleep(_PAUSE_SECONDS)

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
                self.start_all(owed for owed in waiting if needs_start(self.reports[owed.service]))
        return tuple(waiting)

    def _stands(self, owed: OwedService) -> bool:
        try:
            report = self.host.settle_service(owed)
        except Exception as error:  # noqa: BLE001  as above
            report = down_report(owed, error)
        self.reports[owed.service] = better_told(self.reports.get(owed.service), report)
        return is_paid(owed, report)
