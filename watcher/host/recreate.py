"""A service that is gone, made again from what Docker said of it before it was stopped. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any

from watcher.host.names import CREATED_AGAIN_LABEL
from watcher.model.container import OwedService

_OF_THE_NETWORK = ("Hostname", "Domainname", "ExposedPorts", "MacAddress")
_ENDPOINT_KEYS = ("IPAMConfig", "Links", "Aliases", "DriverOpts")


def create_body(owed: OwedService, image: str, volumes: frozenset[str], network_of: str | None) -> dict[str, Any]:
    """Return the body of Docker's create request.

    Args:
        image: reference under which the recorded image can be had now.
        volumes: names of the volumes that still exist; unnamed ones with the service's data are bound again.
        network_of: id of the container whose network it shares, as it stands now.
    """
    config = {name: value for name, value in owed.inspect["Config"].items() if value is not None}
    if config.get("Hostname") == owed.id[:12]:
        del config["Hostname"]  # Docker's default, which follows the id
    if network_of is not None:  # all this is the other container's, and Docker refuses it here
        config = {name: value for name, value in config.items() if name not in _OF_THE_NETWORK}
    host = dict(owed.inspect["HostConfig"])
    host["RestartPolicy"] = dict(owed.restart_policy)
    unnamed = _unnamed_volumes(owed, volumes)
    host["Binds"] = [*(bind for bind in host.get("Binds") or () if bind not in unnamed), *unnamed.values()]
    if network_of is not None:
        host["NetworkMode"] = f"container:{network_of}"
    body = {
        **config,
        "Image": image,
        "Labels": {**(config.get("Labels") or {}), CREATED_AGAIN_LABEL: owed.id},
        "HostConfig": host,
    }
    first = dict(list(endpoints(owed).items())[:1])
    return {**body, "NetworkingConfig": {"EndpointsConfig": first}} if first else body


def endpoints(owed: OwedService) -> dict[str, dict[str, Any]]:
    """Return the networks the service was in, its main one first; empty for host, none and another's network."""
    mode = str(owed.inspect["HostConfig"].get("NetworkMode", ""))
    if mode in ("host", "none") or mode.startswith("container:"):
        return {}
    networks: Mapping[str, Any] = owed.inspect.get("NetworkSettings", {}).get("Networks") or {}
    ordered = sorted(networks.items(), key=lambda item: item[0] != mode)
    return {name: _endpoint(owed, told) for name, told in ordered}


def command_to_run(owed: OwedService) -> str:
    """Return the command with which a person brings the service back."""
    labels = (owed.inspect.get("Config") or {}).get("Labels") or {}
    if owed.compose_project and owed.compose_service:
        folder = labels.get("com.docker.compose.project.working_dir")
        place = f"cd {shlex.quote(folder)} && " if folder else ""
        return f"{place}docker compose -p {shlex.quote(owed.compose_project)} up -d {shlex.quote(owed.compose_service)}"
    return f"docker run -d --name {shlex.quote(owed.name)} … {shlex.quote(owed.image)}"


def _endpoint(owed: OwedService, told: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: told[key] for key in _ENDPOINT_KEYS if told.get(key)}
    if aliases := [alias for alias in kept.pop("Aliases", ()) if not owed.id.startswith(alias)]:
        kept["Aliases"] = aliases
    return kept


def _unnamed_volumes(owed: OwedService, volumes: frozenset[str]) -> dict[str, str]:
    """Return a bind per place that has a volume without a name of its own: its name stands only in `Mounts`."""
    host = owed.inspect["HostConfig"]
    named = {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    named |= {str(mount.get("Target")) for mount in host.get("Mounts") or ()}
    found = {}
    for mount in owed.inspect.get("Mounts") or ():
        place, name = mount["Destination"], mount.get("Name")
        if mount.get("Type") == "volume" and place not in named and name in volumes:
            found[place] = f"{name}:{place}:{'rw' if mount.get('RW', True) else 'ro'}"
    return found
