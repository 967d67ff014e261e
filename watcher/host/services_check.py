"""Faults of `[trial] displace` that show before any trial: what must never be stopped."""

from collections.abc import Iterable

from watcher.config.settings import DeviceSection
from watcher.errors import HostError, Refused
from watcher.host.engine import Engine
from watcher.host.examine import container_service, examine


def service_faults(device: DeviceSection, services: Iterable[str]) -> list[str]:
    """Return one line per fault; an engine that does not answer hides those that only it can show."""
    engine = Engine(device.docker)
    try:
        found = ((number, _fault(engine, device, service)) for number, service in enumerate(services))
        return [f"trial.displace.{number}: {fault}" for number, fault in found if fault]
    finally:
        engine.close()


def _fault(engine: Engine, device: DeviceSection, service: str) -> str | None:
    try:
        container_service(service)
        if not device.watch_only:
            examine(engine, service)
    except Refused as refused:
        return str(refused)
    except HostError:
        return None
    return None
