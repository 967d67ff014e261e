"""What stopping a container would owe, and what must not be stopped at all."""

from typing import Any
from urllib.parse import urlsplit

from watcher.errors import Refused
from watcher.host.engine import Engine, asking, name_of
from watcher.host.names import TRIAL, kept_tag
from watcher.host.networks import RECORDED, recorded_networks
from watcher.host.own_container import network_holder, own_container
from watcher.model.container import OwedService

_COMPOSE = "com.docker.compose."
_SWARM = "com.docker.swarm.service.id"


def examine(engine: Engine, service: str) -> tuple[OwedService, ...]:
    """Return the service and those in its network, in the order of starting again; empty when it does not run."""
    told = engine.container(service.partition(":")[2])
    if told is None or not _runs(told):
        return ()
    found = _with_dependents(engine, told)
    own = own_container(engine)
    for each in found:
        _refuse_unstoppable(engine, each, own)
    names = {each["Id"]: name_of(each) for each in found}
    return tuple(_owed({**each, RECORDED: recorded_networks(engine, each)}, names) for each in found)


def _runs(told: dict[str, Any]) -> bool:
    return bool(told["State"]["Running"] or told["State"].get("Restarting"))


def _with_dependents(engine: Engine, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return `told` and all that run in its network namespace, which dies with it."""
    found = [told]
    with asking("the running containers could not be listed"):
        rows = [str(row["Id"]) for row in engine.api.containers()]
    others = [other for row in rows if (other := engine.container(row)) is not None]
    for holder in found:
        known = {each["Id"] for each in found}
        found += [other for other in others if other["Id"] not in known and _shares_network(other, holder)]
    return found


def _shares_network(other: dict[str, Any], holder: dict[str, Any]) -> bool:
    mode = str(other["HostConfig"].get("NetworkMode", ""))
    return mode.startswith("container:") and mode.removeprefix("container:") in (holder["Id"], name_of(holder))


def _refuse_unstoppable(engine: Engine, told: dict[str, Any], own: dict[str, Any] | None) -> None:
    name = name_of(told)
    if name == TRIAL:
        raise Refused("this name belongs to the trial itself", service=name)
    if told["HostConfig"].get("AutoRemove"):
        raise Refused("the container was started with --rm: stopping would delete it", service=name)
    if told["State"].get("Paused"):
        raise Refused("the container is paused: resume it or stop it yourself", service=name)
    if _SWARM in _labels(told):
        raise Refused("the container belongs to a swarm, which would start it again", service=name)
    if own is not None and told["Id"] in (own["Id"], network_holder(engine, own)["Id"]):
        raise Refused("this is the watcher's own container, or the one whose network it uses", service=name)
    if _is_way_to_docker(told, engine.url):
        raise Refused("the watcher reaches Docker through this container", service=name)


def _is_way_to_docker(told: dict[str, Any], url: str) -> bool:
    """Return whether a socket proxy at `url` is this container: by name, alias, address or published port."""
    place = urlsplit(url)
    if place.scheme == "unix" or place.hostname is None:
        return False
    networks = (told["NetworkSettings"].get("Networks") or {}).values()
    names = {name_of(told).lower(), *(str(network.get("IPAddress")) for network in networks)}
    names |= {alias.lower() for network in networks for alias in network.get("Aliases") or ()}
    if place.hostname in names:
        return True
    bindings = (told["NetworkSettings"].get("Ports") or {}).values()
    published = {binding["HostPort"] for bound in bindings for binding in bound or ()}
    return place.hostname in ("localhost", "127.0.0.1", "::1") and str(place.port) in published


def _owed(told: dict[str, Any], names: dict[str, str]) -> OwedService:
    name, labels = name_of(told), _labels(told)
    holder = str(told["HostConfig"].get("NetworkMode", "")).removeprefix("container:")
    return OwedService(
        service=f"container:{name}",
        kind="container",
        name=name,
        id=str(told["Id"]),
        image_id=str(told["Image"]),
        image=str(told["Config"]["Image"]),
        restart_policy=dict(told["HostConfig"].get("RestartPolicy") or {"Name": "no"}),
        was_healthy=was_healthy(told),
        compose_project=labels.get(f"{_COMPOSE}project"),
        compose_service=labels.get(f"{_COMPOSE}service"),
        shares_network_of=names.get(holder) or (holder if holder in names.values() else None),
        kept_tag=kept_tag(name),
        inspect=told,
    )


def was_healthy(told: dict[str, Any]) -> bool | None:
    """Return what the health check says; None where there is none. One that still warms up was not healthy yet."""
    health = told["State"].get("Health")
    return None if not health or health["Status"] == "none" else health["Status"] == "healthy"


def _labels(told: dict[str, Any]) -> dict[str, str]:
    return told["Config"].get("Labels") or {}
