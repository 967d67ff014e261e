"""What is done to displaced services while they are away: each is back as it was, or replaced, and nothing is left."""

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.artifacts.builders import LIBRARY, PRESENT
from tests.faults.table import Row
from tests.faults.trials import end_engine, trial_during
from tests.main_loop.one_trial import IMAGE, scene_of
from tests.main_loop.test_outcomes import TORCH
from tests.real.docker import PrivateDaemon
from tests.real.ports import free_port
from tests.real.scene import ASSISTANT, OWN_POLICY, Scene, scene_with
from tests.real.stub_engine import service_image, stub_image

if TYPE_CHECKING:
    from docker import DockerClient

Meddle = Callable[["DockerClient", str], object]
HOME = {
    "com.docker.compose.project": "home",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
}


def labels_of(service: str) -> dict[str, str]:
    return {**HOME, "com.docker.compose.service": service}


def nothing(client: "DockerClient", name: str) -> None:
    return


def remove(client: "DockerClient", name: str) -> None:
    client.containers.get(name).remove()


def rename(client: "DockerClient", name: str) -> None:
    client.containers.get(name).rename(f"{name}-renamed")


def stand_in(client: "DockerClient", name: str) -> None:
    """Put another container of that name, from another image, in its place, without starting it."""
    remove(client, name)
    client.containers.create(service_image(client, "local/other:2", SERVICE_NAME="other"), name=name)


def stand_in_by_compose(client: "DockerClient", name: str) -> None:
    remove(client, name)
    client.containers.create("local/service:1", name=f"home-{name}-2", labels=labels_of(name))


def untag(client: "DockerClient", name: str) -> None:
    remove(client, name)
    client.images.remove(f"local/{name}:1", force=True)
    client.images.prune()


def remove_network(client: "DockerClient", name: str) -> None:
    client.networks.get(f"home_{name}").remove()


# --- somebody brings it back in the middle ----------------------------------------------------------------------------


def started_by_hand(client: "DockerClient", name: str) -> None:
    client.containers.get(name).start()


def recreated(client: "DockerClient", name: str) -> None:
    remove(client, name)
    client.containers.run("local/assistant:1", name=name, detach=True, restart_policy=OWN_POLICY)


def recreated_from_another_image(client: "DockerClient", name: str) -> None:
    remove(client, name)
    client.containers.run(service_image(client, "local/other:2", SERVICE_NAME="b"), name=name, detach=True)


def made_anew_by_compose(client: "DockerClient", name: str) -> None:
    remove(client, name)
    image = service_image(client, "local/assistant:2", SERVICE_NAME="new")
    labels = labels_of(name)
    client.containers.run(image, name=f"home-{name}-1", detach=True, restart_policy=OWN_POLICY, labels=labels)


@dataclass(frozen=True)
class BroughtBack:
    """How somebody brings the service back, under which name it then runs, and what the trial says of that."""

    way: str
    meddle: Meddle
    name: str = ASSISTANT
    told: str = ""


BROUGHT_BACK = (
    BroughtBack("started by hand", started_by_hand),
    BroughtBack("recreated under its name", recreated, told="container assistant ("),
    BroughtBack("recreated from another image", recreated_from_another_image, told="container assistant ("),
    BroughtBack("made anew by compose", made_anew_by_compose, f"home-{ASSISTANT}-1", f"container home-{ASSISTANT}-1 ("),
)


def start_composed_assistant(client: "DockerClient") -> None:
    image = service_image(client, "local/assistant:1")
    client.containers.run(image, name=ASSISTANT, detach=True, restart_policy=OWN_POLICY, labels=labels_of(ASSISTANT))


