"""Containers of a trial, images, and services that were stopped for one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Mount:
    """`source` on the device, `target` in the container."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class LaidFiles:
    """Files that lie in a container before it starts, in a volume of their own at `target`.

    `tar` yields them as an archive, anew at each call; it raises CannotStart for files that cannot be laid.
    """

    target: str
    tar: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a trial container is, before the isolation that every one gets.

    Attributes:
        image: id or `repository@sha256:…`; never a tag.
        entrypoint: the server itself, so that signals and exit codes are its own.
        writable: container paths that get a tmpfs; the root file system is read-only.
        network: `none` is an own internal network, over which it can be asked; `bridge` an ordinary one; `off` none at
            all, for what is only listened to.
        allow: loosened rules, by name, as the profile declares them (shown in the report).
        shm_bytes, memory_bytes: None leaves Docker's default.
    """

    image: str
    entrypoint: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    writable: tuple[str, ...] = ()
    runtime: str = "nvidia"
    network: str = "none"
    ipc: str | None = None
    shm_bytes: int | None = None
    memory_bytes: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    laid: LaidFiles | None = None


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image in the engine. `id` is the config digest; `pulled` says that this trial brought it."""

    id: str
    reference: str
    digest: str | None
    architecture: str
    bytes: int
    env: tuple[str, ...] = ()
    pulled: bool = False


@dataclass(frozen=True, slots=True)
class ContainerState:
    """How a container stands. `exists` is False when somebody removed it."""

    exists: bool
    running: bool = False
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class ContainerLook:
    """A container that runs, at one moment.

    Attributes:
        started: changes with each start of the container, by whoever's hand.
        memory: bytes that it holds, without the file cache that it could give back; None where that cannot be seen.
        programs: command by process id, of the main process and its descendants; empty where that cannot be seen.
    """

    started: str
    memory: int | None = None
    programs: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwedService:
    """A service that was, or is about to be, stopped: all that is needed to bring it back.

    Attributes:
        service: as configured (`container:zoe-ollama`).
        kind: `container`, `systemd`, `systemd-user` or `command`; what is said below is of containers, unless noted.
        id: container id at the time; the container may be replaced meanwhile.
        restart_policy: the service's own, `{"Name": …, "MaximumRetryCount": …}`; given back after restore.
        was_healthy: None when it has no health check.
        shares_network_of: name of the container whose network namespace it lives in.
        kept_tag: extra tag that keeps its image from being pruned meanwhile.
        inspect: Docker's full answer, to create it again when it is gone.
        user_id: of a `systemd-user` unit: the account whose service manager runs it.
        commands: of a `command`: the operator's own words for `stop`, `start` and `check`.
    """

    service: str
    kind: str
    name: str
    id: str = ""
    image_id: str = ""
    image: str = ""
    restart_policy: Mapping[str, Any] = field(default_factory=dict)
    was_healthy: bool | None = None
    compose_project: str | None = None
    compose_service: str | None = None
    shares_network_of: str | None = None
    kept_tag: str | None = None
    inspect: Mapping[str, Any] = field(default_factory=dict)
    user_id: int | None = None
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is wrong with a service: `kind` (circles, unhealthy, stopped, gone), the likely cause, what to do."""

    service: str
    kind: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class KeptEngine:
    """An engine that works, left running because a person asked for it; `address` is its URL on the device."""

    container: str
    title: str
    address: str


@dataclass(frozen=True, slots=True)
class Debt:
    """The owed file of one trial: services in the order in which they are started again.

    `kept` runs in their place until `watcher restore`, or until it ends.
    """

    trial_id: int
    docker: str
    stopped_at: datetime
    services: tuple[OwedService, ...]
    kept: KeptEngine | None = None
