"""Find and read the configuration: flag, environment, file, default, in that order of precedence."""

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from watcher.config.bugs import BugSettings, read_bug
from watcher.config.engines import EngineOverride, EngineSettings
from watcher.config.place import DOCKER_SOCKET, PACKAGE, default_data_dir, find_config, read_toml, shipped
from watcher.config.settings import Settings
from watcher.config.suites import BUILTIN, read_suite
from watcher.errors import ConfigError
from watcher.model.suite import Suite

_SECTIONS = ("store", "device", "schedule", "bug", "trial", "acceptance", "notify", "log", "page", "github")
_NESTED = {"trial": ("preflight", "timeouts")}
_SECRETS = (("notify", "urls"), ("notify", "ping_url"), ("page", "token"), ("github", "token"))
_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HINTS = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "union_tag_not_found": "`kind` is missing",
}


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings. Raises ConfigError that lists every fault with its place."""
    origin = find_config(path, environ)
    table = read_toml(origin) if origin else read_toml(shipped("config.toml"))
    if origin is None:  # watch only: no file of the operator says what may be done to this machine
        table.get("device", {}).pop("docker", None)
    table = _with_environment(table, environ)
    base = origin.parent if origin else Path.cwd()
    faults: list[str] = []
    _read_secrets(table, base, environ, faults)
    window_named = "window" in table.get("schedule", {})
    engines = _engines(table.pop("engines", {}), faults)
    faults += _engine_fault(table.get("trial", {}), engines)
    bug = _bug(table.get("bug", {}), base, faults)
    suite = _suite(table.get("acceptance", {}), base, faults)
    table = _with_defaults(table, base, watch_only=origin is None)
    table["bug_section"] = table.pop("bug", {})
    table["origin"], table["window_named"], table["suite"] = origin, window_named, suite
    settings = _validated(table, engines, bug, faults)
    faults += _cross_faults(settings) if settings else []
    if faults or settings is None:
        raise ConfigError("the configuration has faults", tuple(faults), file=str(origin) if origin else None)
    return settings


def _with_environment(table: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Lay `WATCHER_SECTION__KEY` over the file; a deeper table is one more `__`."""
    for name, value in environ.items():
        if not name.startswith("WATCHER_") or "__" not in name:
            continue
        section, *keys = name.removeprefix("WATCHER_").lower().split("__")
        if section not in _SECTIONS or not keys:
            continue
        place = table.setdefault(section, {})
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
    return table


def _read_secrets(table: dict[str, Any], base: Path, environ: Mapping[str, str], faults: list[str]) -> None:
    """Replace `*_file` twins by their content, and `${NAME}` by the environment's value."""
    for section, key in _SECRETS:
        place = table.get(section)
        if not isinstance(place, dict):
            continue
        if (name := place.pop(f"{key}_file", None)) is not None:
            try:
                place.setdefault(key, (base / str(name)).read_text(encoding="utf-8").rstrip("\r\n"))
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{section}.{key}_file: {name} could not be read: {getattr(error, 'strerror', error)}")
        if key in place:
            place[key] = _expanded(place[key], f"{section}.{key}", environ, faults)


