"""A real llama.cpp, tried by the program as a person runs it: healthy, and each way in which it can fail here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.gguf_model import write_model
from tests.engines.llama_image import IMAGE, MODEL, SITE, llama_image
from tests.host.contract import is_well
from tests.real.base_image import base_image
from tests.real.compose import address_of, brought_up
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from watcher.trial.exchange import EngineClient

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]  # the first run installs

LIBGOMP = "/usr/lib/x86_64-linux-gnu/libgomp.so.1"


def base_without(client: "DockerClient", path: str) -> str:
    """Return the base image with one file taken away."""
    container = client.api.create_container(base_image(client), command=["rm", path])["Id"]
    try:
        client.api.start(container)
        assert client.api.wait(container)["StatusCode"] == 0
        return str(client.api.commit(container, conf={"Labels": {}})["Id"])
    finally:
        client.api.remove_container(container, force=True)


@pytest.fixture
def scene(clean_engine: PrivateDaemon, packages: Path, tmp_path: Path) -> Scene:
    """A device with a service that has to make room, and llama.cpp with the small model beside vLLM."""
    scene = scene_with(clean_engine, tmp_path, ["dustynv/vllm"], [])
    write_model(tmp_path / "models" / "m.gguf")
    scene.table["engines"]["llama-cpp"] = {
        "model": MODEL,
        "mounts": [f"{packages}:{SITE}", f"{tmp_path / 'models'}:/models"],
    }
    scene.start_assistant()
    return scene


def tried(scene: Scene, *arguments: str) -> dict[str, Any]:
    """Run the trial by hand; whatever the engine does, the service is given back."""
    document = scene.answer("trial", "run", IMAGE, *arguments)
    scene.assert_all_is_as_before()
    trial: dict[str, Any] = document["trial"]
    assert (trial["engine"], trial["outcome"], trial["owed"]) == ("llama-cpp", "verdict", [])
    return trial


def test_a_healthy_engine_answers_streams_and_calls_the_tool(scene: Scene) -> None:
    llama_image(scene.docker().client())
    trial = tried(scene, "--level", "target")
    assert (trial["bring_up"], trial["failure_class"]) == ("works", None), "\n".join(
        row["text"] for row in trial["evidence"]
    )
    accepted = trial["acceptance"]
    assert (accepted["completion"], accepted["streams"], accepted["tool_call"]) == (True, True, True)
    # the model answers every errand with milk on the shopping list
    assert accepted["phrases"] == {"passed": 1, "total": 32}
    assert (accepted["answers"], accepted["tool_accuracy"]["n"]) == (72, 68)
    assert accepted["metrics"] > 5
    said = [row["text"] for row in trial["evidence"]]
    assert 'tool call: add_to_list({"list_name": "shopping", "item": "milk"})' in said
    assert trial["bug"]["state"] == "unknown"
    assert "there is no torch inside" in said, "an engine without PyTorch says nothing about its bug"
    assert [start["profile"] for start in trial["starts"]] == ["recommended"]


def test_the_compose_file_of_its_kit_brings_the_same_engine_up(scene: Scene, tmp_path: Path) -> None:
    llama_image(scene.docker().client())
    scene.table["engines"]["llama-cpp"]["ulimits"] = {}
    number = str(tried(scene)["id"])
    assert scene.watcher("trial", "kit", number, "--out", str(tmp_path / "kit")).returncode == 0
    with brought_up(scene.docker(), tmp_path / "kit" / "compose.yaml") as container:
        address = f"http://{address_of(container)}:8080"
        scene.wait_until(lambda: is_well(address))
        client = EngineClient(address, "watcher-trial", "/health")
        assert client.complete().ok
        assert client.call_tool().ok
        client.close()


@dataclass(frozen=True)
class Case:
    """What is wrong, and what the trial must say of it."""

    failure_class: str
    reason: str
    stage: str = "ready"
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    starts: int = 1


CASES = {
    "model-missing": Case("model-config", "gone.gguf", settings={"model": "/models/gone.gguf"}),
    "model-damaged": Case("model-config", "corrupted or incomplete", settings={"model": "/models/damaged.gguf"}),
    "unknown-flag": Case("model-config", "--no-such-flag", settings={"args": ["--no-such-flag"]}, starts=2),
    "memory-limit": Case(
        "genuine-oom", "memory limit", env={"TAKES_MEMORY": "400000000"}, settings={"memory": "200MB"}, starts=2
    ),
    "killed-after-ready": Case(
        "other-crash", "after it was ready", "soak", env={"DIES_AFTER": "4"}, arguments=("--soak", "60s")
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_is_called_by_its_name(scene: Scene, name: str) -> None:
    case = CASES[name]
    model = scene.folder / "models" / "m.gguf"
    (scene.folder / "models" / "damaged.gguf").write_bytes(model.read_bytes()[:100_000])
    scene.table["engines"]["llama-cpp"] |= case.settings
    llama_image(scene.docker().client(), **case.env)
    trial = tried(scene, *case.arguments)
    assert (trial["bring_up"], trial["failure_class"], trial["failed_stage"]) == (
        "fails",
        case.failure_class,
        case.stage,
    )
    assert case.reason in trial["reason"]
    assert len(trial["starts"]) == case.starts, "a next profile may ask for less memory, or without the flag"


def test_a_missing_library_of_the_image_is_named(scene: Scene) -> None:
    client = scene.docker().client()
    llama_image(client, base=base_without(client, LIBGOMP))
    trial = tried(scene)
    assert (trial["bring_up"], trial["failure_class"]) == ("fails", "driver-runtime")
    assert "libgomp.so.1" in trial["reason"]