@pytest.mark.parametrize("back", BROUGHT_BACK, ids=lambda back: back.way)
def test_a_service_that_somebody_brings_back_ends_the_trial(
    clean_engine: PrivateDaemon, tmp_path: Path, back: BroughtBack
) -> None:
    client = clean_engine.client()
    stub_image(client, IMAGE, "never-ready")
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    start_composed_assistant(client)
    scene.wait_until(scene.assistant_is_healthy)
    began: list[str] = []

    def state() -> dict[str, Any]:
        told: dict[str, Any] = client.containers.get(back.name).attrs["State"]
        return told

    def meddle() -> None:
        back.meddle(client, ASSISTANT)
        began.append(state()["StartedAt"])

    trial = trial_during(scene, meddle, code=6)
    assert (trial["outcome"], trial["bug"]["state"], trial["bring_up"]) == ("bench", "unknown", "untried")
    assert "runs again" in trial["reason"]
    assert back.told in trial["reason"], "who replaced it"
    assert ("stands in its place" in trial["reason"]) == bool(back.told)
    scene.wait_until(lambda: state()["Health"]["Status"] == "healthy")
    assert [state()["StartedAt"]] == began, "never stopped twice"
    scene.assert_nothing_is_left([back.name])


def test_a_service_whose_port_is_taken_stays_owed_until_it_is_free_and_names_the_taker(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    client, port = clean_engine.client(), free_port()
    stub_image(client, IMAGE, "never-ready")
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    scene.table["trial"]["timeouts"]["restore"] = "3s"
    service_image(client, "local/assistant:1")
    publish = {"8080/tcp": ("127.0.0.1", port)}
    client.containers.run("local/assistant:1", name=ASSISTANT, detach=True, restart_policy=OWN_POLICY, ports=publish)
    scene.wait_until(scene.assistant_is_healthy)

    def meddle() -> None:
        client.containers.run("local/assistant:1", name="squatter", detach=True, ports=publish)
        end_engine(scene)

    trial = trial_during(scene, meddle, code=5)
    assert trial["stage"] == "restore"
    assert "squatter" in str(trial["owed"])
    assert scene.watcher("status").returncode == 5
    client.containers.get("squatter").remove(force=True)
    assert scene.watcher("restore").returncode == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        assert answer.status == 200
    scene.assert_all_is_as_before()


# --- never stopped ----------------------------------------------------------------------------------------------------

PROBE_SAYS = b"""import os
print('WATCHER-PROBE {"trap_set": true, "trap": "set", "saw": "fault", "text": "shown"}', flush=True)
os._exit(0)
"""
SHOWING = {
    "static": {f"/usr/local/lib/python3.11/dist-packages/{LIBRARY}": (PRESENT, 0o644)},
    "probe": {TORCH: (PROBE_SAYS, 0o644)},
}


@pytest.mark.parametrize("shown_by", ["static", "probe"])
def test_with_the_bug_shown_and_unless_present_the_service_is_never_stopped(
    clean_engine: PrivateDaemon, tmp_path: Path, shown_by: str
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    stub_image(clean_engine.client(), IMAGE, "healthy", SHOWING[shown_by])
    scene.table["trial"]["bring_up"] = "unless-present"
    began, clock_ticks = scene.assistant()["State"]["StartedAt"], process_started(scene.assistant())
    since = int(time.time())
    trial = scene.answer("trial", "run", IMAGE)["trial"]
    assert (trial["bug"], trial["bring_up"]) == ({"id": "cuda-allocator", "state": "present"}, "untried")
    assert (trial["failure_class"], trial["displaced"]) == ("allocator-nvml-assert", [])
    assert scene.assistant()["State"]["StartedAt"] == began
    assert process_started(scene.assistant()) == clock_ticks
    told = clean_engine.client().api.events(since=since, until=int(time.time()) + 1, decode=True)
    did = [event["Action"] for event in told if event["Actor"]["Attributes"].get("name") == ASSISTANT]
    assert not {"kill", "die", "stop", "pause", "restart", "start", "update", "rename"} & set(did)
    scene.assert_all_is_as_before()


def process_started(told: dict[str, Any]) -> int:
    """Return when the container's first process started, in ticks since this machine's boot."""
    return int(Path(f"/proc/{told['State']['Pid']}/stat").read_text().rpartition(")")[2].split()[19])


# --- many services in one trial -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    """One displaced service: how it ran, what happens to it while it is away, under which name it then runs."""

    name: str
    fault: str
    meddle: Meddle = nothing
    run: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    becomes: str | None = None
    replaced: bool = False
    ill: bool = False
    displace: bool = True

    @property
    def name_after(self) -> str:
        return self.becomes or self.name


def policy(name: str, count: int = 0) -> dict[str, Any]:
    return {"restart_policy": {"Name": name, "MaximumRetryCount": count}}


SERVICES = (
    Service("no", "nothing happens to it; its restart policy is no", run=policy("no")),
    Service("on-failure", "nothing happens to it; its restart policy is on-failure:3", run=policy("on-failure", 3)),
    Service("unless", "nothing happens to it; its restart policy is unless-stopped", run=policy("unless-stopped")),
    Service("always", "nothing happens to it; its restart policy is always", run=policy("always")),
    Service("ill", "it was ill before", ill=True, run=policy("unless-stopped")),
    Service("warming", "it was still starting up before", env={"SERVICE_WARM_UP": "600"}, ill=True),
    Service("removed", "it is removed", remove, policy("unless-stopped")),
    Service("renamed", "it is renamed", rename, becomes="renamed-renamed"),
    Service("other", "another image stands under its name, not started", stand_in, replaced=True),
    Service(
        "composed", "compose made it anew, not started", stand_in_by_compose, {"labels": labels_of("composed")},
        becomes="home-composed-2", replaced=True,
    ),
    Service("untagged", "it is removed and its image loses its name", untag, {"image": "local/untagged:1"}),
    Service(
        "networked", "its network is removed", remove_network,
        {"network": "home_networked", "labels": labels_of("networked")},
    ),
    Service(
        "keeper", "it is removed; it has a named, an unnamed and a bound volume", remove,
        {"volumes": {"kept": {"bind": "/kept", "mode": "rw"}, "FOLDER": {"bind": "/bound", "mode": "ro"}}},
    ),
    Service("holder", "others live in its network", run=policy("unless-stopped")),
    Service("dependent", "it lives in the network of another", run={"network_mode": "container:holder"},
            env={"SERVICE_PORT": "9000"}, ill=True, displace=False),
)  # fmt: skip
WAYS = {"each in its own way": False, "system prune": True}


@dataclass
class Afterwards:
    scene: Scene
    trial: dict[str, Any]
    before: dict[str, dict[str, Any]]
    pruned: bool

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(self.scene.docker().client().api.inspect_container(name))


def start_services(client: "DockerClient", folder: Path) -> None:
    for image in ("local/service:1", "local/untagged:1"):
        service_image(client, image, SERVICE_NAME=image)
    client.networks.create("home_networked", labels={"com.docker.compose.project": "home"})
    (folder / "bound").mkdir()
    for service in SERVICES:
        run: dict[str, Any] = {"image": "local/service:1", "environment": service.env, **service.run}
        if "volumes" in run:
            named = {str(folder / "bound") if name == "FOLDER" else name: at for name, at in run["volumes"].items()}
            run["volumes"] = [*(f"{name}:{at['bind']}:{at['mode']}" for name, at in named.items()), "/unnamed"]
        client.containers.run(name=service.name, detach=True, **run)
    client.containers.get("ill").exec_run(["touch", "/tmp/ill"])
    client.containers.get("keeper").exec_run(["sh", "-c", "echo learned > /kept/a; echo thought > /unnamed/b"])


def all_stand(client: "DockerClient") -> bool:
    def stands(service: Service) -> bool:
        health = client.api.inspect_container(service.name)["State"]["Health"]["Status"]
        return bool(health == "healthy" or (service.ill and health in ("unhealthy", "starting")))

    return all(stands(service) for service in SERVICES)


@pytest.fixture(scope="module", params=WAYS)
def afterwards(
    request: pytest.FixtureRequest, docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Afterwards]:
    """Displace all of SERVICES in one trial, do to each what it has coming, and lend what became of them."""
    folder, pruned = tmp_path_factory.mktemp("displaced"), WAYS[request.param]
    client = docker_engine.client()
    stub_image(client, IMAGE, "never-ready")
    scene = scene_with(docker_engine, folder, ["local/vllm"], [])
    scene.table["trial"]["displace"] = [f"container:{service.name}" for service in SERVICES if service.displace]
    start_services(client, folder)
    scene.wait_until(lambda: all_stand(client))
    before = {service.name: dict(client.api.inspect_container(service.name)) for service in SERVICES}

    def meddle() -> None:
        if pruned:
            client.containers.prune()
            client.networks.prune()
            client.images.prune()
        else:
            for service in SERVICES:
                service.meddle(client, service.name)
        end_engine(scene)

    try:
        yield Afterwards(scene, trial_during(scene, meddle), before, pruned)
    finally:
        docker_engine.sweep()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_whatever_is_done_to_a_service_that_is_away_it_is_back_as_it_was(
    afterwards: Afterwards, service: Service
) -> None:
    was = afterwards.before[service.name]
    replaced = service.replaced and not afterwards.pruned
    now = afterwards.inspect(service.name if afterwards.pruned else service.name_after)
    assert now["State"]["Running"]
    assert (now["State"]["Health"]["Status"] == "healthy") or service.ill
    if replaced:
        return
    assert policy_of(now) == policy_of(was), "its own policy"
    assert now["Image"] == was["Image"]
    assert now["Config"]["Env"] == was["Config"]["Env"]
    assert now["NetworkSettings"]["Networks"].keys() == was["NetworkSettings"]["Networks"].keys()
    assert {mount["Destination"] for mount in now["Mounts"]} == {mount["Destination"] for mount in was["Mounts"]}


def policy_of(told: dict[str, Any]) -> tuple[str, int]:
    own = told["HostConfig"]["RestartPolicy"]
    return own["Name"] or "no", own["MaximumRetryCount"]


def test_after_it_all_nothing_is_left_and_the_verdict_is_the_candidates(afterwards: Afterwards) -> None:
    trial, scene = afterwards.trial, afterwards.scene
    names = [service.name if afterwards.pruned else service.name_after for service in SERVICES]
    scene.assert_nothing_is_left(names)
    assert (trial["outcome"], trial["stage"], trial["bring_up"]) == ("verdict", "done", "fails")
    assert set(trial["displaced"]) == {f"container:{service.name}" for service in SERVICES}


def test_what_a_service_kept_in_its_volumes_is_still_there(afterwards: Afterwards) -> None:
    keeper = afterwards.scene.docker().client().containers.get("keeper")
    assert keeper.exec_run(["cat", "/kept/a", "/unnamed/b"]).output == b"learned\nthought\n"


def test_the_dependent_still_lives_in_the_network_of_its_holder(afterwards: Afterwards) -> None:
    dependent = afterwards.scene.docker().client().containers.get("dependent")
    ask = "import urllib.request as r;print(r.urlopen('http://127.0.0.1:8080/',timeout=5).status)"
    assert dependent.exec_run(["python3", "-c", ask]).output == b"200\n"


# --- the rows ---------------------------------------------------------------------------------------------------------

GROUP = "the displaced service"
ROWS = (
    *(Row(GROUP, service.fault, "the trial's way back", "its verdict", 1) for service in SERVICES),
    Row(GROUP, "all stopped containers, their networks and unnamed images are pruned", "made again from the note",
        "its verdict", len(SERVICES)),
    Row(GROUP, "somebody brings it back in the middle of the trial", "it runs already; the trial gives way", "`bench`",
        len(BROUGHT_BACK)),
    Row(GROUP, "the bug is shown by bytes or probe, with `bring_up = \"unless-present\"`", "it is never stopped",
        "`present`", len(SHOWING)),
    Row(GROUP, "its port is taken meanwhile", "`restore`, once the port is free; exit code 5 until then",
        "its verdict, and who took the port", 1),
)  # fmt: skip
