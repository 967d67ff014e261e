"""A real vLLM, tried by the program as a person runs it: with the fault of the user's device, and healthy."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.engines.build import EngineBuild, engine_build
from tests.engines.image import ASSERT_TEXT, MODEL, PROFILE_ARGS, ULIMITS, mounts, vllm_image
from tests.engines.record import CUDA_OOM, NVMAP
from tests.real.docker import CannotRunHere, PrivateDaemon
from tests.real.scene import Scene, scene_with

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]  # the first run installs and trains

REPOSITORY = "dustynv/vllm"
IMAGE = f"{REPOSITORY}:0.32.0-r36.4-cu129-24.04"
PATIENCE = 1500
OOM = {"FAULT_AT_KV": CUDA_OOM, "FAULT_ERROR": "OutOfMemoryError"}
NVMAP_AT_LOAD = {"FAULT_AT_LOAD": "CUDA error: out of memory", "FAULT_ERROR": "AcceleratorError", "FAULT_STDERR": NVMAP}
NO_KERNEL = {
    "FAULT_AT_LOAD": "CUDA error: no kernel image is available for execution on the device",
    "FAULT_ERROR": "AcceleratorError",
}
KILLED_AT_RUN = {"FAULT_AT_RUN": "killed", "FAULT_ACT": "kill"}
HANGS = {"FAULT_AT_LOAD": "hangs", "FAULT_ACT": "hang"}


@pytest.fixture(scope="session")
def build() -> EngineBuild:
    try:
        return engine_build()
    except CannotRunHere as reason:
        pytest.skip(str(reason))


@pytest.fixture
def scene(clean_engine: PrivateDaemon, build: EngineBuild, tmp_path: Path) -> Scene:
    """A device with a service that has to make room, and a configuration for the tiny model."""
    scene = scene_with(clean_engine, tmp_path, [REPOSITORY], [])
    scene.table["trial"] |= {"total": "24m", "timeouts": {"ready": "10m", "restore": "60s"}}
    scene.table["engines"]["vllm"] |= {
        "model": MODEL,
        "mounts": list(mounts(build)),
        "ulimits": ULIMITS,
        "profiles": [profile("tiny")],
    }
    scene.start_assistant()
    return scene


def profile(name: str, *args: str, **fault: str) -> dict[str, Any]:
    """Return a profile whose start fails as `fault` says."""
    return {"name": name, "args": [*PROFILE_ARGS, *args], "env": fault, "tools": True}


def test_the_fault_of_the_users_device_is_called_by_its_name_with_its_line(scene: Scene) -> None:
    vllm_image(scene.docker().client(), IMAGE, FAULT_AT_KV=ASSERT_TEXT)
    document = _tried(scene)
    trial = document["trial"]
    assert (trial["outcome"], trial["bug"]["state"], trial["bring_up"]) == ("verdict", "present", "fails")
    assert (trial["failure_class"], trial["failed_stage"]) == ("allocator-nvml-assert", "ready")
    assert [(start["profile"], start["exit_code"]) for start in trial["starts"]] == [("tiny", 1)]
    _assert_evidence_is_in_the_log(scene, trial)
    assert document["answer"]["bug"] == {"id": "cuda-allocator", "state": "present"}
    _assert_given_back(scene, trial)


def test_profiles_are_gone_through_until_one_works_which_proves_nothing_about_the_bug(scene: Scene) -> None:
    """Three starts fail in ways that other arguments could change; the fourth is the real engine as it is."""
    scene.table["engines"]["vllm"]["profiles"] = [
        profile("short-of-memory", **OOM),
        profile("refused-by-nvmap", **NVMAP_AT_LOAD),
        profile("flag", "--no-such-flag"),
        profile("tiny"),
    ]
    vllm_image(scene.docker().client(), IMAGE)
    document = _tried(scene, "--level", "target")
    trial = document["trial"]
    seen = [(start["profile"], start["failure_class"], start["exit_code"]) for start in trial["starts"][:3]]
    assert seen == [
        ("short-of-memory", "genuine-oom", 1),
        ("refused-by-nvmap", "nvmap-alloc-failure", 1),
        ("flag", "model-config", 2),
    ]
    assert (len(trial["starts"]), trial["deciding_start"]) == (4, 3)
    assert (trial["outcome"], trial["bring_up"], trial["failure_class"]) == ("verdict", "works", None)
    assert trial["bug"]["state"] == "unknown", "the faulty branch never ran"
    accepted = trial["acceptance"]
    assert (accepted["completion"], accepted["streams"], accepted["tool_call"]) == (True, True, True)
    said = [row["text"] for row in trial["evidence"] if row["rung"] == "acceptance"]
    _assert_figures(accepted, said)
    assert any("add_to_list" in text and "milk" in text for text in said), said
    assert document["answer"]["bring_up"] == "works"
    _assert_given_back(scene, trial)


def test_a_missing_kernel_ends_the_trial_at_once_other_arguments_change_nothing(scene: Scene) -> None:
    scene.table["engines"]["vllm"]["profiles"] = [profile("first", **NO_KERNEL), profile("second")]
    vllm_image(scene.docker().client(), IMAGE)
    trial = _tried(scene)["trial"]
    assert (trial["bring_up"], trial["failure_class"]) == ("fails", "arch-mismatch")
    assert [start["profile"] for start in trial["starts"]] == ["first"]
    _assert_given_back(scene, trial)


def test_an_engine_that_dies_after_readiness_fails_though_its_exit_code_is_0(scene: Scene) -> None:
    scene.table["engines"]["vllm"]["profiles"] = [profile("tiny", **KILLED_AT_RUN)]
    vllm_image(scene.docker().client(), IMAGE)
    trial = _tried(scene)["trial"]
    assert (trial["bring_up"], trial["failed_stage"]) == ("fails", "accept")
    # vLLM logs the worker's end sometimes with its code, -9 as the kernel's killer leaves it, and sometimes without one
    assert trial["failure_class"] in ("genuine-oom", "other-crash")
    (start,) = trial["starts"]
    assert start["exit_code"] == 0, "vLLM says that all is well when its engine is gone"
    _assert_given_back(scene, trial)


def test_an_engine_that_hangs_while_loading_is_given_up_at_its_deadline(scene: Scene) -> None:
    scene.table["engines"]["vllm"]["profiles"] = [profile("tiny", **HANGS)]
    scene.table["trial"]["timeouts"]["ready"] = "60s"
    vllm_image(scene.docker().client(), IMAGE)
    trial = _tried(scene)["trial"]
    assert (trial["bring_up"], trial["failure_class"], trial["failed_stage"]) == ("fails", "not-ready", "ready")
    _assert_given_back(scene, trial)


def _tried(scene: Scene, *options: str) -> dict[str, Any]:
    """Run the trial by hand and return what it prints; a verdict of either kind is exit 0."""
    running = scene.started("trial", "run", IMAGE, "--json", *options)
    said, trouble = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, f"exit {running.returncode}\n{said}\n{trouble}"
    document: dict[str, Any] = json.loads(said)
    return document


def _assert_figures(accepted: dict[str, Any], said: list[str]) -> None:
    """Hold that all phrases were asked and told with their n and interval; how many are right is the tiny model's."""
    assert accepted["phrases"]["total"] == 32, said
    assert 0 <= accepted["phrases"]["passed"] <= 32
    accuracy = accepted["tool_accuracy"]
    assert accuracy["n"] == 68
    assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert accuracy["low"] < accuracy["high"]
    assert accepted["answers"] == 72
    assert accepted["p95_seconds"] > 0
    assert accepted["metrics"] > 20, "vLLM shows more than a hundred kinds on /metrics"
    assert f"metrics: {accepted['metrics']} kinds" in said


def _assert_evidence_is_in_the_log(scene: Scene, trial: dict[str, Any]) -> None:
    """Hold that the evidence quotes the assert from the worker's own traceback, and names the line where it stands."""
    rows = [row for row in trial["evidence"] if row["rung"] == "bring-up" and row["line"]]
    (row,) = [row for row in rows if "CUDACachingAllocator.cpp" in row["text"]][:1]
    assert ASSERT_TEXT.strip() in row["text"]
    (start,) = trial["starts"]
    log = gzip.decompress((scene.data_dir / start["log"]).read_bytes()).decode().split("\n")
    assert ASSERT_TEXT in log[row["line"] - 1]
    assert len(log) - row["line"] > 50, "the cause stands far above the last line"


def _assert_given_back(scene: Scene, trial: dict[str, Any]) -> None:
    assert (trial["displaced"], trial["owed"]) == (["container:assistant"], [])
    assert trial["away_seconds"] > 0
    scene.assert_all_is_as_before()
