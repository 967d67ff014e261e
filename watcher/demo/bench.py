"""Where the demo tries: a simulated device, or the container engine of this machine."""

from collections.abc import Callable
from dataclasses import dataclass

from watcher.demo.registry import Layer
from watcher.demo.simulated import SimulatedHost
from watcher.ports import Host


@dataclass(frozen=True, slots=True)
class Bench:
    """What the story needs of it.

    Attributes:
        host: None takes the one that the configuration names.
        service: name of the container that has to make room.
        layers: what lies below the engine in each image; none where nothing is really run.
        forget_images: removes what the trials pulled.
    """

    host: Host | None
    device_name: str
    docker_url: str
    runtime: str
    service: str
    architectures: tuple[str, ...]
    layers: tuple[Layer, ...] = ()
    forget_images: Callable[[], None] = lambda: None


def open_bench() -> Bench:
    """Return the simulated device."""
    host = SimulatedHost()
    return Bench(
        host=host,
        device_name="orin-nx",
        docker_url=host.docker_url,
        runtime="nvidia",
        service="assistant",
        architectures=("arm64", "amd64"),
    )
