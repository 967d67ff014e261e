"""What is found on a device before there is a configuration: services, models, images. For `config init`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from watcher.model.device import DeviceFacts


@dataclass(frozen=True, slots=True)
class ServiceMount:
    """A folder, a file or a named volume that a service sees; a bind's `source` is absolute."""

    kind: Literal["bind", "volume"]
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service as its compose file, its container or its unit describes it.

    Attributes:
        service: how it is displaced, as in `container:assistant`.
        origin: where this was read, for people.
        entrypoint: None where the image's own is used.
        env: without what its image sets itself.
        withheld: names of variables that hold a secret; their values are not here.
        is_local: its image was built here, and no registry has it.
        uses_gpu: it was given the GPU; ports are those that it listens on.
        refusal: why it must not be stopped; None where it may.
        compose: its project and its service in Compose's words.
        remarks: what was seen and is not taken over, for people.
    """

    service: str
    origin: str
    image: str | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    mounts: tuple[ServiceMount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    shm_bytes: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)
    ipc: str | None = None
    ports: tuple[int, ...] = ()
    is_local: bool = False
    uses_gpu: bool = False
    runs: bool = True
    refusal: str | None = None
    compose: tuple[str, str] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on the device.

    Attributes:
        name: path below `folder`, or its name on Hugging Face where `folder` is a cache of theirs.
        bytes: of the weights that were seen; None where they were not looked at.
    """

    kind: Literal["safetensors", "gguf", "huggingface"]
    folder: str
    name: str
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that was found; what could not be found out is None, or empty with a sentence in `troubles`.

    Attributes:
        docker: address of the engine that answered.
        services: containers that run, and units of systemd whose program is a known engine's.
        images: names of the images in the Docker engine.
        time_zone: the device's own, such as `Europe/Berlin`.
    """

    device: DeviceFacts
    docker: str | None = None
    services: tuple[RunningService, ...] = ()
    models: tuple[FoundModel, ...] = ()
    images: tuple[str, ...] = ()
    time_zone: str | None = None
    troubles: tuple[str, ...] = ()
