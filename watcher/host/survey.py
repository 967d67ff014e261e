"""What is on this device: for `config init`, before there is a configuration. Nothing is started or changed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from watcher.config.adopt import engine_of
from watcher.config.compose import WITHHELD
from watcher.config.engines import EngineSettings
from watcher.config.place import NO_DOCKER
from watcher.config.secrets import is_secret, is_secret_name, without_secrets
from watcher.config.settings import DeviceSection
from watcher.errors import HostError, Refused
from watcher.host.device import read_device
from watcher.host.engine import Engine, asking, name_of
from watcher.host.examine import examine
from watcher.host.found_models import find_models
from watcher.host.found_units import running_units
from watcher.host.gpu_users import gpu_users
from watcher.host.names import TRIAL
from watcher.host.own_container import own_container
from watcher.host.time_zone import device_zone
from watcher.model.survey import RunningService, ServiceMount, Survey

_USUAL_SHM = 64 * 2**20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MOST_CONTAINERS = 200
_CONTAINER = Path("/.dockerenv")


def take_survey(
    device: DeviceSection, presets: Mapping[str, EngineSettings], home: Path, chosen: RunningService | None = None
) -> tuple[Survey, RunningService | None]:
    """Return what was found, and `chosen` (a service of a compose file) with what the engine knows of it."""
    engine = Engine(device.docker)
    troubles: list[str] = []
    services: tuple[RunningService, ...] = ()
    images: tuple[str, ...] = ()
    docker, runtimes, architecture = None, (), os.uname().machine
    try:
        if device.docker == NO_DOCKER:
            troubles.append("no Docker engine was found: without one the watcher only watches")
        else:
            told = engine.info()
            docker, runtimes = device.docker, tuple(sorted(told.get("Runtimes") or ()))
            architecture = str(told.get("Architecture") or architecture)
            services, images = _containers(engine, presets), _images(engine)
            chosen = chosen and _as_it_runs(engine, chosen)
    except HostError as error:
        troubles.append(f"{error}: start Docker, and let this account use its socket (group docker)")
    finally:
        engine.close()
    units, trouble = running_units(presets)
    troubles += [trouble] if trouble else []
    section = device.model_copy(update={"architecture": _ARCHITECTURES.get(architecture, architecture)})
    every = [*services, *([chosen] if chosen else [])]
    models = find_models(device.root, [m.source for one in every for m in one.mounts if m.kind == "bind"], home)
    facts = read_device(section, runtimes)
    zone = device_zone(device.root)
    return Survey(facts, docker, (*services, *units), models, images, zone, tuple(troubles)), chosen


def _containers(engine: Engine, presets: Mapping[str, EngineSettings]) -> tuple[RunningService, ...]:
    """Return the running containers that serve a known engine, or listen where one usually does."""
    on_gpu = set(gpu_users(engine))
    with asking("the running containers could not be listed"):
        rows = [str(row["Id"]) for row in engine.api.containers()][:_MOST_CONTAINERS]
    usual = {preset.port for preset in presets.values()}
    found = []
    for told in filter(None, map(engine.container, rows)):
        service = _service(engine, told, name_of(told) in on_gpu)
        if name_of(told) != TRIAL and (engine_of(service, presets) or not usual.isdisjoint(service.ports)):
            found.append(service)
    return tuple(sorted(found, key=lambda one: one.service))


def _service(engine: Engine, told: dict[str, Any], uses_gpu: bool) -> RunningService:
    config, host = told["Config"], told["HostConfig"]
    image = engine.image(str(told["Image"])) or {}
    own = set((image.get("Config") or {}).get("Env") or ())
    every = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    secrets = {value for name, value in every.items() if is_secret_name(name)}
    env, withheld = without_secrets(dict(line.partition("=")[::2] for line in config["Env"] or () if line not in own))
    shm = host.get("ShmSize")
    return RunningService(
        service=f"container:{name_of(told)}",
        origin=f"container {name_of(told)}",
        image=str(config["Image"]),
        entrypoint=tuple(_masked(config.get("Entrypoint") or (), secrets)),
        command=tuple(_masked(config.get("Cmd") or (), secrets)),
        env=env,
        withheld=withheld,
        mounts=tuple(_mounts(told)),
        tmpfs=tuple(host.get("Tmpfs") or ()),
        shm_bytes=shm if shm and shm != _USUAL_SHM else None,
        ulimits={str(one["Name"]): int(one["Hard"]) for one in host.get("Ulimits") or ()},
        ipc=str(host.get("IpcMode") or "private"),
        ports=tuple(sorted({int(key.partition("/")[0]) for key in _ports(told)})),
        is_local=not image.get("RepoDigests"),
        uses_gpu=uses_gpu,
        refusal=_refusal(engine, name_of(told)),
        compose=_compose(config.get("Labels") or {}),
    )


def _masked(words: Sequence[str], secrets: set[str]) -> Iterator[str]:
    for word in words:
        yield WITHHELD if is_secret(word, secrets) else word


def _mounts(told: dict[str, Any]) -> Iterator[ServiceMount]:
    for mount in told.get("Mounts") or ():
        if mount.get("Source"):
            yield ServiceMount("bind", str(mount["Source"]), str(mount["Destination"]))


def _ports(told: dict[str, Any]) -> Iterator[str]:
    yield from told["Config"].get("ExposedPorts") or ()
    yield from told["HostConfig"].get("PortBindings") or ()


def _refusal(engine: Engine, name: str) -> str | None:
    try:
        examine(engine, f"container:{name}")
    except Refused as refused:
        return str(refused)
    return None


def _compose(labels: Mapping[str, str]) -> tuple[str, str] | None:
    project, service = (labels.get(f"com.docker.compose.{part}") for part in ("project", "service"))
    return (project, service) if project and service else None


def _images(engine: Engine) -> tuple[str, ...]:
    with asking("the images could not be listed"):
        rows: list[dict[str, Any]] = engine.api.images()
    names = {str(tag) for row in rows for tag in row.get("RepoTags") or () if tag != "<none>:<none>"}
    return tuple(sorted(names))


def _as_it_runs(engine: Engine, chosen: RunningService) -> RunningService:
    """Return a compose service with its container's real name, its volumes' places and its image's origin."""
    told = _container_of(engine, chosen)
    mounts = tuple(_resolved(engine, mount) for mount in chosen.mounts)
    image = engine.image(chosen.image or "")
    local = image is not None and not image.get("RepoDigests")
    if told is None:
        return replace(chosen, mounts=mounts, is_local=chosen.is_local or local)
    name = name_of(told)
    return replace(
        chosen,
        service=f"container:{name}",
        mounts=mounts,
        is_local=chosen.is_local or local,
        runs=bool(told["State"]["Running"]),
        refusal=_refusal(engine, name),
    )


