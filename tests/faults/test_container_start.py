"""Each start of the watcher's container gives back what is owed, whatever keeps the service from its work."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from tests.faults.table import Row
from tests.host.docker_world import DockerWorld
from tests.host.inside import ENVIRONMENT, PLACES, bound, scene_inside, socket_of, watcher_inside
from tests.main_loop.one_trial import IMAGE, stage_now
from tests.real.base_image import BASE
from tests.real.disk import fill, small_disk
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT, OWN_POLICY, Scene

if TYPE_CHECKING:
    from docker.models.containers import Container


@dataclass
class Owing:
    """A service that a killed trial left owed; `again` makes it so once more from the same note."""

    docker: DockerWorld
    scene: Scene
    note: bytes
    surroundings: ExitStack = field(default_factory=ExitStack)

    @property
    def owed(self) -> Path:
        return self.scene.data_dir / "owed" / "1.json"

    @property
    def settings(self) -> Path:
        return self.scene.folder / "settings"

    def again(self) -> None:
        api: Any = self.docker.client.api
        api.update_container(ASSISTANT, restart_policy={"Name": "always"})
        self.docker.client.containers.get(ASSISTANT).stop()
        self.owed.parent.mkdir(exist_ok=True)
        self.owed.write_bytes(self.note)

    def is_back(self) -> bool:
        """Return whether the service is healthy and has its own policy again."""
        policy: Any = self.scene.assistant()["HostConfig"]["RestartPolicy"]
        return self.scene.assistant_is_healthy() and policy == OWN_POLICY

    def started(self) -> "Container":
        """Start the container as the image does: `watcher run` in /config, and the data folder from the environment."""
        places = {**PLACES, str(socket_of(self.docker).parent): "/wt", str(self.settings): "/config"}
        return self.docker.client.containers.run(
            BASE,
            ["python3", "-m", "watcher", "run"],
            name="the-watcher",
            detach=True,
            init=True,
            network_mode="none",
            working_dir="/config",
            restart_policy={"Name": "always"},
            environment={
                **ENVIRONMENT,
                "PYTHONPATH": f"/config/broken:{ENVIRONMENT['PYTHONPATH']}",
                "WATCHER_STORE__DATA_DIR": str(self.scene.data_dir),
            },
            volumes={**bound(places), str(self.scene.folder): {"bind": str(self.scene.folder), "mode": "rw"}},
        )


Fault = Callable[[Owing], None]


@pytest.fixture(scope="module")
def owing(docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owing]:
    docker = DockerWorld(docker_engine)
    scene = scene_inside(docker, tmp_path_factory.mktemp("entry"), "never-ready")
    killed = watcher_inside(docker, scene, "trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready", seconds=180)
    killed.kill()
    killed.wait(timeout=60)
    killed.remove()
    docker.host.remove_trial()
    owing = Owing(docker, scene, (scene.data_dir / "owed" / "1.json").read_bytes())
    owing.settings.mkdir()
    yield owing
    docker_engine.sweep()


@pytest.fixture
def start(owing: Owing) -> Iterator[Owing]:
    (owing.settings / "broken").mkdir(exist_ok=True)
    (owing.settings / "config.toml").write_bytes(owing.scene.config.read_bytes())
    with ExitStack() as owing.surroundings:
        yield owing
        with suppress(NotFound):
            owing.docker.client.api.remove_container("the-watcher", force=True)
    for left in (*(owing.settings / "broken").iterdir(), *owing.scene.data_dir.glob("watcher.db*")):
        left.unlink()


def configuration_is_no_toml(owing: Owing) -> None:
    (owing.settings / "config.toml").write_text("[store\n")


def configuration_has_an_unknown_key(owing: Owing) -> None:
    (owing.settings / "config.toml").write_text("[trial]\nno_such_key = 1\n")


def pydantic_cannot_be_loaded(owing: Owing) -> None:
    (owing.settings / "broken" / "pydantic.py").write_text("raise ImportError('broken')\n")


def sqlite_cannot_be_loaded(owing: Owing) -> None:
    (owing.settings / "broken" / "sqlite3.py").write_text("raise ImportError('broken')\n")


def there_is_no_configuration(owing: Owing) -> None:
    (owing.settings / "config.toml").unlink()


def database_is_locked(owing: Owing) -> None:
    holder = owing.surroundings.enter_context(closing(sqlite3.connect(owing.scene.data_dir / "watcher.db")))
    holder.execute("CREATE TABLE IF NOT EXISTS held (x)")
    holder.execute("BEGIN EXCLUSIVE")


def database_is_garbage(owing: Owing) -> None:
    (owing.scene.data_dir / "watcher.db").write_bytes(b"no database" * 100)


def disk_is_full(owing: Owing) -> None:
    owing.surroundings.enter_context(small_disk(owing.scene.data_dir, 256 << 10))
    owing.again()
    fill(owing.scene.data_dir)


def disk_is_read_only(owing: Owing) -> None:
    owing.surroundings.enter_context(small_disk(owing.scene.data_dir, 1 << 20))
    owing.again()
    owing.surroundings.enter_context(read_only(owing.scene.data_dir))


ENDS: dict[Fault, int] = {
    configuration_is_no_toml: 2,
    configuration_has_an_unknown_key: 2,
    pydantic_cannot_be_loaded: 1,
}
"""What keeps `run` from starting, and its exit code."""
GOES_ON = (
    sqlite_cannot_be_loaded,
    there_is_no_configuration,
    database_is_locked,
    database_is_garbage,
    disk_is_full,
    disk_is_read_only,
)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def told(container: "Container") -> dict[str, Any]:
    return dict(container.client.api.inspect_container(str(container.id))) if container.client else {}


def died(container: "Container") -> bool:
    return bool(told(container)["RestartCount"])


@pytest.mark.parametrize("fault", ENDS, ids=lambda fault: fault.__name__)
def test_where_the_service_cannot_start_each_attempt_gives_back(start: Owing, fault: Fault) -> None:
    fault(start)
    start.again()
    container = start.started()
    start.scene.wait_until(start.is_back)

    def waits_for_its_next_start() -> bool:
        state = told(container)["State"]
        return bool(state["Restarting"]) and state["ExitCode"] == ENDS[fault]

    start.scene.wait_until(waits_for_its_next_start)
    assert not start.owed.exists()
    start.again()
    start.scene.wait_until(start.is_back, seconds=120)


@pytest.mark.parametrize("fault", GOES_ON, ids=lambda fault: fault.__name__)
def test_where_only_the_rounds_fail_the_start_gives_back_and_the_service_goes_on(start: Owing, fault: Fault) -> None:
    fault(start)
    if not start.owed.exists():
        start.again()
    container = start.started()
    start.scene.wait_until(lambda: b"watching; a round every" in container.logs() or died(container), seconds=120)
    said = container.logs().decode()
    assert start.is_back(), said
    assert "putting back container:assistant" in said.partition("watching;")[0], "before the service"
    assert start.owed.exists() == (fault is disk_is_read_only)
    if fault is not there_is_no_configuration:
        start.scene.wait_until(lambda: b"the round ended with exit code 1" in container.logs(), seconds=120)
    container.stop(timeout=60)
    state = told(container)
    assert (state["State"]["ExitCode"], state["RestartCount"]) == (0, 0), "5 would say that a service is down"


GROUP = "the watcher's container"
ROWS = (
    Row(GROUP, "it cannot start: the configuration is broken, or a package cannot be loaded",
        "each attempt, before the service; exit code 2 or 1", "`bench`", len(ENDS)),
    Row(GROUP, "its rounds cannot work: database locked, damaged or not to be loaded, disk full or read-only, no"
        " configuration", "its start, before the service, which goes on", "`bench`", len(GOES_ON)),
)  # fmt: skip
