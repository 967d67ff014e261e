"""The figures of a working engine: phrases, tool calls and latency in a whole trial, whatever the engine answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.main_loop.one_trial import IMAGE
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image
from watcher.config.suites import BUILTIN_FILE

SUITE = "/suite.json"


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    scene.start_assistant()
    return scene


def tried(scene: Scene, *options: str, **env: str) -> dict[str, Any]:
    """Try an engine that knows the phrases by heart, and answers them as `env` says; the service is given back."""
    files = {SUITE: (BUILTIN_FILE.read_bytes(), 0o644)}
    stub_image(scene.docker().client(), IMAGE, "healthy", files, STUB_SUITE=SUITE, **env)
    trial: dict[str, Any] = scene.answer("trial", "run", IMAGE, *options)["trial"]
    scene.assert_all_is_as_before()
    assert trial["outcome"] == "verdict", trial
    return trial


def said(trial: dict[str, Any]) -> str:
    return "\n".join(row["text"] for row in trial["evidence"] if row["rung"] == "acceptance")


def test_right_answers_are_counted_with_their_interval_and_latency(scene: Scene) -> None:
    trial = tried(scene, "--level", "target")
    seen = trial["acceptance"]
    assert trial["bring_up"] == "works"
    assert seen["phrases"] == {"passed": 32, "total": 32}, said(trial)
    assert seen["tool_accuracy"] == {"value": 1.0, "n": 68, "low": 0.9465, "high": 1.0}
    assert 0 < seen["p95_seconds"] < 3
    assert (seen["answers"], seen["level"]) == (72, "none"), "stability was not measured"
    assert said(trial).count("level target:") == 1
    shown = scene.watcher("trial", "show", str(trial["id"])).stdout
    page = (scene.data_dir / "page" / "index.html").read_text(encoding="utf-8")
    for told in (shown, page):
        assert "phrases 32 of 32 (95 % interval 89–100 %)" in told
        assert "tool calls right 68 of 68 (95 % interval 95–100 %)" in told
        assert "(of 72, one at a time)" in told


def test_wrong_answers_are_told_and_are_no_failure(scene: Scene) -> None:
    trial = tried(scene, "--level", "target", "--repeats", "2", STUB_PHRASES="wrong", STUB_FROM="20")
    seen = trial["acceptance"]
    assert (trial["bring_up"], trial["failure_class"]) == ("works", None)
    assert [start["bring_up"] for start in trial["starts"]] == ["works", "works"]
    assert said(trial).count("answers were wrong") == 1, "of two starts alike, only one is asked"
    assert seen["phrases"] == {"passed": 24, "total": 32}, "four of the rest want no call"
    assert (seen["tool_accuracy"]["n"], seen["tool_accuracy"]["value"]) == (68, 0.2941)
    assert "28 of 32 phrases: 24 of 32 (95 % interval 58–87 %)" in said(trial)
    assert "answered: no call, but: I would rather not." in said(trial)


def test_the_further_requests_are_asked_from_level_target_on(scene: Scene) -> None:
    trial = tried(scene)
    seen = trial["acceptance"]
    assert (seen["phrases"], seen["answers"]) == ({"passed": 32, "total": 32}, 32)
    assert seen["tool_accuracy"] is None
    assert "phrases" not in said(trial), "what was not to be asked is not missing"


def test_hostile_answers_are_wrong_and_nothing_more(scene: Scene) -> None:
    trial = tried(scene, "--level", "target", STUB_PHRASES="hostile")
    assert trial["bring_up"] == "works"
    assert trial["acceptance"]["tool_accuracy"]["value"] == 0
    assert trial["acceptance"]["phrases"]["total"] == 32


@pytest.mark.parametrize("manner", ["slow", "trickle"])
def test_what_was_not_asked_in_time_is_not_measured(scene: Scene, manner: str) -> None:
    scene.table["trial"]["timeouts"]["accept"] = "4s"
    trial = tried(scene, STUB_PHRASES=manner, STUB_FROM="5", STUB_PACE="1")
    seen = trial["acceptance"]
    assert (trial["bring_up"], trial["failed_stage"]) == ("works", None)
    assert (seen["phrases"], seen["tool_accuracy"]) == (None, None)
    assert seen["answers"] == (5 if manner == "trickle" else pytest.approx(7, abs=2))
    assert f"{seen['answers']} of 32 were asked" in said(trial)


def test_the_total_of_a_trial_leaves_time_for_the_way_back(scene: Scene) -> None:
    scene.table["trial"]["total"] = "12s"
    trial = tried(scene, STUB_PHRASES="slow", STUB_PACE="1")
    assert (trial["bring_up"], trial["acceptance"]["phrases"]) == ("works", None)
    assert trial["acceptance"]["answers"] > 2


@pytest.mark.parametrize("manner", ["die", "sick"])
def test_an_engine_that_dies_during_the_phrases_fails(scene: Scene, manner: str) -> None:
    scene.table["engines"]["vllm"]["health_grace"] = "1s"
    trial = tried(scene, STUB_PHRASES=manner, STUB_FROM="12")
    assert (trial["bring_up"], trial["failed_stage"]) == ("fails", "accept")
    assert trial["failure_class"] == "other-crash"
    assert "other-crash" in trial["reason"]
    assert trial["acceptance"]["phrases"] is None
    assert "12 of 32 were asked" in said(trial)


def test_a_suite_of_ones_own_is_asked(scene: Scene) -> None:
    suite = json.loads(BUILTIN_FILE.read_text(encoding="utf-8"))
    (scene.folder / "ours.json").write_text(json.dumps({"tools": suite["tools"], "phrases": suite["phrases"][:3]}))
    scene.table["acceptance"] = {"suite": "ours.json"}
    seen = tried(scene)["acceptance"]
    assert (seen["phrases"], seen["tool_accuracy"]["n"]) == ({"passed": 3, "total": 3}, 3)


ASKS = """#!/usr/bin/env python3
import json, os, sys, urllib.request
models = json.load(urllib.request.urlopen(os.environ["WATCHER_ENGINE_URL"] + "/v1/models"))["data"]
print("1/9, then", models[0]["id"] == os.environ["WATCHER_MODEL"] and sys.argv[1:] == ["two words"] and "7/8")
"""


@pytest.mark.parametrize(
    ("script", "phrases", "told"),
    [
        (ASKS, {"passed": 7, "total": 8}, "7 of 8, exit code 0"),
        ("#!/bin/sh\necho 8/8; sleep 600", None, "did not end in the time of this stage"),
    ],
    ids=["asks", "hangs"],
)
def test_a_command_of_ones_own_replaces_the_phrases(
    scene: Scene, script: str, phrases: dict[str, int] | None, told: str
) -> None:
    (scene.folder / "score").write_text(script)
    (scene.folder / "score").chmod(0o755)
    scene.table["acceptance"] = {"command": "./score 'two words'"}
    scene.table["trial"]["timeouts"]["accept"] = "4s"
    trial = tried(scene)
    assert (trial["bring_up"], trial["acceptance"]["phrases"]) == ("works", phrases), said(trial)
    assert trial["acceptance"]["tool_accuracy"] is None
    assert told in said(trial)
