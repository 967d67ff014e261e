"""When a displaced service counts as given back, whatever kind it is of."""

from watcher.errors import HostError
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport, ServiceState

LEAST_STOP_SECONDS = 30.0
"""How long a container that is told to stop is given at least."""
_MARGIN_SECONDS = 2.0


def is_paid(owed: OwedService, report: ServiceReport) -> bool:
    """Return whether the service stands as it stood before: healthy if it was healthy, else running; or replaced."""
    if report.state is ServiceState.RUNNING:
        return not owed.was_healthy
    return report.state in (ServiceState.HEALTHY, ServiceState.REPLACED)


def stop_patience(owed: OwedService) -> float:
    """Return for how many seconds Docker may go on with a stop that was ordered, though nobody waits for it."""
    return max(LEAST_STOP_SECONDS, float((owed.inspect.get("Config") or {}).get("StopTimeout") or 0)) + _MARGIN_SECONDS


def needs_start(report: ServiceReport) -> bool:
    """Return whether it is down and nothing is under way that would change it."""
    return report.state is ServiceState.DOWN and not report.is_starting


def down_report(owed: OwedService, error: Exception) -> ServiceReport:
    """Return the report of a service that could not be started, or looked at."""
    said = str(error) if isinstance(error, HostError) else f"{type(error).__name__}: {error}"
    return ServiceReport(owed.service, ServiceState.DOWN, said)


def better_told(started: ServiceReport | None, report: ServiceReport) -> ServiceReport:
    """Return the one of two reports that says more: why it could not be started goes before that it is down."""
    could_not_start = started is not None and needs_start(started) and started.message
    return started if started is not None and could_not_start and needs_start(report) else report
