"""The package index that pip uses on this machine: by its environment, its files, else its own default."""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PREFIX = "pip:"
"""`pip:NAME` stands for the page of a project on that index."""
UNNAMED = "pip is not installed here to name its index; write the address of the page"


def project_page(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the address of a project's page. Raises LookupError where pip cannot be asked for its index."""
    return f"{pip_index(environ).rstrip('/')}/{name}/"


def pip_index(environ: Mapping[str, str] = os.environ) -> str:
    """Return the address of the index. Raises LookupError."""
    if given := environ.get("PIP_INDEX_URL"):
        return given
    for file in _files(environ):
        if found := _index_in(file):
            return found
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        raise LookupError(UNNAMED) from None
    return str(PyPI.simple_url)


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's configuration files, those that win first, as its documentation orders them; none for /dev/null."""
    if (given := environ.get("PIP_CONFIG_FILE")) == os.devnull:
        return
    if given:
        yield Path(given)
    yield Path(sys.prefix) / "pip.conf"
    home = Path(environ.get("HOME", "/"))
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield home / ".pip" / "pip.conf"
    yield Path("/etc/xdg/pip/pip.conf")
    yield Path("/etc/pip.conf")


def _index_in(file: Path) -> str | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None
    keys = ((section, key) for section in ("install", "global") for key in ("index-url", "index_url"))
    return next((value for section, key in keys if (value := parser.get(section, key, fallback=""))), None)
