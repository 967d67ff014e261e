"""The device itself: an upgrade of its L4T or driver is news as much as a new build is."""

import json
from collections.abc import Callable, Iterator

from watcher.config.sources import DeviceConfig
from watcher.errors import SourceUnavailable
from watcher.model.device import DeviceFacts
from watcher.model.facts import Fact, FactKind, Poll, Traffic

PAGE = "https://developer.nvidia.com/embedded/jetson-linux-archive"


class DeviceSource:
    """What the device's own files say, read like any other upstream."""

    def __init__(self, config: DeviceConfig, read_device: Callable[[], DeviceFacts]) -> None:
        self._name, self._kind = config.name, config.kind
        self._read_device = read_device

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def traffic(self) -> Traffic:
        return Traffic()

    def poll(self, cursor: str | None) -> Poll:
        """Look once. Raises SourceUnavailable where nothing is seen of a device that was seen before."""
        facts = tuple(device_facts(self._read_device()))
        if not facts and _was_seen(cursor):
            raise SourceUnavailable("the device's files cannot be seen any more; is device.root mounted?")
        return Poll(facts, json.dumps({"seen": bool(facts)}), listed=len(facts))


def device_facts(device: DeviceFacts) -> Iterator[Fact]:
    """Yield what can change under an upgrade, as far as it is known; nothing off a Jetson."""
    if device.state.l4t:
        label = {"_jetpack": device.jetpack} if device.jetpack else {}
        yield Fact(FactKind.DEVICE, "l4t", device.state.l4t, url=PAGE, detail=label)
    if device.state.driver:
        yield Fact(FactKind.DEVICE, "driver", device.state.driver, url=PAGE)


def _was_seen(cursor: str | None) -> bool:
    try:
        stored = json.loads(cursor or "{}")
    except ValueError:
        return False
    return isinstance(stored, dict) and stored.get("seen") is True
