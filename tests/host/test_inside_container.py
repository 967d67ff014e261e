"""The watcher in a container of the very engine that it drives."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.host.docker_world import DockerWorld
from tests.host.inside import ENVIRONMENT, PLACES, bound, scene_inside, socket_of, watcher_inside
from tests.main_loop.one_trial import IMAGE, stage_now
from tests.real.base_image import BASE, base_image
from tests.real.scene import ASSISTANT
from watcher.host.names import TRIAL

if TYPE_CHECKING:
    from docker.models.containers import Container

PROGRAM = """
import json, sys, time, urllib.request
from watcher.errors import Refused
from watcher.host.engine import Engine
from watcher.host.services import Services
from watcher.host.trial_container import TrialContainer
from watcher.model.container import ContainerSpec

engine = Engine(sys.argv[1])
trial = TrialContainer(engine)
container = trial.start(ContainerSpec(**json.loads(sys.argv[2])))
base = trial.address(container, 8000)
for attempt in range(100):
    try:
        print(urllib.request.urlopen(base + "/health", timeout=2).status)
        break
    except OSError:
        time.sleep(0.1)
print(trial.address(container, 8000) == base)
trial.remove()
for service in ("container:the-watcher", "container:sidecar"):
    try:
        print(len(Services(engine).examine(service)))
    except Refused as refused:
        print(refused.message)
"""


@pytest.mark.parametrize("shared", [False, True], ids=["own network", "another's network"])
def test_it_joins_the_trials_network_leaves_it_and_never_stops_itself(docker: DockerWorld, shared: bool) -> None:
    base_image(docker.client)
    docker.service("sidecar", health=False)
    socket = socket_of(docker)
    places = {**PLACES, str(socket.parent): "/wt"}
    spec = {key: value for key, value in asdict(docker.spec()).items() if key not in ("mounts",)}
    container = docker.client.containers.run(
        BASE,
        ["python3", "-c", PROGRAM, f"unix:///wt/{socket.name}", json.dumps(spec)],
        name="the-watcher",
        detach=True,
        environment=ENVIRONMENT,
        volumes=bound(places),
        network_mode="container:sidecar" if shared else "bridge",
    )
    container.wait(timeout=60)
    said = container.logs().decode().splitlines()
    itself = "this is the watcher's own container, or the one whose network it uses"
    assert said == ["200", "True", itself, itself if shared else "1"]
    for name in ("the-watcher", "sidecar"):
        assert TRIAL not in docker.inspect(name)["NetworkSettings"]["Networks"]


DISK = """
import sys
from watcher.config.settings import DeviceSection
from watcher.host.docker_host import DockerHost

print(DockerHost(sys.argv[1], DeviceSection(name="bench", docker=sys.argv[1])).free_disk())
"""


def test_it_sees_the_disk_that_images_lie_on(docker: DockerWorld) -> None:
    """Its own root lies there, where the storage driver keeps plain files; a folder of the host's it could not see."""
    base_image(docker.client)
    socket = socket_of(docker)
    said = docker.client.containers.run(
        BASE,
        ["python3", "-c", DISK, f"unix:///wt/{socket.name}"],
        environment=ENVIRONMENT,
        volumes=bound({**PLACES, str(socket.parent): "/wt"}),
    )
    really = shutil.disk_usage(docker.client.info()["DockerRootDir"]).free
    assert int(said) == pytest.approx(really, rel=0.2)


@pytest.mark.parametrize("is_in_group", [False, True], ids=["without its group", "in its group"])
def test_an_account_without_the_sockets_group_is_told_in_one_line(
    docker: DockerWorld, tmp_path: Path, is_in_group: bool
) -> None:
    base_image(docker.client)
    socket, group = socket_of(docker), socket_of(docker).stat().st_gid
    (tmp_path / "config.toml").write_text('[device]\ndocker = "unix:///run/engine.sock"\n')
    container = docker.client.containers.run(
        BASE,
        ["python3", "-m", "watcher", "--config", "/config.toml", "doctor"],
        detach=True,
        user="10001:10001",
        group_add=[group] if is_in_group else [],
        environment={**ENVIRONMENT, "WATCHER_STORE__DATA_DIR": "/data"},
        tmpfs={"/data": "mode=1777"},
        volumes=bound({**PLACES, str(socket): "/run/engine.sock", str(tmp_path / "config.toml"): "/config.toml"}),
    )
    container.wait(timeout=60)
    said = container.logs(stderr=False).decode()
    assert ("engine.sock answers" in said) is is_in_group, container.logs().decode()
    about = [line for line in said.splitlines() if "is not in the group of the Docker socket" in line]
    assert len(about) == (0 if is_in_group else 1)
    assert (f"to do: DOCKER_GID={group} for compose.yaml" in said) is not is_in_group


def test_a_whole_trial_runs_over_the_trials_network_which_it_leaves(docker: DockerWorld, tmp_path: Path) -> None:
    scene = scene_inside(docker, tmp_path, "healthy")
    watcher = watcher_inside(docker, scene, "trial", "run", IMAGE, "--json")
    ended = watcher.wait(timeout=240)
    said = watcher.logs(stderr=False).decode()
    assert ended["StatusCode"] == 0, watcher.logs().decode()
    trial = json.loads(said)["trial"]
    assert (trial["outcome"], trial["bring_up"], trial["stage"]) == ("verdict", "works", "done")
    assert not is_joined(docker, watcher)
    watcher.remove()
    scene.assert_all_is_as_before()


def test_killed_in_between_restore_puts_all_right_and_the_watcher_can_be_started_again(
    docker: DockerWorld, tmp_path: Path
) -> None:
    scene = scene_inside(docker, tmp_path, "never-ready")
    killed = watcher_inside(docker, scene, "trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == "ready" and is_joined(docker, killed), seconds=180)
    killed.kill()
    killed.wait(timeout=60)
    assert not docker.runs(ASSISTANT)
    restoring = watcher_inside(docker, scene, "restore", name="the-next-watcher")
    assert restoring.wait(timeout=120)["StatusCode"] == 0, restoring.logs().decode()
    restoring.remove()
    assert not is_joined(docker, killed)
    killed.start()  # with the network gone it could not, were it still joined to it
    killed.remove(force=True)
    docker.host.remove_trial()  # what it may have begun since
    assert watcher_inside(docker, scene, "restore").wait(timeout=120)["StatusCode"] == 0
    docker.client.api.remove_container("the-watcher", force=True)
    scene.assert_all_is_as_before()


def is_joined(docker: DockerWorld, watcher: "Container") -> bool:
    return TRIAL in docker.inspect(str(watcher.id))["NetworkSettings"]["Networks"]
