"""The device with its Docker engine: the Host port, put together from its parts."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from watcher.config.settings import DeviceSection
from watcher.host.ailments import ailment_of
from watcher.host.clock import SystemClock
from watcher.host.command_services import Words
from watcher.host.container_look import look_at
from watcher.host.device import read_device
from watcher.host.engine import Engine
from watcher.host.gpu_users import gpu_users
from watcher.host.image_files import ImageFiles
from watcher.host.images import Images
from watcher.host.own_container import own_container
from watcher.host.services import Services
from watcher.host.trial_container import TrialContainer
from watcher.model.container import Ailment, ContainerLook, ContainerSpec, ContainerState, LocalImage, OwedService
from watcher.model.device import DeviceFacts
from watcher.model.trial import ServiceReport
from watcher.ports import NotePull, Reader, ReportProgress

_IN_PLAIN_FILES = ("overlay2", "fuse-overlayfs", "btrfs", "vfs")
"""Docker's storage drivers that keep containers and images on the file system of its root folder."""


class DockerHost:
    """See ports.Host. Connects on first use, so that it can be made where no engine answers.

    Args:
        owner: names this watcher on the engine, such as its data folder; a running trial of another is left alone.
        commands: the operator's own, by the name of the service that they stop, start and check.
    """

    def __init__(
        self, docker_url: str, device: DeviceSection, owner: str = "", commands: Mapping[str, Words] | None = None
    ) -> None:
        self._device = device
        self._engine = Engine(docker_url)
        self._images = Images(self._engine, self.free_disk, SystemClock())
        self._trial = TrialContainer(self._engine, owner)
        self._services = Services(self._engine, commands)

    @property
    def docker_url(self) -> str:
        return self._engine.url

    def close(self) -> None:
        self._engine.close()

    def facts(self) -> DeviceFacts:
        return read_device(self._device, sorted(self._engine.info().get("Runtimes") or ()))

    def gpu_users(self) -> tuple[str, ...]:
        return gpu_users(self._engine)

    def free_disk(self) -> int | None:
        """Return free bytes where Docker keeps images, if that place can be seen from here."""
        told = self._engine.info()
        if own_container(self._engine) is None:
            folder = self._device.root / str(told.get("DockerRootDir") or "").lstrip("/")
        elif told.get("Driver") in _IN_PLAIN_FILES:
            folder = Path("/")  # this very container's root lies where the images do
        else:
            return None
        try:
            return shutil.disk_usage(folder).free if told.get("DockerRootDir") else None
        except OSError:
            return None

    # --- images -----------------------------------------------------------------------------------------------------

    def find_image(self, reference: str) -> LocalImage | None:
        return self._images.find(reference)

    def pull(
        self, image: str, digest: str | None, report: ReportProgress, deadline: float, begins: NotePull
    ) -> LocalImage:
        return self._images.pull(image, digest, report, deadline, begins)

    def remove_image(self, reference: str) -> None:
        self._images.remove(reference)

    def open_image(self, image: LocalImage) -> Reader:
        return ImageFiles(self._engine, image.id, image.reference)

    # --- the trial container ----------------------------------------------------------------------------------------

    def start(self, spec: ContainerSpec) -> str:
        return self._trial.start(spec)

    def follow(self, container: str) -> Iterator[bytes]:
        return self._trial.follow(container)

    def state(self, container: str) -> ContainerState:
        return self._trial.state(container)

    def look(self, container: str) -> ContainerLook | None:
        return look_at(self._engine, container)

    def kill(self, container: str) -> None:
        self._trial.kill(container)

    def address(self, container: str, port: int) -> str:
        return self._trial.address(container, port)

    def signal(self, container: str, grace_seconds: float) -> ContainerState:
        return self._trial.signal(container, grace_seconds)

    def remove_trial(self) -> None:
        self._trial.remove()

    # --- displaced services -----------------------------------------------------------------------------------------

    def examine(self, service: str) -> tuple[OwedService, ...]:
        return self._services.examine(service)

    def ailment(self, service: str) -> Ailment | None:
        return ailment_of(self._engine, service)

    def stop_service(self, owed: OwedService) -> None:
        self._services.stop(owed)

    def is_back(self, owed: OwedService) -> bool:
        return self._services.is_back(owed)

    def start_service(self, owed: OwedService) -> ServiceReport:
        return self._services.start(owed)

    def settle_service(self, owed: OwedService) -> ServiceReport:
        return self._services.settle(owed)
