"""What `--level stretch` alone asks of an engine that works: its return after a death, and several models."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.main_loop.one_trial import IMAGE
from tests.real.base_image import build_image
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image
from watcher.trial.metrics import metrics_beside

PROGRAM = Path(__file__).parents[1] / "real" / "ollama_program.py"
OLLAMA = "dustynv/ollama:0.6.8-r36.4-cu126-22.04"


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    counted = tmp_path / "count"
    counted.mkdir()
    counted.chmod(0o777)
    scene.table["engines"]["vllm"]["mounts"].append(f"{counted}:/count:rw")
    scene.start_assistant()
    return scene


def said(trial: dict[str, Any]) -> str:
    return "\n".join(row["text"] for row in trial["evidence"])


def starts(trial: dict[str, Any]) -> list[tuple[str, str]]:
    return [(start["profile"], start["bring_up"]) for start in trial["starts"]]


def test_a_death_is_noticed_and_the_engine_comes_back(scene: Scene) -> None:
    stub_image(scene.docker().client(), IMAGE, "healthy")
    trial = scene.answer("trial", "run", IMAGE, "--level", "stretch", "--soak", "2s")["trial"]
    scene.assert_all_is_as_before()
    assert (trial["outcome"], trial["bring_up"], trial["failed_stage"]) == ("verdict", "works", None), trial
    assert starts(trial) == [("plain", "works"), ("plain", "works")]
    assert len({start["log"] for start in trial["starts"]}) == 2
    seen = trial["acceptance"]
    assert 0 <= seen["noticed_seconds"] < 10, "within the grace of health"
    assert seen["noticed_seconds"] < seen["ready_again_seconds"] < 120
    assert (seen["multi_model"], seen["models_loaded"], seen["streams"]) == (False, None, True)
    told = f"its death noticed after {seen['noticed_seconds']:.1f} s, ready again after"
    assert "several models: vLLM holds one" in said(trial)
    assert "level stretch: stable for 24h" in said(trial)
    assert not any(line in said(trial) for line in ("recovery noticed and told:", "several models loaded"))
    page = (scene.data_dir / "page" / "index.html").read_text(encoding="utf-8")
    assert told in page
    assert told in scene.watcher("trial", "show", str(trial["id"])).stdout


def test_an_engine_that_does_not_come_back_worked_all_the_same(scene: Scene) -> None:
    stub_image(scene.docker().client(), IMAGE, "healthy", STUB_BAD_STARTS="1")
    trial = scene.answer("trial", "run", IMAGE, "--level", "stretch")["trial"]
    scene.assert_all_is_as_before()
    assert (trial["outcome"], trial["bring_up"], trial["failed_stage"]) == ("verdict", "works", None), trial
    assert starts(trial) == [("plain", "works"), ("plain", "fails")]
    assert (trial["bug"]["state"], trial["deciding_start"]) == ("present", 0), "its log shows the assert"
    assert trial["acceptance"]["noticed_seconds"] is not None
    assert trial["acceptance"]["ready_again_seconds"] is None
    assert "recovery: given up: the engine ended before it was ready" in said(trial)
    assert "level stretch: recovery noticed and told: noticed after" in said(trial)


def test_the_engine_that_came_back_is_the_one_that_is_kept(scene: Scene) -> None:
    stub_image(scene.docker().client(), IMAGE, "healthy")
    trial = scene.answer("trial", "run", IMAGE, "--level", "stretch", "--keep")["trial"]
    assert starts(trial) == [("plain", "works"), ("plain", "works")], trial
    assert trial["acceptance"]["ready_again_seconds"] is not None
    (kept,) = scene.docker().client().containers.list(filters={"name": "watcher-trial"})
    (owed,) = (scene.data_dir / "owed").glob("*.json")
    assert json.loads(owed.read_text(encoding="utf-8"))["kept"]["container"] == kept.id
    scene.answer("restore")
    scene.assert_all_is_as_before()


def ollama_with(scene: Scene, *models: str) -> None:
    """Let the device have Ollama, and so many models for it."""
    folder = scene.folder / "models"
    for model in models:
        name, _, tag = model.partition(":")
        (folder / "manifests/registry.ollama.ai/library" / name).mkdir(parents=True, exist_ok=True)
        (folder / "manifests/registry.ollama.ai/library" / name / tag).write_text("{}")
    scene.table["engines"]["ollama"] = {"model": models[0], "mounts": [f"{folder}:/data/models/ollama/models"]}
    content = b"#!/usr/bin/python3\n" + PROGRAM.read_bytes()
    conf = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
    build_image(scene.docker().client(), OLLAMA, {"/usr/local/bin/ollama": (content, 0o755)}, conf)


@pytest.mark.parametrize(
    ("profile", "loaded", "told"),
    [
        ("several", 2, "llama3.2:3b and qwen3:4b answered; loaded at once: llama3.2:3b, qwen3:4b"),
        ("recommended", 1, "several models loaded, where the engine can: 1 of 2"),
    ],
)
def test_a_second_model_is_loaded_beside_the_first(scene: Scene, profile: str, loaded: int, told: str) -> None:
    ollama_with(scene, "llama3.2:3b", "qwen3:4b")
    trial = scene.answer("trial", "run", OLLAMA, "--level", "stretch", "--profile", profile)["trial"]
    scene.assert_all_is_as_before()
    assert trial["bring_up"] == "works", trial
    seen = trial["acceptance"]
    assert (seen["multi_model"], seen["models_loaded"]) == (True, loaded)
    assert told in said(trial)
    assert "one was tried" not in said(trial)
    assert seen["ready_again_seconds"] is not None


def test_where_there_is_no_second_model_that_is_said_and_not_met(scene: Scene) -> None:
    ollama_with(scene, "llama3.2:3b")
    trial = scene.answer("trial", "run", OLLAMA, "--level", "stretch")["trial"]
    assert (trial["bring_up"], trial["acceptance"]["models_loaded"]) == ("works", None), trial
    assert "several models: the engine has no other model than llama3.2:3b" in said(trial)
    kept = metrics_beside(scene.data_dir / trial["starts"][0]["log"]).read_text()
    answers = trial["acceptance"]["answers"] + 2
    assert f'ollama_answers_total{{model="llama3.2:3b"}} {answers}\n' in kept, "a plain answer and a tool call before"
    assert 'ollama_generated_tokens_per_second{model="llama3.2:3b"} 5\n' in kept
    assert "several models loaded, where the engine can: not measured" in said(trial)
