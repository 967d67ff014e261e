"""Put back whatever is owed: from the owed files, Docker and systemd, and nothing else. Safe at any time."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from watcher.errors import HostError, LeaseHeld
from watcher.host.clock import SystemClock
from watcher.host.engine import Engine
from watcher.host.lease import Lease
from watcher.host.owed import broken_debts, clear_debt, clear_drafts, read_debts, write_debt
from watcher.host.paid import better_told, down_report, is_paid, needs_start, stop_patience
from watcher.host.services import Services
from watcher.host.trial_container import TrialContainer
from watcher.model.container import Debt, OwedService
from watcher.model.trial import ServiceReport, ServiceState
from watcher.ports import Clock

CANCEL = "cancel"
"""File in `data_dir` by which a running trial learns that it has to end."""
RESTORE_SECONDS = 300.0
_START_SECONDS = 20.0
"""How long a start that fails is tried again; what runs already has RESTORE_SECONDS to become healthy."""
_LEASE_SECONDS = 10.0
_PAUSE_SECONDS = 0.5


class Guardian:
    """What the way back needs of one Docker engine."""

    def __init__(self, docker_url: str) -> None:
        self._engine = Engine(docker_url)
        self.services = Services(self._engine)
        self._trial = TrialContainer(self._engine)

    def end_trial(self) -> None:
        """Kill the trial container, whoever's it is: the device must have room for what is owed."""
        self._trial.remove()

    def close(self) -> None:
        self._engine.close()


Connect = Callable[[str], Guardian]


def restore_all(
    data_dir: Path,
    docker_url: str | None,
    clock: Clock | None = None,
    timeout_seconds: float = RESTORE_SECONDS,
    connect: Connect = Guardian,
) -> tuple[ServiceReport, ...]:
    """Return how each owed service stands at the end; empty when nothing was owed.

    A trial that runs is ended first. One service's failure keeps no other down. What is seen to stand as before is
    struck from the owed files, the rest stays owed.
    """
    clock = clock or SystemClock()
    folder = data_dir / "owed"
    if data_dir.is_dir():
        with contextlib.suppress(OSError):  # on a full or read-only disk the trial is ended all the same, below
            (data_dir / CANCEL).touch()
    owed_at_first = read_debts(folder)
    urls = {debt.docker for debt in owed_at_first} | ({docker_url} if docker_url not in (None, "none") else set())
    with contextlib.ExitStack() as stack:
        guardians = {url: stack.enter_context(contextlib.closing(connect(url))) for url in sorted(urls) if url}
        _end_trials(guardians.values())
        with _lease_if_possible(data_dir, clock) as alone:
            _end_trials(guardians.values())
            payment = _Payment(folder, guardians, connect, clock)
            payment.pay(clock.monotonic() + timeout_seconds)
            payment.look_at(owed_at_first)
            _end_trials(guardians.values())  # what a dead watcher had just ordered may have come to be only now
            if alone:
                clear_drafts(folder)
                with contextlib.suppress(OSError):
                    (data_dir / CANCEL).unlink(missing_ok=True)
    return (*payment.reports.values(), *(_unreadable(path) for path in broken_debts(folder)))


def seen_down(data_dir: Path, connect: Connect = Guardian) -> tuple[ServiceReport, ...]:
    """Look, start nothing, and return what the owed files name and does not stand as before."""
    folder = data_dir / "owed"
    payment = _Payment(folder, {}, connect, SystemClock())
    payment.look_at(read_debts(folder))
    for guardian in payment.guardians.values():
        guardian.close()
    unpaid = unpaid_services(data_dir, payment.reports.values())
    down = (report for report in payment.reports.values() if report.service in unpaid)
    return (*down, *(_unreadable(path) for path in broken_debts(folder)))


def unpaid_services(data_dir: Path, reports: Iterable[ServiceReport]) -> tuple[str, ...]:
    """Return what the owed files still name and the reports do not show as given back."""
    told = {report.service: report for report in reports}
    left = [owed for debt in read_debts(data_dir / "owed") for owed in debt.services]
    broken = [f"file:{path.name}" for path in broken_debts(data_dir / "owed")]
    unpaid = (owed.service for owed in left if owed.service not in told or not is_paid(owed, told[owed.service]))
    return tuple(dict.fromkeys((*unpaid, *broken)))


