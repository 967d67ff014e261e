"""One service of a compose file, as far as a trial can take it over."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from watcher.config.interpolation import Text, interpolate, parse_env_file
from watcher.config.secrets import is_secret, is_secret_name, without_secrets
from watcher.errors import ConfigError
from watcher.model.survey import RunningService, ServiceMount

if TYPE_CHECKING:
    from yaml import SafeLoader  # type: ignore[import-untyped]

WITHHELD = "\0withheld"
"""Stands in a command where a secret stood."""
_MOST_BYTES = 1_000_000
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_FLATTEN = "give the file that `docker compose config > flat.yaml` writes"
_NOT_TAKEN = {
    "privileged": "privileged: a trial has no privileges",
    "cap_add": "cap_add: a trial has no capabilities; [[engines.ID.profiles]] allow loosens that",
    "devices": "devices: a trial gets the GPU by [device] runtime, and nothing else",
    "network_mode": "network_mode: a trial has a network of its own, without a way out",
    "secrets": "secrets: not mounted into a trial",
    "configs": "configs: not mounted into a trial",
    "user": "user: a trial runs as the image's own user",
    "working_dir": "working_dir: a trial starts in the image's own folder; a relative path in `args` will not be found",
}


@dataclass(slots=True)
class _File:
    """What a whole file gives to its services: its folder, its variables, and which secrets were filled in."""

    path: Path
    variables: Mapping[str, str]
    table: Mapping[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def project(self) -> str:
        told = str(self.table.get("name") or "")
        given = self.variables.get("COMPOSE_PROJECT_NAME") or (self.fill(told) if told else self.folder.name)
        return re.sub(r"[^a-z0-9_-]", "", given.lower()).lstrip("_-")

    def fill(self, text: str) -> str:
        """Return the text with its variables filled in, and remember the secrets among them."""
        return self.note(interpolate(text, self.variables))

    def note(self, text: Text) -> str:
        self.secrets |= {self.variables.get(name, "") for name in text.names if is_secret_name(name)} - {""}
        return text.value

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.fill(value)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {str(key): self.filled(item) for key, item in value.items()}
        return value


def read_compose(path: Path, name: str | None, environ: Mapping[str, str] = os.environ) -> RunningService:
    """Return the service `name` of a file, or its only one. Raises ConfigError that says what to do."""
    try:
        file = _opened(path, environ)
        services = file.table.get("services")
        if not isinstance(services, dict) or not services:
            raise ConfigError("the compose file has no services", file=str(path))
        chosen = _chosen(name, services, path)
        table = services[chosen]
        if not isinstance(table, dict):
            raise ConfigError("the service is not a table", file=str(path), service=chosen)
        if "extends" in table:
            raise ConfigError(f"`extends` is not read; {_FLATTEN}", file=str(path), service=chosen)
        return _service(file, chosen, table)
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError) as error:  # another shape than Compose's
        raise ConfigError("the compose file could not be understood", (f"{path.name}: {error}",)) from None


def _opened(path: Path, environ: Mapping[str, str]) -> _File:
    variables = {**_dot_env(path.parent, environ), **environ}
    table = _parsed(path)
    if "include" in table:
        raise ConfigError(f"`include` is not read; {_FLATTEN}", file=str(path))
    return _File(path.absolute(), variables, table)


def _dot_env(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    file = folder / ".env"
    found = parse_env_file(_text(file), environ) if file.is_file() else {}
    return {name: text.value for name, text in found.items() if text is not None}


def _parsed(path: Path) -> dict[str, Any]:
    import yaml

    try:
        table = yaml.load(_text(path), _loader())  # noqa: S506  a SafeLoader that makes fewer kinds of values
    except yaml.YAMLError as error:
        raise ConfigError("the compose file is not valid YAML", (f"{path.name}: {error}",), file=str(path)) from None
    if not isinstance(table, dict):
        raise ConfigError("the compose file is not a table", file=str(path))
    return table


def _loader() -> "type[SafeLoader]":
    """Return a loader that leaves `1_000`, `on` and `22:22` the texts that they are for Compose."""
    import yaml

    kept = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}
    resolvers = {
        letter: [(tag, pattern) for tag, pattern in known if tag in kept]
        for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("_Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "a file could not be read; name one that can", file=str(path), cause=getattr(error, "strerror", str(error))
        ) from None


def _chosen(name: str | None, services: Mapping[str, Any], path: Path) -> str:
    known = ", ".join(map(str, services))
    if name is not None and name not in services:
        raise ConfigError(f"the compose file has no such service; it has {known}", file=str(path), service=name)
    if name is None and len(services) > 1:
        raise ConfigError(f"say with --service which one is the engine: {known}", file=str(path))
    return name or str(next(iter(services)))


def _service(file: _File, name: str, raw: dict[str, Any]) -> RunningService:
    # what its own environment file holds is read apart: Compose does not fill that in
    table = {key: file.filled(value) for key, value in raw.items()}
    env = dict(_environment(file, table))
    remarks = [told for key, told in _NOT_TAKEN.items() if table.get(key) not in (None, "", "false", [], {})]
    mounts, tmpfs, not_mounted = _mounts(file, table)
    entrypoint = _words(table.get("entrypoint"))
    shown, withheld = without_secrets(env, file.secrets)
    return RunningService(
        service=f"container:{table.get('container_name') or f'{file.project}-{name}-1'}",
        origin=f"service {name} of {file.path.name}",
        image=str(table["image"]) if table.get("image") else f"{file.project}-{name}",
        entrypoint=None if entrypoint is None else tuple(_masked(entrypoint, file)),
        command=tuple(_masked(_words(table.get("command")) or (), file)),
        env=shown,
        withheld=withheld,
        mounts=mounts,
        tmpfs=tmpfs,
        shm_bytes=_size(table["shm_size"]) if table.get("shm_size") else None,
        ulimits=_ulimits(table.get("ulimits") or {}),
        ipc=table.get("ipc") or None,
        ports=tuple(_ports(table)),
        is_local="build" in table,
        runs=False,
        compose=(file.project, name),
        remarks=(*remarks, *not_mounted),
    )


def _masked(words: tuple[str, ...], file: _File) -> Iterator[str]:
    for word in words:
        yield WITHHELD if is_secret(word, file.secrets) else word


def _words(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(shlex.split(value)) if isinstance(value, str) else tuple(map(str, value))


def _environment(file: _File, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the variables; those of the table come after, and win over, those of its files."""
    entries = table.get("env_file") or []
    for entry in entries if isinstance(entries, list) else [entries]:
        path, required = (entry.get("path"), entry.get("required", "true")) if isinstance(entry, dict) else (entry, "")
        place = file.folder / Path(str(path)).expanduser()
        if required != "false" or place.is_file():
            for name, text in parse_env_file(_text(place), file.variables).items():
                yield from _given(file, name, None if text is None else file.note(text))
    told = table.get("environment") or {}
    for name, value in told.items() if isinstance(told, dict) else (_pair(str(line)) for line in told):
        yield from _given(file, name, None if value is None else str(value))


