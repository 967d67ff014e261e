"""Ollama and TensorRT through stand-ins on their own routes: what the program does with their presets."""

from pathlib import Path
from typing import Any

import pytest

from tests.real.base_image import build_image
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with

PROGRAMS = Path(__file__).parents[1] / "real"
OLLAMA = "dustynv/ollama:0.6.8-r36.4-cu126-22.04"
TENSORRT = "dustynv/tensorrt_llm:0.12-r36.4.0"
EDGE = "local/edge-llm:r36.4"
_PATH = "PATH=/usr/local/bin:/usr/bin:/bin"


def stand_in(scene: Scene, tag: str, program: str, place: str, conf: dict[str, Any] | None = None, **env: str) -> None:
    content = b"#!/usr/bin/python3\n" + (PROGRAMS / program).read_bytes()
    described = {**(conf or {}), "Env": [_PATH, *(f"{name}={value}" for name, value in env.items())]}
    build_image(scene.docker().client(), tag, {place: (content, 0o755)}, described)


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    """A device with a service that has to make room, and a model in each engine's own form."""
    scene = scene_with(clean_engine, tmp_path, ["dustynv/vllm"], [])
    models, engine = tmp_path / "models", tmp_path / "engine"
    manifest = models / "manifests" / "registry.ollama.ai" / "library" / "llama3.2"
    manifest.mkdir(parents=True)
    (manifest / "3b").write_text("{}")
    engine.mkdir()
    (engine / "config.json").write_text("{}")
    built = {"model": "/engine", "mounts": [f"{engine}:/engine"]}
    scene.table["engines"] |= {
        "ollama": {"model": "llama3.2:3b", "mounts": [f"{models}:/data/models/ollama/models"]},
        "tensorrt-llm": built,
        "tensorrt-edge-llm": {**built, "images": ["local/edge-llm"]},
    }
    scene.start_assistant()
    return scene


def tried(scene: Scene, image: str) -> dict[str, Any]:
    document = scene.answer("trial", "run", image)
    scene.assert_all_is_as_before()
    trial: dict[str, Any] = document["trial"]
    assert trial["outcome"] == "verdict", trial["reason"]
    return trial


def ollama(scene: Scene, **env: str) -> dict[str, Any]:
    # as jetson-containers ships it: its own command would leave a shell as the main process
    shell = {"Cmd": ["/bin/sh", "-c", "ollama serve & exec /bin/bash"]}
    stand_in(scene, OLLAMA, "ollama_program.py", "/usr/local/bin/ollama", shell, **env)
    trial = tried(scene, OLLAMA)
    assert trial["engine"] == "ollama"
    return trial


def texts(trial: dict[str, Any]) -> list[str]:
    return [row["text"] for row in trial["evidence"]]


def test_ollama_is_run_as_the_main_process_and_spoken_to_in_its_own_dialect(scene: Scene) -> None:
    trial = ollama(scene)
    assert (trial["bring_up"], trial["failure_class"]) == ("works", None), trial["evidence"]
    accepted = trial["acceptance"]
    assert (accepted["completion"], accepted["streams"], accepted["tool_call"]) == (True, True, True)
    assert 'stream: 5 pieces of text, closed by "done": true' in texts(trial)
    assert "CPU" not in trial["reason"]
    assert any("several models at once" in text for text in texts(trial))


@pytest.mark.parametrize(("share", "told"), [("0", "fell back to the CPU"), ("40", "40 % of the model")])
def test_a_fall_back_to_the_cpu_is_told_though_it_works(scene: Scene, share: str, told: str) -> None:
    trial = ollama(scene, STUB_VRAM=share)
    assert trial["bring_up"] == "works"
    assert told in trial["reason"]
    assert any(told in text for text in texts(trial))


def test_an_ollama_that_calls_no_tool_fails_with_what_it_said_instead(scene: Scene) -> None:
    trial = ollama(scene, STUB_TOOLS="none")
    seen = (trial["bring_up"], trial["failure_class"], trial["failed_stage"])
    assert seen == ("fails", "model-config", "accept"), (trial["starts"], texts(trial))
    assert any("no tool was called; the engine said: Hello from the stand-in." in text for text in texts(trial))


def test_a_model_that_ollama_does_not_have_is_named(scene: Scene) -> None:
    scene.table["engines"]["ollama"]["model"] = "no-such-model"
    trial = ollama(scene)
    assert (trial["bring_up"], trial["failed_stage"]) == ("fails", "accept")
    assert any("model 'no-such-model' not found" in text for text in texts(trial))


def test_a_main_process_that_ends_at_once_is_a_crash_whatever_its_exit_code(scene: Scene) -> None:
    trial = ollama(scene, STUB_MODE="crash-loop")
    assert (trial["bring_up"], trial["failure_class"], trial["failed_stage"]) == ("fails", "other-crash", "ready")
    assert [start["exit_code"] for start in trial["starts"]] == [0]


@pytest.mark.parametrize(
    ("image", "place", "engine"),
    [
        (TENSORRT, "/usr/local/bin/trtllm-serve", "tensorrt-llm"),
        (EDGE, "/usr/lib/python3/dist-packages/experimental/server.py", "tensorrt-edge-llm"),
    ],
)
def test_a_tensorrt_engine_works_without_tools_and_is_called_experimental(
    scene: Scene, image: str, place: str, engine: str
) -> None:
    stand_in(scene, image, "trtllm_program.py", place)
    trial = tried(scene, image)
    assert (trial["engine"], trial["bring_up"]) == (engine, "works"), trial["evidence"]
    assert trial["acceptance"]["tool_call"] is None
    assert any("is experimental: little is known of it on a Jetson" in text for text in texts(trial))


def test_a_tensorrt_image_without_its_server_is_a_verdict_and_gives_the_service_back(scene: Scene) -> None:
    stand_in(scene, TENSORRT, "trtllm_program.py", "/usr/local/bin/something-else")
    trial = tried(scene, TENSORRT)
    assert (trial["bring_up"], trial["failed_stage"]) == ("fails", "start")
    assert "trtllm-serve" in trial["reason"]
