"""The watcher in a container of the very engine that it drives: the checkout and its packages are mounted into it."""

import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.host.docker_world import DockerWorld
from tests.main_loop.one_trial import scene_of
from tests.places import CHECKOUT
from tests.real.base_image import BASE
from tests.real.scene import Scene
from tests.real.stub_engine import StubMode

if TYPE_CHECKING:
    from docker.models.containers import Container

PLACES = {
    sysconfig.get_path("purelib"): "/site",
    str(CHECKOUT / "watcher"): "/code/watcher",
    str(CHECKOUT / "migrations"): "/code/migrations",
    str(CHECKOUT / "config.toml"): "/code/config.toml",
}
ENVIRONMENT = {"PYTHONPATH": "/site:/code", "PYTHONDONTWRITEBYTECODE": "1"}


def scene_inside(docker: DockerWorld, folder: Path, mode: StubMode) -> Scene:
    """Return a scene whose paths are the same inside the watcher's container, but for the engine's socket."""
    scene = scene_of(docker.engine, folder, mode)
    scene.table["device"]["docker"] = f"unix:///wt/{socket_of(docker).name}"
    return scene


def watcher_inside(docker: DockerWorld, scene: Scene, *arguments: str, name: str = "the-watcher") -> "Container":
    """Start the program in a container of its own engine, and return at once."""
    command = ["python3", *scene.command(*arguments)[1:]]
    places = {**PLACES, str(socket_of(docker).parent): "/wt"}
    return docker.client.containers.run(
        BASE,
        command,
        name=name,
        detach=True,
        environment=ENVIRONMENT,
        volumes={**bound(places), str(scene.folder): {"bind": str(scene.folder), "mode": "rw"}},
    )


def socket_of(docker: DockerWorld) -> Path:
    return Path(docker.engine.url.removeprefix("unix://"))


def bound(places: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {source: {"bind": target, "mode": "ro"} for source, target in places.items()}
