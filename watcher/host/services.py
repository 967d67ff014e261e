"""Displaced services of every kind: each goes to what knows how to stop and start it."""

from collections.abc import Mapping
from typing import Protocol

from watcher.errors import Refused, RestoreFailed
from watcher.host.command_services import CommandServices, Words
from watcher.host.container_services import ContainerServices
from watcher.host.engine import Engine
from watcher.host.unit_services import UnitServices
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport


class Kind(Protocol):
    """One way of running services; the methods keep what `ports.Host` promises of them."""

    def examine(self, service: str) -> tuple[OwedService, ...]: ...

    def stop(self, owed: OwedService) -> None: ...

    def is_back(self, owed: OwedService) -> bool: ...

    def may_be_ending(self, owed: OwedService) -> bool: ...

    def start(self, owed: OwedService) -> ServiceReport: ...

    def settle(self, owed: OwedService) -> ServiceReport: ...


class Services:
    """`commands` are those of the configuration; what is owed brings its own."""

    def __init__(self, engine: Engine, commands: Mapping[str, Words] | None = None) -> None:
        units = UnitServices()
        self._kinds: dict[str, Kind] = {
            "container": ContainerServices(engine),
            "systemd": units,
            "systemd-user": units,
            "command": CommandServices(commands or {}),
        }

    def examine(self, service: str) -> tuple[OwedService, ...]:
        kind, _, name = service.partition(":")
        if kind not in self._kinds or not name:
            raise Refused(f"a service is named {', '.join(f'{one}:NAME' for one in self._kinds)}", service=service)
        return self._kinds[kind].examine(service)

    def stop(self, owed: OwedService) -> None:
        self._of(owed).stop(owed)

    def is_back(self, owed: OwedService) -> bool:
        return self._of(owed).is_back(owed)

    def may_be_ending(self, owed: OwedService) -> bool:
        """Return whether it runs, but a stop that outlived its watcher may still end it."""
        return self._of(owed).may_be_ending(owed)

    def start(self, owed: OwedService) -> ServiceReport:
        return self._of(owed).start(owed)

    def settle(self, owed: OwedService) -> ServiceReport:
        return self._of(owed).settle(owed)

    def _of(self, owed: OwedService) -> Kind:
        if owed.kind not in self._kinds:
            raise RestoreFailed("a service of this kind can only be started by a newer release", service=owed.service)
        return self._kinds[owed.kind]
