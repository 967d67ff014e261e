"""Where Python packages lie in an image: guessed from its environment and from the habits of image builders. Pure."""

from collections.abc import Iterator
from pathlib import PurePosixPath

_VERSIONS = tuple(f"python3.{minor}" for minor in range(8, 15))
_PREFIXES = ("/usr/local", "/usr", "/opt/venv", "/opt/conda", "/root/.local")
_MOST_HINTS = 16
"""An image's environment is a stranger's text: only so many of its folders are looked into."""


def site_packages(env: tuple[str, ...]) -> tuple[str, ...]:
    """Return the folders to look into, the likeliest first; `env` holds `NAME=value`."""
    values = dict(entry.split("=", 1) for entry in env if "=" in entry)
    direct = [folder for folder in values.get("PYTHONPATH", "").split(":") if folder.startswith("/")]
    prefixes = [*_hinted_prefixes(values), *_PREFIXES]
    places = [*direct[:_MOST_HINTS], *(place for prefix in prefixes for place in _below(prefix))]
    return tuple(dict.fromkeys(_plain(place) for place in places))


def _hinted_prefixes(values: dict[str, str]) -> list[str]:
    named = [values.get(name, "") for name in ("VIRTUAL_ENV", "CONDA_PREFIX")]
    programs = [PurePosixPath(folder) for folder in values.get("PATH", "").split(":")]
    found = [*named, *(str(folder.parent) for folder in programs if folder.name == "bin")]
    return [prefix for prefix in found if prefix.startswith("/") and prefix != "/"][:_MOST_HINTS]


def _below(prefix: str) -> Iterator[str]:
    yield f"{prefix}/lib/python3/dist-packages"
    for version in _VERSIONS:
        for folder in ("site-packages", "dist-packages"):
            yield f"{prefix}/lib/{version}/{folder}"


def _plain(path: str) -> str:
    return str(PurePosixPath("/", *(part for part in PurePosixPath(path).parts if part not in ("..", "/"))))