def _pair(line: str) -> tuple[str, str | None]:
    name, equals, value = line.partition("=")
    return name, value if equals else None


def _given(file: _File, name: str, value: str | None) -> Iterator[tuple[str, str]]:
    """A name without a value passes the caller's on, where there is one."""
    if value is not None:
        yield name, value
    elif name in file.variables:
        yield name, file.variables[name]


def _mounts(file: _File, table: Mapping[str, Any]) -> tuple[tuple[ServiceMount, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the mounts, the paths in memory, and sentences about the rest."""
    mounts: list[ServiceMount] = []
    tmpfs = [str(one).partition(":")[0] for one in _listed(table.get("tmpfs"))]
    remarks: list[str] = []
    for entry in table.get("volumes") or []:
        kind, source, target = _long(entry) if isinstance(entry, dict) else _short(str(entry))
        if kind == "tmpfs":
            tmpfs.append(target)
        elif not source:
            remarks.append(f"the nameless volume at {target} is not mounted into a trial")
        elif kind == "volume":
            mounts.append(ServiceMount("volume", _volume_name(file, source), target))
        else:
            mounts.append(ServiceMount("bind", _absolute(file.folder, source), target))
    return tuple(mounts), tuple(tmpfs), tuple(remarks)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _long(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    target = str(entry.get("target") or "")
    if not target:
        raise ValueError("a volume has no target")
    return str(entry.get("type") or "volume"), str(entry.get("source") or ""), target


def _short(entry: str) -> tuple[str, str, str]:
    """Return kind, source and target of `SOURCE:TARGET[:MODE]`; a source that is no path names a volume."""
    parts = entry.split(":")
    if len(parts) == 1:
        return "volume", "", parts[0]
    is_path = parts[0].startswith(("/", ".", "~"))
    return ("bind" if is_path else "volume"), parts[0], parts[1]


def _absolute(folder: Path, source: str) -> str:
    return os.path.normpath(folder / Path(source).expanduser())


def _volume_name(file: _File, key: str) -> str:
    """Return what the engine calls a volume of the file."""
    volumes = file.table.get("volumes")
    told = volumes.get(key) if isinstance(volumes, dict) else None
    told = file.filled(told) if isinstance(told, dict) else {}
    if told.get("name"):
        return str(told["name"])
    return key if told.get("external") in ("true", True) else f"{file.project}_{key}"


def _size(text: Any) -> int:
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"shm_size {text!r} is not a size such as 2gb")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def _ulimits(table: Any) -> dict[str, int]:
    if not isinstance(table, dict):
        raise ValueError("ulimits must be a table")
    return {str(name): int(value["hard"] if isinstance(value, dict) else value) for name, value in table.items()}


def _ports(table: Mapping[str, Any]) -> Iterator[int]:
    for entry in [*(table.get("ports") or []), *(table.get("expose") or [])]:
        told = str(entry.get("target")) if isinstance(entry, dict) else str(entry).rpartition(":")[2]
        if (port := told.partition("/")[0]).isdigit():
            yield int(port)


def is_below(path: str, folder: str) -> bool:
    """Return whether a path in a container is the folder, or lies in it."""
    return PurePosixPath(path).is_relative_to(PurePosixPath(folder))
