"""Compose 2, Debian 13's, as a plugin of the Docker CLI; what is brought up by it is taken down again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml  # type: ignore[import-untyped]

from tests.real.debian import unpacked
from tests.real.docker import PrivateDaemon

if TYPE_CHECKING:
    from docker.models.containers import Container

_PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"


def with_compose(home: Path) -> dict[str, str]:
    """Give somebody's home `docker compose`, and return what their shell needs for it. Raises CannotRunHere."""
    plugin = home / ".docker" / "cli-plugins" / "docker-compose"
    if not plugin.is_symlink():
        plugin.parent.mkdir(parents=True)
        plugin.symlink_to(unpacked("docker-compose") / _PLUGIN)
    return {"HOME": str(home), "DOCKER_CONFIG": str(home / ".docker")}


@contextmanager
def brought_up(engine: PrivateDaemon, file: Path, **variables: str) -> "Iterator[Container]":
    """Bring up the one service of a file and lend its container; published ports move to free ones of this machine."""
    table = yaml.safe_load(file.read_text())
    (service,) = table["services"].values()
    service["ports"] = [f"127.0.0.1:0:{port.rpartition(':')[2]}" for port in service["ports"]]
    moved = file.with_name("moved.yaml")
    moved.write_text(yaml.safe_dump(table))
    command = ["docker", "compose", "-p", "kit", "-f", str(moved)]
    environment = {**os.environ, **with_compose(file.parent), **engine.environment, **variables}
    try:
        done = subprocess.run([*command, "up", "-d"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (container,) = engine.client().containers.list(filters={"label": "com.docker.compose.project=kit"})
        yield container
    finally:
        subprocess.run([*command, "down", "-v", "-t", "1"], env=environment, capture_output=True, check=False)


def address_of(container: "Container") -> str:
    container.reload()
    (place,) = container.attrs["NetworkSettings"]["Networks"].values()
    return str(place["IPAddress"])
