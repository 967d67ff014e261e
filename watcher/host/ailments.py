"""What ails a service that trials may displace: it goes round in circles, is unhealthy, does not run, or is gone."""

import os
from datetime import UTC, datetime
from typing import Any

from watcher.errors import HostError
from watcher.host.engine import Engine, moment_of, name_of
from watcher.host.systemctl import Systemctl, why_no_systemd
from watcher.model.container import Ailment

_CIRCLES = 3
"""Restarts before a container that happens to run at this moment counts as one that keeps ending."""
_STEADY_SECONDS = 120
"""Docker waits for a minute at the most before it starts one again."""
_SHELLS = ("sh", "bash", "dash", "ash")
_KILLED = 137
_SHOWN = 200


def ailment_of(engine: Engine, service: str) -> Ailment | None:
    """Return what is wrong with a service, None where it is well, or only its own commands could tell.

    Raises HostError where nobody can be asked.
    """
    kind, _, name = service.partition(":")
    if kind == "container":
        return _of_container(service, name, engine.container(name))
    if kind in ("systemd", "systemd-user"):
        return _of_unit(service, kind, name)
    return None


def _of_container(service: str, name: str, told: dict[str, Any] | None) -> Ailment | None:
    if told is None:
        return Ailment(service, "gone", "there is no such container", "start it, or correct trial.displace")
    state = told["State"]
    if state.get("Restarting") or (state["Running"] and _keeps_ending(told)):
        return _in_circles(service, told)
    if not state["Running"]:
        why = "killed for memory" if state.get("OOMKilled") else f"exit code {state['ExitCode']}"
        return Ailment(service, "stopped", f"it does not run ({why})", f"docker start {name}, or docker logs {name}")
    health = state.get("Health") or {}
    if health.get("Status") != "unhealthy":
        return None
    last: dict[str, Any] = next(iter(reversed(health.get("Log") or ())), {})
    said = " ".join(str(last.get("Output") or "").split())[:_SHOWN]
    what = f"its health check fails: {said}" if said else "its health check fails"
    return Ailment(service, "unhealthy", what, f"docker logs {name}; docker restart {name}")


def _keeps_ending(told: dict[str, Any]) -> bool:
    """Return whether Docker restarted it again and again, and it was not well in between.

    The count runs from the day it was made; a health check that passes says that the circle is broken.
    """
    health = (told["State"].get("Health") or {}).get("Status")
    return int(told.get("RestartCount") or 0) >= _CIRCLES and health in (None, "starting") and not _is_steady(told)


def _is_steady(told: dict[str, Any]) -> bool:
    return (datetime.now(UTC) - moment_of(told["State"]["StartedAt"])).total_seconds() > _STEADY_SECONDS


def _in_circles(service: str, told: dict[str, Any]) -> Ailment:
    state, name = told["State"], name_of(told)
    code, count = int(state.get("ExitCode") or 0), int(told.get("RestartCount") or 0)
    what = f"it ends and is started again, {count} times so far (exit code {code})"
    if state.get("OOMKilled") or code == _KILLED:
        return Ailment(service, "circles", f"{what}: something kills it, most likely for memory", f"docker logs {name}")
    if code == 0 and _ends_with_a_shell(told):
        cause = "its main process is a shell, which ends at once where it has no terminal"
        remedy = "start the server itself as the command, such as `ollama serve`, or give it a terminal (`tty: true`)"
        return Ailment(service, "circles", f"{what}: {cause}", remedy)
    if code == 0:
        cause = "its main process ends by itself, as one does that leaves a server in the background"
        return Ailment(service, "circles", f"{what}: {cause}", "start the server itself as the command")
    return Ailment(service, "circles", what, f"docker logs --tail 50 {name}")


def _ends_with_a_shell(told: dict[str, Any]) -> bool:
    config = told["Config"]
    words = " ".join(map(str, (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())))).split()
    return not config.get("Tty") and bool(words) and words[-1].rpartition("/")[2] in _SHELLS


def _of_unit(service: str, kind: str, unit: str) -> Ailment | None:
    if reason := why_no_systemd():
        raise HostError(reason, service=service)
    systemctl = Systemctl(os.geteuid() if kind == "systemd-user" else None)
    told = systemctl.show(unit, "LoadState", "ActiveState", "SubState", "Result", "NRestarts")
    look = f"{systemctl.command} status {unit}"
    if told["LoadState"] != "loaded":
        return Ailment(service, "gone", f"there is no such unit ({told['LoadState']})", "correct trial.displace")
    if told["SubState"] == "auto-restart":
        what = f"it ends and is started again, {told['NRestarts']} times so far ({told['Result']})"
        return Ailment(service, "circles", what, look)
    if told["ActiveState"] in ("inactive", "failed"):
        return Ailment(service, "stopped", f"it does not run ({told['ActiveState']}, {told['Result']})", look)
    return None
