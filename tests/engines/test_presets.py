"""Engines are data: the presets, engines of the operator's own, and the example of docs/engines.md."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.places import CHECKOUT
from tests.real.docker import PrivateDaemon
from tests.real.scene import scene_with
from tests.real.stub_engine import stub_image
from watcher.config.load import load_settings, read_presets
from watcher.errors import ConfigError
from watcher.model.device import DeviceFacts, DeviceState
from watcher.planner.compatibility import reasons_against

PAGE = (CHECKOUT / "docs" / "engines.md").read_text(encoding="utf-8")
PRESETS = read_presets()
ORIN = "NVIDIA Jetson Orin NX"


def example() -> dict[str, Any]:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    table: dict[str, Any] = tomllib.loads(block)
    return table


def faults_of(table: dict[str, Any], folder: Path) -> tuple[str, ...]:
    (folder / "config.toml").write_text(tomli_w.dumps(table))
    with pytest.raises(ConfigError) as caught:
        load_settings(folder / "config.toml", {})
    return caught.value.faults


def test_every_preset_is_named_on_the_page_and_called_like_its_file() -> None:
    files = {file.stem for file in (CHECKOUT / "watcher" / "engines").glob("*.toml")}
    assert files == set(PRESETS)
    assert all(f"`{name}`" in PAGE for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_starts_the_server_itself_and_asks_little_in_the_end(name: str) -> None:
    preset = PRESETS[name]
    assert preset.entrypoint[0] not in ("sh", "bash", "/bin/sh", "/bin/bash")
    assert preset.planned_profiles[-1].name == "conservative"
    assert not any(profile.allow for profile in preset.profiles), "no preset loosens the isolation"


def test_tensorrt_is_experimental_and_asked_for_no_tool_call() -> None:
    experimental = [preset for preset in PRESETS.values() if preset.experimental]
    assert [preset.id for preset in experimental] == ["tensorrt-edge-llm", "tensorrt-llm"]
    assert not any(profile.tools for preset in experimental for profile in preset.profiles)


@pytest.mark.parametrize(
    ("engine", "image", "tag", "l4t", "fits"),
    [
        ("llama-cpp", "ghcr.io/nvidia-ai-iot/llama_cpp", "latest-jetson-orin", "36.4.4", True),
        ("llama-cpp", "ghcr.io/nvidia-ai-iot/llama_cpp", "latest-jetson-orin", "39.2.0", False),
        ("llama-cpp", "ghcr.io/nvidia-ai-iot/llama_cpp", "latest-jetson-thor", "39.2.0", False),
        ("llama-cpp", "ghcr.io/nvidia-ai-iot/llama_cpp", "latest", "36.4.4", False),
        ("llama-cpp", "dustynv/llama_cpp", "b5283-r36.4-cu128-24.04", "36.4.4", True),
        ("llama-cpp", "dustynv/llama_cpp", "b5283-r36.4-cu128-24.04", "39.2.0", False),
        ("llama-cpp", "ghcr.io/ggml-org/llama.cpp", "server-cuda13-b9016", "39.2.0", True),
        ("llama-cpp", "ghcr.io/ggml-org/llama.cpp", "server-cuda13-b9016", "36.4.4", False),
        ("llama-cpp", "ghcr.io/ggml-org/llama.cpp", "server", "39.2.0", False),
        ("ollama", "dustynv/ollama", "0.6.8-r36.4-cu126-22.04", "36.4.4", True),
        ("ollama", "dustynv/ollama", "r36.4.0", "36.4.4", True),
        ("ollama", "dustynv/ollama", "r35.4.1", "36.4.4", False),
        ("ollama", "ghcr.io/nvidia-ai-iot/ollama", "latest-jetson-orin", "36.4.4", True),
        ("ollama", "ollama/ollama", "0.33.2", "39.2.0", True),
        ("ollama", "ollama/ollama", "0.33.2", "36.4.4", False),
        ("ollama", "ollama/ollama", "0.33.2-rocm", "39.2.0", False),
        ("tensorrt-llm", "dustynv/tensorrt_llm", "0.12-r36.4.0", "36.4.4", True),
        ("vllm", "vllm/vllm-openai", "v0.33.0", "39.2.0", True),
        ("vllm", "vllm/vllm-openai", "v0.33.0", "36.4.4", False),
    ],
)
def test_what_fits_the_device_unknown_is_not_yes(engine: str, image: str, tag: str, l4t: str, fits: bool) -> None:
    device = DeviceFacts(name="orin", state=DeviceState(l4t), model=ORIN, architecture="arm64")
    reasons = reasons_against(image, tag, ("arm64",), PRESETS[engine], device, "arm64")
    assert (reasons == ()) is fits, reasons


def test_an_engine_of_ones_own_needs_its_command_and_every_fault_is_named(tmp_path: Path) -> None:
    (fault,) = faults_of({"engines": {"mine": {"model": "/m"}}}, tmp_path)
    assert fault.startswith("engines.mine: there is no such engine; known are llama-cpp, ollama,")
    half = {"engines": {"mine": {"entrypoint": ["serve"], "mounts": ["here"], "speed": 3}}}
    told = faults_of(half, tmp_path)
    for key in ("images", "port", "profiles", "mounts", "speed"):
        assert any(line.startswith(f"engines.mine.{key}: ") for line in told), told


def test_a_preset_takes_no_other_command(tmp_path: Path) -> None:
    (fault,) = faults_of({"engines": {"vllm": {"entrypoint": ["bash"]}}}, tmp_path)
    assert fault == "engines.vllm.entrypoint: unknown key"


def test_the_example_of_the_page_is_an_engine_that_works(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_with(clean_engine, tmp_path, ["dustynv/vllm"], [])
    engine = example()["engines"]["my-engine"]
    scene.table["engines"] = {"my-engine": {**engine, "mounts": [f"{tmp_path / 'models'}:/models"]}}
    stub_image(scene.docker().client(), "local/my-engine:1", "healthy")
    scene.start_assistant()
    trial = scene.answer("trial", "run", "local/my-engine:1", "--engine", "my-engine")["trial"]
    assert (trial["engine"], trial["bring_up"]) == ("my-engine", "works"), trial["evidence"]
    assert [start["profile"] for start in trial["starts"]] == ["recommended"]
    scene.assert_all_is_as_before()


def test_a_profile_for_the_hand_starts_only_by_its_name_and_with_its_own_model(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    image = "local/vllm:0.33.0-r36.4-cu129-24.04"
    stub_image(clean_engine.client(), image, "oom")  # a shortage of memory goes on to the next profile
    scene.table["trial"]["displace"] = []
    profiles = scene.table["engines"]["vllm"]["profiles"]
    profiles += [
        {"name": "large", "model": "/models/large", "args": ["--tokenizer", "{model}"], "by_hand": True},
        {"name": "small"},
    ]
    trial = scene.answer("trial", "run", image)["trial"]
    assert [start["profile"] for start in trial["starts"]] == ["plain", "small"]

    (start,) = scene.answer("trial", "run", image, "--force", "--profile", "large")["trial"]["starts"]
    assert start["profile"] == "large"
    log = scene.watcher("trial", "log", "2").stdout
    assert "--tokenizer', '/models/large" in log, log


def test_profiles_that_all_need_to_be_named_are_a_fault(tmp_path: Path) -> None:
    profiles = [{"name": "one", "by_hand": True}]
    (fault,) = faults_of({"engines": {"vllm": {"profiles": profiles}}}, tmp_path)
    assert "at least one profile must be without by_hand" in fault
