"""A simulated device: an Orin NX with a container engine in this process. It pulls for real, and runs a stand-in.

What an image is comes from the registry in the real protocol; how it behaves stands in its own environment, as with
the demo's images in a real engine. Nothing here touches this machine beyond loopback.
"""

import io
import queue
import re
import tarfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Literal

from watcher.demo import stub_engine
from watcher.demo.puller import FetchedImage, pull_image
from watcher.demo.torch_build import ASSERTED, LIBRARY
from watcher.errors import CannotStart, HostError, Refused
from watcher.host.device import jetpack_of
from watcher.model.container import (
    Ailment,
    ContainerLook,
    ContainerSpec,
    ContainerState,
    LaidFiles,
    LocalImage,
    OwedService,
)
from watcher.model.device import DeviceFacts, DeviceState, ThermalZone, TripPoint
from watcher.model.trial import ServiceReport, ServiceState
from watcher.ports import NotePull, Reader, ReportProgress, is_wanted

GB = 10**9
TRIAL = "watcher-trial"
_LINE_PAUSE = 0.03
_ENGINE_MEMORY = 4 * GB


@dataclass(slots=True)
class SimulatedService:
    """A container that serves on the device and takes memory; it is healthy `warm_up` seconds after its start."""

    name: str
    memory: int = 6 * GB
    warm_up: float = 0.4
    running: bool = True
    policy: str = "unless-stopped"
    started: float = field(default_factory=lambda: time.monotonic() - 3600)

    def start(self) -> None:
        if not self.running:
            self.running, self.started = True, time.monotonic()

    @property
    def healthy(self) -> bool:
        return self.running and time.monotonic() - self.started >= self.warm_up


@dataclass(slots=True)
class SimulatedContainer:
    """One run of an image. Its log ends with None."""

    id: str
    log: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    stopping: Event = field(default_factory=Event)
    over: Event = field(default_factory=Event)
    server: stub_engine.EngineServer = field(default_factory=lambda: stub_engine.EngineServer("127.0.0.1", 0))
    exit_code: int | None = None
    killed: bool = False

    def write(self, line: str) -> None:
        self.log.put(f"{line}\n".encode())

    def end(self, exit_code: int) -> None:
        self.exit_code = exit_code
        self.server.server_close()
        self.over.set()
        self.log.put(None)


