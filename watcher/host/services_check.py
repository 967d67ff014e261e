"""Faults of `[trial] displace` that show before any trial: what must never be stopped.

The operator's own commands are not run here: that a configuration is looked at must change nothing.
"""

from collections.abc import Iterable

from watcher.config.settings import DeviceSection
from watcher.errors import HostError, Refused
from watcher.host.engine import Engine
from watcher.host.services import Services


def service_faults(device: DeviceSection, services: Iterable[str]) -> list[str]:
    """Return one line per fault; a Docker engine that does not answer hides what only it can show."""
    engine = Engine(device.docker)
    try:
        found = ((number, _fault(Services(engine), device, service)) for number, service in enumerate(services))
        return [f"trial.displace.{number}: {fault}" for number, fault in found if fault]
    finally:
        engine.close()


def _fault(services: Services, device: DeviceSection, service: str) -> str | None:
    try:
        if not device.watch_only:
            services.examine(service)
    except Refused as refused:
        return str(refused)
    except HostError as error:
        return None if service.startswith("container:") else str(error)
    return None
