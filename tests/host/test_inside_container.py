"""The watcher in a container of the very engine that it drives."""

import json
import sysconfig
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.host.docker_world import DockerWorld
from tests.places import CHECKOUT
from tests.real.base_image import BASE, base_image
from watcher.host.names import TRIAL

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
    socket = Path(docker.engine.url.removeprefix("unix://"))
    places = {
        sysconfig.get_path("purelib"): "/site",
        str(CHECKOUT / "watcher"): "/code/watcher",
        str(socket.parent): "/wt",
    }
    spec = {key: value for key, value in asdict(docker.spec()).items() if key not in ("mounts",)}
    container = docker.client.containers.run(
        BASE,
        ["python3", "-c", PROGRAM, f"unix:///wt/{socket.name}", json.dumps(spec)],
        name="the-watcher",
        detach=True,
        environment={"PYTHONPATH": "/site:/code", "PYTHONDONTWRITEBYTECODE": "1"},
        volumes={source: {"bind": target, "mode": "ro"} for source, target in places.items()},
        network_mode="container:sidecar" if shared else "bridge",
    )
    container.wait(timeout=60)
    said = container.logs().decode().splitlines()
    itself = "this is the watcher's own container, or the one whose network it uses"
    assert said == ["200", "True", itself, itself if shared else "1"]
    for name in ("the-watcher", "sidecar"):
        assert TRIAL not in docker.inspect(name)["NetworkSettings"]["Networks"]