def _container_of(engine: Engine, chosen: RunningService) -> dict[str, Any] | None:
    by_name = engine.container(chosen.service.partition(":")[2])
    if by_name is not None or chosen.compose is None:
        return by_name
    project, service = chosen.compose
    labels = [f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
    with asking("the running containers could not be listed"):
        rows = engine.api.containers(all=True, filters={"label": labels})
    return engine.container(str(rows[0]["Id"])) if rows else None


def _resolved(engine: Engine, mount: ServiceMount) -> ServiceMount:
    if mount.kind != "volume":
        return mount
    from docker.errors import NotFound

    with asking("a volume could not be looked at", volume=mount.source), suppress(NotFound):
        return ServiceMount("bind", str(engine.api.inspect_volume(mount.source)["Mountpoint"]), mount.target)
    return mount


def is_inside_a_container(docker: str) -> bool:
    """Return whether the watcher runs in a container of the device's engine; without an engine, in any container."""
    engine = Engine(docker)
    try:
        if docker != NO_DOCKER and engine.info():
            return own_container(engine) is not None
    except HostError:
        pass  # nothing tells whose container this is: it may well be the watcher's own
    finally:
        engine.close()
    return _CONTAINER.exists()


def missing_sources(root: Path, services: Sequence[RunningService]) -> frozenset[str]:
    """Return the sources of mounts that are not on the device; one that must not be looked at counts as there."""
    sources = {mount.source for service in services for mount in service.mounts if mount.kind == "bind"}
    return frozenset(source for source in sources if _is_missing(root, source) and _is_missing(Path("/"), source))


def _is_missing(root: Path, source: str) -> bool:
    try:
        (root / source.lstrip("/")).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