@dataclass(slots=True)
class SimulatedHost:
    """Implements `ports.Host`."""

    services: dict[str, SimulatedService] = field(default_factory=lambda: {"assistant": SimulatedService("assistant")})
    images: dict[str, FetchedImage] = field(default_factory=dict)
    trial: SimulatedContainer | None = None
    docker_url: str = "unix:///simulated/docker.sock"
    device_state: DeviceState = field(default_factory=lambda: DeviceState("36.4.4", "540.4.0", str(uuid.uuid4())))

    # --- the device -----------------------------------------------------------------------------------------------

    def facts(self) -> DeviceFacts:
        total = 16 * GB
        used = 2 * GB + sum(service.memory for service in self.services.values() if service.running)
        return DeviceFacts(
            name="orin-nx",
            state=self.device_state,
            model="NVIDIA Jetson Orin NX (simulated)",
            jetpack=jetpack_of(self.device_state.l4t),
            architecture="arm64",
            memory_total=total,
            memory_available=total - used - (_ENGINE_MEMORY if self._trial_runs() else 0),
            swap_total=8 * GB,
            swap_free=8 * GB,
            nvmap_used=sum(service.memory for service in self.services.values() if service.running),
            thermal_zones=(ThermalZone("cpu-thermal", 48.5, (TripPoint("passive", 99.0),)),),
            power_mode="MAXN",
            runtimes=("nvidia", "runc"),
        )

    def gpu_users(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, service in self.services.items() if service.running))

    def free_disk(self) -> int | None:
        return 200 * GB

    def _trial_runs(self) -> bool:
        return self.trial is not None and not self.trial.over.is_set()

    def upgrade(self, l4t: str) -> None:
        """Run another L4T after a reboot; its driver is not known."""
        self.device_state = DeviceState(l4t, None, str(uuid.uuid4()))

    # --- images ---------------------------------------------------------------------------------------------------

    def find_image(self, reference: str) -> LocalImage | None:
        for fetched in self.images.values():
            image = fetched.image
            if reference in (image.id, image.reference, f"{image.reference.rpartition(':')[0]}@{image.digest}"):
                return replace(image, pulled=False)
        return None

    def pull(
        self, image: str, digest: str | None, report: ReportProgress, deadline: float, begins: NotePull
    ) -> LocalImage:
        found = self.find_image(f"{image.rpartition(':')[0]}@{digest}" if digest else image)
        if found is not None:
            return found
        begins(image, frozenset(self.images))
        report(f"pulling {image}")
        fetched = pull_image(image, digest, "arm64", deadline)
        self.images[fetched.image.id] = fetched
        return fetched.image

    def remove_image(self, reference: str) -> None:
        found = self.find_image(reference)
        if found is not None:
            del self.images[found.id]

    def open_image(self, image: LocalImage) -> Reader:
        return SimulatedReader(self._fetched(image.id))

    def _fetched(self, reference: str) -> FetchedImage:
        found = self.find_image(reference)
        if found is None:
            raise HostError("the image is not in the engine", image=reference)
        return self.images[found.id]

    # --- the trial container --------------------------------------------------------------------------------------

    def start(self, spec: ContainerSpec) -> str:
        self.remove_trial()
        fetched = self._fetched(spec.image)
        command = spec.entrypoint[0]
        program = {"vllm": self._serve, "python3": self._probe}.get(command)
        if program is None or (command == "vllm" and "usr/local/bin/vllm" not in fetched.files):
            raise CannotStart("the command does not exist in the image", command=command)
        if spec.laid is not None:
            fetched = replace(fetched, env={**fetched.env, **_laid_build(spec.laid)})
        container = SimulatedContainer(uuid.uuid4().hex)
        self.trial = container
        Thread(target=program, args=(container, fetched), name=TRIAL, daemon=True).start()
        return container.id

    def _serve(self, container: SimulatedContainer, fetched: FetchedImage) -> None:
        """Run the stub engine as its image says: to the fault, or to readiness and on until it is stopped."""
        has_bug = fetched.env.get("WATCHER_DEMO_BUG") == "yes"
        for line in stub_engine.log_lines(fetched.env.get("WATCHER_DEMO_VLLM", "?"), "/models/demo", has_bug):
            container.write(line)
            if container.stopping.wait(_LINE_PAUSE):
                container.end(137 if container.killed else 0)
                return
        if has_bug:
            container.end(1)
            return
        serving = Thread(target=container.server.open, daemon=True)
        serving.start()
        container.stopping.wait()
        container.server.shutdown()
        serving.join()
        container.write("(APIServer pid=1) INFO:     Application shutdown complete.")
        container.end(137 if container.killed else 0)

    def _probe(self, container: SimulatedContainer, fetched: FetchedImage) -> None:
        """Print what the bug's probe prints on such a device: NVML refuses the process query, so the trap is set."""
        container.write(stub_engine.probe_line(fetched.env))
        container.end(0)

    def follow(self, container: str) -> Iterator[bytes]:
        running = self._container(container)
        while (chunk := running.log.get()) is not None:
            yield chunk
        running.log.put(None)  # whoever follows later sees the end at once

    def state(self, container: str) -> ContainerState:
        if self.trial is None or self.trial.id != container:
            return ContainerState(exists=False)
        return ContainerState(exists=True, running=not self.trial.over.is_set(), exit_code=self.trial.exit_code)

    def look(self, container: str) -> ContainerLook | None:
        if not self.state(container).running:
            return None
        return ContainerLook(container, _ENGINE_MEMORY, {1: "vllm serve"})

    def kill(self, container: str) -> None:
        if self.trial is not None and self.trial.id == container:
            self.trial.killed = True
            self.trial.stopping.set()

    def address(self, container: str, port: int) -> str:  # noqa: ARG002
        """Return where the stub serves; `port` is a container's own, here each has another one on loopback."""
        return f"http://127.0.0.1:{self._container(container).server.server_port}"

    def signal(self, container: str, grace_seconds: float) -> ContainerState:
        running = self._container(container)
        running.stopping.set()
        if not running.over.wait(grace_seconds):
            self.remove_trial()
            return ContainerState(exists=False, exit_code=137)
        return self.state(container)

    def remove_trial(self) -> None:
        running, self.trial = self.trial, None
        if running is not None and not running.over.is_set():
            running.killed = True
            running.stopping.set()
            running.over.wait(5)

    def _container(self, container: str) -> SimulatedContainer:
        if self.trial is None or self.trial.id != container:
            raise HostError("there is no such container", container=container)
        return self.trial

    # --- services -------------------------------------------------------------------------------------------------

    def examine(self, service: str) -> tuple[OwedService, ...]:
        kind, _, name = service.partition(":")
        if kind != "container":
            raise Refused(f"the simulated device has only containers; {service} cannot be stopped")
        known = self.services.get(name)
        if known is None or not known.running:
            return ()
        return (
            OwedService(
                service=service,
                kind=kind,
                name=name,
                id=f"simulated-{name}",
                image_id="sha256:simulated",
                image=f"simulated/{name}:1",
                restart_policy={"Name": known.policy, "MaximumRetryCount": 0},
                was_healthy=known.healthy,
                kept_tag=f"watcher-kept/{name}:1",
            ),
        )

    def ailment(self, service: str) -> Ailment | None:
        name = service.partition(":")[2]
        if name not in self.services:
            return Ailment(service, "gone", "there is no such container", "start it, or correct trial.displace")
        if not self.services[name].running:
            return Ailment(service, "stopped", "it does not run", f"docker start {name}")
        return None

    def stop_service(self, owed: OwedService) -> None:
        service = self._service(owed)
        service.policy = "always"
        service.running = False

    def is_back(self, owed: OwedService) -> bool:
        return self._service(owed).running

    def start_service(self, owed: OwedService) -> ServiceReport:
        service = self._service(owed)
        service.start()
        return self._report(owed, service)

    def settle_service(self, owed: OwedService) -> ServiceReport:
        service = self._service(owed)
        report = self._report(owed, service)
        if report.state is ServiceState.HEALTHY or (report.state is ServiceState.RUNNING and not owed.was_healthy):
            service.policy = str(owed.restart_policy["Name"])
        return report

    def _report(self, owed: OwedService, service: SimulatedService) -> ServiceReport:
        state: Literal[ServiceState.HEALTHY, ServiceState.RUNNING, ServiceState.DOWN]
        state = ServiceState.DOWN
        if service.running:
            state = ServiceState.HEALTHY if service.healthy else ServiceState.RUNNING
        return ServiceReport(owed.service, state)

    def _service(self, owed: OwedService) -> SimulatedService:
        if owed.name not in self.services:
            raise HostError("there is no such service", service=owed.service)
        return self.services[owed.name]


def _laid_build(laid: LaidFiles) -> dict[str, str]:
    """Return what the files laid over an image make of its torch, in the words that the demo's images have for it."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(laid.tar()))) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
        content = {name: file.read() for name, file in files.items() if file is not None}
    version = re.search(rb"__version__ = '([^']+)'", content.get("torch/version.py", b""))
    has_bug = ASSERTED in content.get(LIBRARY, b"")
    return {
        "WATCHER_DEMO_BUG": "yes" if has_bug else "no",
        "WATCHER_DEMO_TORCH": version[1].decode() if version else "",
        "WATCHER_DEMO_LIBRARY": f"{laid.target}/{LIBRARY}",
    }


@dataclass(slots=True)
class SimulatedReader:
    """Reads files out of a pulled image, as `ports.Reader`."""

    fetched: FetchedImage
    bytes_read: int = 0
    kind: Literal["wheel", "image"] = "image"

    @property
    def target(self) -> str:
        return self.fetched.image.reference

    def members(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        for path, content in self.fetched.files.items():
            if is_wanted(path, suffixes):
                self.bytes_read += len(content)
                yield path, content
