"""The networks of a displaced service: recorded with it, made again when they are gone on its way back."""

from typing import Any

from watcher.host.engine import Engine, asking
from watcher.host.recreate import endpoints
from watcher.model.container import OwedService

RECORDED = "WatcherNetworks"
"""Key beside Docker's own in the recorded inspect; absent in notes of an older watcher."""
_DOCKERS_OWN = ("bridge", "host", "none")


def recorded_networks(engine: Engine, told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what it takes to make each network of a container again, by name; Docker's own are always there."""
    names = told.get("NetworkSettings", {}).get("Networks") or {}
    seen = {name: _network(engine, name) for name in names if name not in _DOCKERS_OWN}
    return {name: _create_arguments(network) for name, network in seen.items() if network is not None}


def make_missing_networks(engine: Engine, owed: OwedService) -> None:
    """Make the networks again that were removed since. Raises what the engine says."""
    for name, arguments in (owed.inspect.get(RECORDED) or {}).items():
        if _network(engine, name) is None:
            engine.api.create_network(name, **arguments)


def join_again(engine: Engine, owed: OwedService, told: dict[str, Any]) -> None:
    """Let a stopped container into its networks that were made anew: it remembers them by their old ids."""
    api, joined = engine.api, told["NetworkSettings"].get("Networks") or {}
    for name, endpoint in endpoints(owed).items():
        network, known = _network(engine, name), (joined.get(name) or {}).get("NetworkID")
        if network is None or not known or known == network["Id"]:
            continue
        address = endpoint.get("IPAMConfig") or {}
        api.disconnect_container_from_network(told["Id"], name, force=True)
        api.connect_container_to_network(
            told["Id"],
            name,
            ipv4_address=address.get("IPv4Address"),
            ipv6_address=address.get("IPv6Address"),
            aliases=endpoint.get("Aliases"),
        )


def _network(engine: Engine, name: str) -> dict[str, Any] | None:
    with asking("the networks could not be listed"):
        found = engine.api.networks(names=[name])  # also those that only begin so
    return next((network for network in found if network["Name"] == name), None)


def _create_arguments(network: dict[str, Any]) -> dict[str, Any]:
    return {
        "driver": network["Driver"],
        "options": network.get("Options"),
        "ipam": network.get("IPAM"),
        "internal": network.get("Internal", False),
        "attachable": network.get("Attachable", False),
        "enable_ipv6": network.get("EnableIPv6", False),
        "labels": network.get("Labels"),
    }