@dataclass(slots=True)
class _Payment:
    """All debts on their way to being paid; a service that two trials owe is reported once."""

    folder: Path
    guardians: dict[str, Guardian]
    connect: Connect
    clock: Clock
    reports: dict[str, ServiceReport] = field(default_factory=dict)
    _began: float = 0.0

    def pay(self, ends: float) -> None:
        """Start everything at once, then wait until it stands as before or the time is over."""
        debts = read_debts(self.folder)
        self._began = self.clock.monotonic()
        for debt in debts:
            self._start(debt, debt.services)
        gives_up = self.clock.monotonic() + _START_SECONDS
        while debts := self._struck(debts):
            now = self.clock.monotonic()
            if not self._none_starts(debts):  # what was only now seen to be down has its time before it, too
                gives_up = now + _START_SECONDS
            if now >= min(ends, gives_up):
                return
            self.clock.sleep(_PAUSE_SECONDS)
            for debt in debts:
                self._start(debt, (owed for owed in debt.services if needs_start(self.reports[owed.service])))

    def look_at(self, debts: Iterable[Debt]) -> None:
        """Report also what somebody else paid meanwhile: a trial that was ended gives back by itself."""
        for debt in debts:
            for owed in debt.services:
                if owed.service not in self.reports:
                    self.reports[owed.service] = self._settled(debt, owed)

    def _start(self, debt: Debt, services: Iterable[OwedService]) -> None:
        for owed in services:
            try:
                self.reports[owed.service] = self._guardian(debt).services.start(owed)
            except Exception as error:  # noqa: BLE001  a bug of ours with one service keeps no other down
                self.reports[owed.service] = down_report(owed, error)

    def _none_starts(self, debts: Iterable[Debt]) -> bool:
        return all(needs_start(self.reports[owed.service]) for debt in debts for owed in debt.services)

    def _struck(self, debts: Iterable[Debt]) -> tuple[Debt, ...]:
        """Strike what is paid from the owed files, and return the debts with what is left of them.

        A file that cannot be written or removed still names what was paid; who reads it next sees that it runs.
        """
        left = []
        for debt in debts:
            unpaid = tuple(owed for owed in debt.services if not self._is_settled(debt, owed))
            with contextlib.suppress(HostError):
                if not unpaid:
                    clear_debt(self.folder, debt.trial_id)
                elif unpaid != debt.services:
                    write_debt(self.folder, replace(debt, services=unpaid))
            if unpaid:
                left.append(replace(debt, services=unpaid))
        return tuple(left)

    def _is_settled(self, debt: Debt, owed: OwedService) -> bool:
        if self._may_be_ending(debt, owed):
            message = "it was told to stop and may still end; it is started again then"
            self.reports[owed.service] = ServiceReport(owed.service, ServiceState.DOWN, message, is_starting=True)
            return False
        started, report = self.reports[owed.service], self._settled(debt, owed)
        self.reports[owed.service] = better_told(started, report)
        return is_paid(owed, report)

    def _may_be_ending(self, debt: Debt, owed: OwedService) -> bool:
        """Return whether a stop that outlived its watcher may still end it; services are stopped one after another."""
        if self.clock.monotonic() > self._began + sum(map(stop_patience, debt.services)):
            return False
        try:
            return self._guardian(debt).services.may_be_ending(owed)
        except Exception:  # noqa: BLE001  whoever cannot be asked is told by what follows
            return False

    def _settled(self, debt: Debt, owed: OwedService) -> ServiceReport:
        try:
            return self._guardian(debt).services.settle(owed)
        except Exception as error:  # noqa: BLE001  as above
            return down_report(owed, error)

    def _guardian(self, debt: Debt) -> Guardian:
        return self.guardians.setdefault(debt.docker, self.connect(debt.docker))


def _end_trials(guardians: Iterable[Guardian]) -> None:
    for guardian in guardians:
        with contextlib.suppress(HostError):  # an engine that does not answer runs no trial; starting says so again
            guardian.end_trial()


@contextlib.contextmanager
def _lease_if_possible(data_dir: Path, clock: Clock) -> Iterator[bool]:
    """Wait a moment for a trial to end; then go on without the lease, since both do the same and may do it twice."""
    ends = clock.monotonic() + _LEASE_SECONDS
    with contextlib.ExitStack() as stack:
        alone = False
        while not alone and clock.monotonic() < ends:
            try:
                stack.enter_context(Lease(data_dir))
                alone = True
            except LeaseHeld:
                clock.sleep(_PAUSE_SECONDS)
            except HostError:
                break  # a data folder that cannot be written must not keep a service down
        yield alone


def _unreadable(path: Path) -> ServiceReport:
    return ServiceReport(f"file:{path.name}", ServiceState.DOWN, f"this owed file cannot be read; look into {path}")
