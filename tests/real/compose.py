"""A compose file of ours, brought up by Debian's docker-compose on the private engine, and taken down again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml  # type: ignore[import-untyped]

from tests.real.docker import PrivateDaemon

if TYPE_CHECKING:
    from docker.models.containers import Container


@contextmanager
def brought_up(engine: PrivateDaemon, file: Path, **variables: str) -> "Iterator[Container]":
    """Bring up the one service of a file and lend its container; published ports move to free ones of this machine."""
    table = yaml.safe_load(file.read_text())
    (service,) = table["services"].values()
    service["ports"] = [f"127.0.0.1:0:{port.rpartition(':')[2]}" for port in service["ports"]]
    moved = file.with_name("moved.yaml")
    moved.write_text(yaml.safe_dump(table))
    command = ["docker-compose", "-p", "kit", "-f", str(moved)]
    environment = {**os.environ, "DOCKER_HOST": engine.url, **variables}
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
