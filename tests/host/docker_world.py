"""A DockerHost on the private engine, with images and a service to work with."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.host.contract import wait_for
from tests.real.docker import PrivateDaemon
from tests.real.stub_engine import StubMode, service_image, stub_image
from watcher.config.settings import DeviceSection
from watcher.host.docker_host import DockerHost
from watcher.model.container import ContainerSpec

if TYPE_CHECKING:
    from docker import DockerClient

SERVE = ("serve", "/models/m", "--served-model-name", "tiny", "--host", "0.0.0.0", "--port", "8000")


def device_section(url: str, root: Path = Path("/"), **more: Any) -> DeviceSection:
    return DeviceSection(name="bench", docker=url, root=root, **more)


@dataclass
class DockerWorld:
    """The engine, a client to do things behind the watcher's back, and the host under test."""

    engine: PrivateDaemon
    host: DockerHost = field(init=False)
    client: "DockerClient" = field(init=False)

    def __post_init__(self) -> None:
        self.host = DockerHost(self.engine.url, device_section(self.engine.url))
        self.client = self.engine.client()

    def restart_engine(self) -> None:
        """Begin again with new connections after the daemon was killed."""
        self.host.close()
        self.engine.start()
        self.__post_init__()

    def spec(self, mode: StubMode = "healthy", **more: Any) -> ContainerSpec:
        image = stub_image(self.client, f"stub/{mode}:1", mode, STUB_DELAY="0.1")
        return ContainerSpec(**{"image": image, "entrypoint": ("vllm",), "args": SERVE, "runtime": "runc", **more})

    def script(self, code: str, **more: Any) -> ContainerSpec:
        """Return a container that runs a piece of Python."""
        return self.spec(entrypoint=("python3", "-c", code), args=(), **more)

    def output(self, spec: ContainerSpec) -> str:
        container = self.host.start(spec)
        return b"".join(self.host.follow(container)).decode()

    def service(
        self, name: str = "assistant", health: bool = True, env: dict[str, str] | None = None, **run: Any
    ) -> str:
        """Run a service, wait until it is healthy where it can be, and return its id."""
        service_image(self.client, f"{name}:1", health, **(env or {}))
        self.client.containers.run(f"{name}:1", detach=True, name=name, **run)
        wait_for(lambda: b"service up" in self.client.containers.get(name).logs())  # from then on it takes signals
        if health:
            self.wait_healthy(name)
        return str(self.inspect(name)["Id"])

    def wait_healthy(self, name: str) -> None:
        wait_for(lambda: self.inspect(name)["State"]["Health"]["Status"] == "healthy")

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(self.client.api.inspect_container(name))

    def policy(self, name: str) -> str:
        return str(self.inspect(name)["HostConfig"]["RestartPolicy"]["Name"] or "no")

    def runs(self, name: str) -> bool:
        return bool(self.inspect(name)["State"]["Running"])

    def tags(self) -> set[str]:
        return {tag for image in self.client.images.list() for tag in image.tags}

    def settle(self) -> None:
        """Let a container be older than the moment in which it might still end at once."""
        time.sleep(1.2)
