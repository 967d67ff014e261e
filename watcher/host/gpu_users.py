"""Which containers of the engine may use the GPU now."""

from typing import Any

from watcher.host.engine import Engine, asking, name_of
from watcher.host.names import TRIAL

_SEES_NONE = ("", "void", "none")


def gpu_users(engine: Engine) -> tuple[str, ...]:
    """Return the names of running containers that were given the GPU, the trial's own aside."""
    usual = str(engine.info().get("DefaultRuntime") or "")
    with asking("the running containers could not be listed"):
        rows = [str(row["Id"]) for row in engine.api.containers()]
    running = [told for row in rows if (told := engine.container(row)) is not None]
    return tuple(sorted(name_of(told) for told in running if _may_use_gpu(told, usual) and name_of(told) != TRIAL))


def _may_use_gpu(told: dict[str, Any], usual: str) -> bool:
    """Return whether a container asked for the GPU; where every container gets NVIDIA's runtime, that says nothing."""
    config = told["HostConfig"]
    asked = any("gpu" in names for each in config.get("DeviceRequests") or () for names in each["Capabilities"] or ())
    runtime = str(config.get("Runtime") or usual)
    if asked or "nvidia" not in runtime:
        return asked
    visible = dict(line.partition("=")[::2] for line in told["Config"].get("Env") or ()).get("NVIDIA_VISIBLE_DEVICES")
    return visible not in _SEES_NONE and (runtime != usual or visible is not None)
