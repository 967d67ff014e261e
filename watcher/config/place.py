"""Where the configuration and the data are, read with the standard library alone.

`healthcheck` runs every minute in a container, and `restore` has to work when the configuration is broken.
"""

import os
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from watcher.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent.parent
DOCKER_SOCKET = Path("/var/run/docker.sock")
NO_DOCKER = "none"


def find_config(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file to read, None when there is none; one that is named must exist (ConfigError)."""
    asked = path or (Path(environ["WATCHER_CONFIG"]) if environ.get("WATCHER_CONFIG") else None)
    if asked:
        if not asked.is_file():
            raise ConfigError("the configuration file does not exist", file=str(asked))
        return asked.absolute()
    folder = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    places = (Path("config.toml"), Path(folder) / "watcher" / "config.toml")
    return next((found.absolute() for found in places if found.is_file()), None)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file. Raises ConfigError that names the place."""
    try:
        return deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("the configuration is not valid TOML", (f"{path.name}: {error}",), file=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the configuration could not be read", (f"{path.name}: {error}",), file=str(path)) from None


@lru_cache(maxsize=4)
def _parsed(text: str) -> dict[str, Any]:
    """Return the tables of a text. A command reads its file three times over, and parsing takes long."""
    return tomllib.loads(text)


def read_data_dir(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return `data_dir`, even when the rest of the configuration is broken."""
    if given := environ.get("WATCHER_STORE__DATA_DIR"):
        return Path(given).expanduser().absolute()
    origin, table = _whatever_is_readable(path, environ)
    given = _text(table, "store", "data_dir")
    return (origin.parent / Path(given).expanduser()).absolute() if origin and given else default_data_dir(environ)


def why_unsure(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return why `read_data_dir` may not be the folder that the configuration means; None where it is."""
    if environ.get("WATCHER_STORE__DATA_DIR"):
        return None
    try:
        origin = find_config(path, environ)
        if origin:
            read_toml(origin)
    except ConfigError as error:
        return str(error)
    return None


def read_docker_url(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return `device.docker`, even when the rest of the configuration is broken; `none` where there is no engine."""
    if given := environ.get("WATCHER_DEVICE__DOCKER"):
        return given
    _, table = _whatever_is_readable(path, environ)
    return _text(table, "device", "docker") or (f"unix://{DOCKER_SOCKET}" if DOCKER_SOCKET.exists() else NO_DOCKER)


def read_log_format(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return `log.format`, even when the rest of the configuration is broken."""
    _, table = _whatever_is_readable(path, environ)
    given = environ.get("WATCHER_LOG__FORMAT") or _text(table, "log", "format")
    return "json" if given == "json" else "text"


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    if (state := environ.get("XDG_STATE_HOME")) and Path(state).is_absolute():
        return Path(state) / "watcher"
    return Path(environ.get("HOME", "/var/lib")) / ".local" / "state" / "watcher"


def shipped(name: str) -> Path:
    """Return a file or folder which stands at the top of a checkout and inside the wheel."""
    inside = PACKAGE / "_shipped" / name
    return inside if inside.exists() else PACKAGE.parent / name


def _whatever_is_readable(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    try:
        origin = find_config(path, environ)
        return origin, read_toml(origin) if origin else {}
    except ConfigError:
        return None, {}  # a broken file must not keep a service down: the defaults are right for most


def _text(table: dict[str, Any], section: str, key: str) -> str | None:
    place = table.get(section)
    value = place.get(key) if isinstance(place, dict) else None
    return value if isinstance(value, str) else None
