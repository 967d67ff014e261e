"""Displaced systemd units: examined, stopped, started, and seen active again. Needs nothing but `systemctl`.

The second guardian of a unit is systemd: one that is enabled is started at the next boot, whatever becomes of us.
"""

import os
import time
from pathlib import Path

from watcher.errors import HostError, Refused
from watcher.host.systemctl import Systemctl, why_no_systemd
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport, ServiceState

RESTORE_UNIT = "watcher-restore.service"
"""The unit that runs `watcher restore` at boot; where it is enabled, units that are not may be displaced, too."""
_RUNS = ("active", "reloading", "activating")
_STOPPED_WITH_IT = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
_BY_ITSELF = ("enabled", "generated")
_WAY_TO_DOCKER = ("docker.service", "docker.socket", "containerd.service")
_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "CanStart", "CanStop", "Transient"),
    *("ControlGroup", "ActiveEnterTimestampMonotonic", *_STOPPED_WITH_IT),
)
_STEADY_SECONDS = 1.0
"""A unit that ends right after its start was never back."""

Told = dict[str, str]


class UnitServices:
    def examine(self, service: str) -> tuple[OwedService, ...]:
        """Return the unit and those that systemd stops with it, in the order of starting again."""
        kind, _, unit = service.partition(":")
        if reason := why_no_systemd():
            raise Refused(reason, service=service)
        if any(mark in unit for mark in "*?["):
            raise Refused("a unit is named whole, without wildcards", service=service)
        user_id = os.geteuid() if kind == "systemd-user" else None
        systemctl = Systemctl(user_id)
        told = _show(systemctl, unit)
        if told["ActiveState"] not in _RUNS:
            return ()
        found = _with_dependents(systemctl, told)
        for each in found:
            _refuse_unstoppable(systemctl, each, service)
        names = [unit, *(each["Id"] for each in found[1:])]
        return tuple(
            OwedService(
                service=f"{kind}:{name}",
                kind=kind,
                name=each["Id"],
                user_id=user_id,
                was_healthy=False if each["ActiveState"] == "activating" else None,
            )
            for name, each in zip(names, found, strict=True)
        )

    def stop(self, owed: OwedService) -> None:
        systemctl = Systemctl(owed.user_id)
        if _show(systemctl, owed.name)["ActiveState"] not in ("inactive", "failed"):
            systemctl.stop(owed.name)

    def is_back(self, owed: OwedService) -> bool:
        return _show(Systemctl(owed.user_id), owed.name)["ActiveState"] in _RUNS

    def may_be_ending(self, owed: OwedService) -> bool:  # noqa: ARG002
        """Return False: a unit that is being stopped does not count as running, and a start waits for its stop."""
        return False

    def start(self, owed: OwedService) -> ServiceReport:
        """Order the start; systemd ends a stop that is under way first."""
        systemctl = Systemctl(owed.user_id)
        told = _show(systemctl, owed.name)
        if told["ActiveState"] == "failed":
            systemctl.forget_failures(owed.name)
        if told["ActiveState"] not in _RUNS:
            systemctl.begin(owed.name)
        return ServiceReport(owed.service, ServiceState.RUNNING)

    def settle(self, owed: OwedService) -> ServiceReport:
        """Return how it stands; nothing of it was changed, so that nothing has to be given back."""
        systemctl = Systemctl(owed.user_id)
        told = _show(systemctl, owed.name)
        match told["ActiveState"]:
            case "active" if _active_seconds(told) < _STEADY_SECONDS:
                return ServiceReport(owed.service, ServiceState.DOWN, "it was started a moment ago", is_starting=True)
            case "active" | "reloading":
                return ServiceReport(owed.service, ServiceState.RUNNING)
            case "activating" if owed.was_healthy is False:
                message = "it was not well before the trial either"
                return ServiceReport(owed.service, ServiceState.RUNNING, message)
            case "activating" if told["SubState"] == "auto-restart":
                return ServiceReport(owed.service, ServiceState.DOWN, f"it ends and is restarted ({told['Result']})")
            case "activating":
                return ServiceReport(owed.service, ServiceState.DOWN, "systemd is starting it", is_starting=True)
        run = f"{systemctl.command} start {owed.name}"
        why = f"{told['ActiveState']}, {told['Result']}" if told["LoadState"] == "loaded" else told["LoadState"]
        return ServiceReport(owed.service, ServiceState.DOWN, f"it does not run ({why}); {run}")


def _show(systemctl: Systemctl, unit: str) -> Told:
    return systemctl.show(unit, *_PROPERTIES)


def _with_dependents(systemctl: Systemctl, told: Told) -> list[Told]:
    """Return `told` and what systemd stops with it; a target runs nothing of its own."""
    found = [told]
    for each in found:
        names = {name for key in _STOPPED_WITH_IT for name in each[key].split() if not name.endswith(".target")}
        for name in sorted(names - {one["Id"] for one in found}):
            other = _show(systemctl, name)
            if other["ActiveState"] in _RUNS:
                found.append(other)
    return found


def _refuse_unstoppable(systemctl: Systemctl, told: Told, service: str) -> None:
    unit = told["Id"]
    if unit in _WAY_TO_DOCKER:
        raise Refused("a trial needs Docker, which this unit runs", service=service, unit=unit)
    if _is_own(told):
        raise Refused("this is the watcher's own unit", service=service, unit=unit)
    if told["Transient"] == "yes":
        raise Refused("the unit was made by systemd-run: stopping would delete it", service=service, unit=unit)
    if "masked" in (told["LoadState"], told["UnitFileState"]):
        raise Refused("the unit is masked: once stopped it could not be started", service=service, unit=unit)
    if "no" in (told["CanStop"], told["CanStart"]):
        raise Refused("the unit must not be stopped or started by hand", service=service, unit=unit)
    if told["UnitFileState"] not in _BY_ITSELF and not systemctl.enabled(RESTORE_UNIT):
        raise Refused(
            "the unit is not enabled, so that a reboot during a trial would leave it down:"
            f" run `{systemctl.command} enable {unit}`, or enable {RESTORE_UNIT}",
            service=service,
        )


def _is_own(told: Told, proc: Path = Path("/proc/self/cgroup")) -> bool:
    """Return whether this very process belongs to the unit."""
    group = told["ControlGroup"]
    try:
        own = [line.split(":", 2)[2] for line in proc.read_text(encoding="utf-8").splitlines()]
    except (OSError, IndexError) as error:
        raise HostError("it cannot be seen which unit this process belongs to", cause=str(error)) from None
    return group not in ("", "/") and any(f"{each}/".startswith(f"{group}/") for each in own)


def _active_seconds(told: Told) -> float:
    """Return for how long it is active; systemd's stamp is of the same clock, in microseconds."""
    return time.monotonic() - int(told["ActiveEnterTimestampMonotonic"] or 0) / 1e6
