"""What every trial container is held to, as the JSON that Docker takes. Pure."""

from pathlib import PurePosixPath
from typing import Any

from watcher.errors import Refused
from watcher.host.names import OWNER_LABEL, TRIAL, TRIAL_LABEL
from watcher.model.container import ContainerSpec, LaidFiles, Mount

PROCESSES = 4096
LOG_FILES = {"max-size": "64m", "max-file": "2"}
"""The trial follows the log as it is written; Docker's own copy is bounded, and the driver is one that can be read."""
_OOM_SCORE = 500
"""When the whole device runs out of memory the kernel takes the candidate first, not a service of the user."""
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_IPC = ("private", "shareable", "none")


def container_config(spec: ContainerSpec, docker_url: str, owner: str = "") -> dict[str, Any]:
    """Return the body of Docker's create request. Raises Refused for what no profile may have, or must name first."""
    return {
        "Image": spec.image,
        "Entrypoint": list(spec.entrypoint),
        "Cmd": list(spec.args),
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": {TRIAL_LABEL: "", OWNER_LABEL: owner, **spec.labels},
        "Healthcheck": {"Test": ["NONE"]},  # the trial asks for itself
        "HostConfig": _host_config(spec, docker_url),
    }


def without_ulimits(config: dict[str, Any]) -> dict[str, Any]:
    """Return the same body for an engine that may not raise limits."""
    return {**config, "HostConfig": {**config["HostConfig"], "Ulimits": []}}


def wants_outside(spec: ContainerSpec) -> bool:
    """Return whether the container may reach beyond its own internal network."""
    return spec.network == "bridge" or "network" in spec.allow


def _host_config(spec: ContainerSpec, docker_url: str) -> dict[str, Any]:
    free = "capabilities" in spec.allow
    config: dict[str, Any] = {
        "NetworkMode": "none" if spec.network == "off" else TRIAL,
        # an internal network's resolver may still pass questions on to the outside; its own loopback answers none
        "Dns": [] if wants_outside(spec) else ["127.0.0.1"],
        "DnsOptions": [] if wants_outside(spec) else ["timeout:1", "attempts:1"],
        "Runtime": spec.runtime,
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "ReadonlyRootfs": "writable-root" not in spec.allow,
        "Tmpfs": _tmpfs(spec),
        "Mounts": [*(_mount(mount, docker_url) for mount in spec.mounts), *_volume(spec.laid)],
        "CapDrop": [] if free else ["ALL"],
        "CapAdd": [] if free else ["DAC_READ_SEARCH"],  # model folders that belong to another user
        "SecurityOpt": [] if "new-privileges" in spec.allow else ["no-new-privileges"],
        "PidsLimit": PROCESSES,
        "OomScoreAdj": _OOM_SCORE,
        "LogConfig": {"Type": "json-file", "Config": LOG_FILES},
        "IpcMode": _ipc(spec),
        "Ulimits": [{"Name": name, "Soft": value, "Hard": value} for name, value in spec.ulimits.items()],
    }
    if spec.shm_bytes is not None:
        config["ShmSize"] = spec.shm_bytes
    if spec.memory_bytes is not None:
        config |= {"Memory": spec.memory_bytes, "MemorySwap": spec.memory_bytes}
    return config


def _tmpfs(spec: ContainerSpec) -> dict[str, str]:
    """Return a tmpfs per writable path; none where the root may be written or a mount lies at that very path."""
    if "writable-root" in spec.allow:
        return {}
    mounted = {mount.target.rstrip("/") for mount in spec.mounts}
    paths = (path for path in spec.writable if path.rstrip("/") not in mounted)
    return dict.fromkeys(paths, "rw,exec,nosuid,nodev,mode=1777")


def _mount(mount: Mount, docker_url: str) -> dict[str, Any]:
    source = PurePosixPath(mount.source)
    if not source.is_absolute() or ".." in source.parts:
        raise Refused("a mount needs an absolute path on the device", path=mount.source)
    sockets = (*_SOCKETS, docker_url.removeprefix("unix://")) if docker_url.startswith("unix://") else _SOCKETS
    if any(PurePosixPath(socket).is_relative_to(source) for socket in sockets):
        raise Refused("a mount would hand the Docker socket to the candidate", path=mount.source)
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _volume(laid: LaidFiles | None) -> list[dict[str, Any]]:
    """Return the nameless volume of laid files: on disk, not in memory, writable only beside a read-only root."""
    options = {"NoCopy": True, "Labels": {TRIAL_LABEL: ""}}
    return [{"Type": "volume", "Target": laid.target, "VolumeOptions": options}] if laid else []


def _ipc(spec: ContainerSpec) -> str:
    asked = spec.ipc or "private"
    if asked in _IPC or (asked == "host" and "host-ipc" in spec.allow):
        return asked
    if asked == "host":
        raise Refused('ipc = "host" must be allowed by name in the profile: allow = ["host-ipc"]')
    raise Refused("this ipc mode cannot be used for a trial", ipc=asked)
