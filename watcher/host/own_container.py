"""Whether the watcher itself runs in a container of this engine, and which."""

import re
from pathlib import Path
from typing import Any

from watcher.host.engine import Engine

_ID = re.compile(r"(?:/containers/|/docker/|docker-|cri-containerd-)([0-9a-f]{64})")


def own_container(engine: Engine, proc: Path = Path("/proc/self")) -> dict[str, Any] | None:
    """Return what the engine knows of the container that this process runs in; None on the host."""
    for container_id in _ids(proc):
        if (told := engine.container(container_id)) is not None:
            return told
    return None


def network_holder(engine: Engine, container: dict[str, Any]) -> dict[str, Any]:
    """Return the container whose network `container` really uses: itself, unless it shares another one's."""
    mode = str(container["HostConfig"].get("NetworkMode", ""))
    if not mode.startswith("container:"):
        return container
    return engine.container(mode.removeprefix("container:")) or container


def _ids(proc: Path) -> list[str]:
    found: list[str] = []
    for name in ("mountinfo", "cgroup"):
        try:
            found += _ID.findall((proc / name).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return list(dict.fromkeys(found))