def _expanded(value: Any, where: str, environ: Mapping[str, str], faults: list[str]) -> Any:
    if isinstance(value, list):
        return [_expanded(item, f"{where}.{index}", environ, faults) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _NAMED.findall(value):
        if name not in environ:
            faults.append(f"{where}: the environment has no {name}")
    return _NAMED.sub(lambda match: environ.get(match[1], ""), value)


def _with_defaults(table: dict[str, Any], base: Path, watch_only: bool) -> dict[str, Any]:
    store, device = table.setdefault("store", {}), table.setdefault("device", {})
    if isinstance(store, dict):
        given = store.get("data_dir")
        store["data_dir"] = (
            (base / Path(given).expanduser()).absolute() if isinstance(given, str) else default_data_dir()
        )
    if isinstance(device, dict):
        device.setdefault("name", socket.gethostname())
        device.setdefault("docker", f"unix://{DOCKER_SOCKET}" if DOCKER_SOCKET.exists() and not watch_only else "none")
    if "sources" not in table:
        table["sources"] = read_toml(shipped("config.toml")).get("sources", [])
    return table


def read_presets() -> dict[str, EngineSettings]:
    """Return the presets that are shipped, by id."""
    found = {}
    for file in sorted((PACKAGE / "engines").glob("*.toml")):
        preset = EngineSettings(**tomllib.loads(file.read_text(encoding="utf-8")))
        found[preset.id] = preset
    return found


def _engines(overrides: dict[str, Any], faults: list[str]) -> dict[str, EngineSettings]:
    engines = read_presets()
    for name, table in overrides.items():
        if not isinstance(table, dict):
            faults.append(f"engines.{name}: must be a table")
            continue
        if name not in engines and "entrypoint" not in table:
            known = ", ".join(sorted(engines))
            faults.append(f"engines.{name}: there is no such engine; known are {known}; a new one needs `entrypoint`")
            continue
        try:
            engines[name] = _engine(name, table, engines.get(name))
        except ValidationError as error:
            faults += _lines(error, f"engines.{name}.")
    return engines


def _engine(name: str, table: dict[str, Any], preset: EngineSettings | None) -> EngineSettings:
    """Return the preset with the operator's values, or an engine that the operator's file defines as a whole."""
    if preset is not None:
        return preset.overlaid(EngineOverride(**table))
    return EngineSettings(**{"title": name, **table, "id": name})


def _bug(section: Any, base: Path, faults: list[str]) -> BugSettings | None:
    name = section.get("id", "cuda-allocator") if isinstance(section, dict) else "cuda-allocator"
    for folder in (PACKAGE / "bugs" / str(name), base / str(name)):
        if (folder / "bug.toml").is_file():
            try:
                return read_bug(folder, read_toml(folder / "bug.toml"))
            except ValidationError as error:
                faults += _lines(error, f"bug {name}: ")
                return None
    faults.append(f"bug.id: {name!r} is neither a folder in watcher/bugs nor a path with a bug.toml")
    return None


def _suite(section: Any, base: Path, faults: list[str]) -> Suite:
    name = section.get("suite", BUILTIN) if isinstance(section, dict) else BUILTIN
    return read_suite(name, base, faults) if isinstance(name, str) else Suite()  # its type is a fault of its own


def _engine_fault(trial: Any, engines: dict[str, EngineSettings]) -> list[str]:
    """Return the fault of `trial.engine`, looked at on its own so that it stands beside all others."""
    name = trial.get("engine", "vllm") if isinstance(trial, dict) else "vllm"
    known = ", ".join(sorted(engines))
    return [] if name in engines else [f"trial.engine: there is no engine {name!r}; known are {known}"]


def _validated(
    table: dict[str, Any], engines: dict[str, EngineSettings], bug: BugSettings | None, faults: list[str]
) -> Settings | None:
    # the engines and the bug were checked on their own, so that their faults stand beside all others
    stand_in = bug or read_bug(
        PACKAGE / "bugs" / "cuda-allocator", read_toml(PACKAGE / "bugs" / "cuda-allocator" / "bug.toml")
    )
    try:
        return Settings(**table, engines=engines, bug=stand_in)
    except ValidationError as error:
        faults += _lines(error)
        return None


def _cross_faults(settings: Settings) -> list[str]:
    """Return faults that show only between sections."""
    faults = []
    if settings.trial.engine in settings.engines and settings.trial.auto and (missing := settings.auto_missing):
        faults.append(f"trial.auto: automatic trials need {', '.join(missing)} as well")
    names = [source.name for source in settings.sources]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(f"sources: the name {name!r} is given twice")
    return faults


def _lines(error: ValidationError, prefix: str = "") -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"]).replace("bug_section", "bug")
        message = _HINTS.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
        lines.append(f"{prefix}{where}: {message}")
    return lines
