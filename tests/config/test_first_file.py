"""From what was found to the first config.toml: it loads, says the device's own values, and holds no secret."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.places import CHECKOUT
from watcher.config.adopt import Adopted, adopt, engine_of
from watcher.config.compose import WITHHELD
from watcher.config.draft import draft
from watcher.config.first_plan import first_plan
from watcher.config.load import load_settings, read_presets
from watcher.config.settings import Settings
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.survey import FoundModel, RunningService, ServiceMount, Survey

PRESETS = read_presets()
SHIPPED = (CHECKOUT / "config.toml").read_text()
ORIN = DeviceFacts("orin", DeviceState("36.4.4"), "NVIDIA Jetson Orin NX", runtimes=("nvidia", "runc"))
ON_ORIN = Survey(ORIN, "unix:///var/run/docker.sock")


def service(*command: str, image: str = "dustynv/vllm:r36.4", **more: Any) -> RunningService:
    return RunningService("container:llm", "container llm", image, None, command, **more)


def adopted(*command: str, engine: str = "vllm", **more: Any) -> Adopted:
    return adopt(service(*command, **more), PRESETS[engine])


def loaded(folder: Path, survey: Survey, chosen: RunningService | None = None, **more: Any) -> Settings:
    file = folder / "config.toml"
    file.write_text(draft(survey, first_plan(survey, PRESETS, chosen), SHIPPED, **more))
    return load_settings(file, {"PIP_INDEX_URL": "https://index.example/simple/"})


def said(folder: Path) -> str:
    """Return the file as running text, its comments without their line breaks."""
    return (folder / "config.toml").read_text().replace("\n# ", " ")


@pytest.mark.parametrize(
    ("image", "command", "engine"),
    [
        ("dustynv/vllm:r36.4", (), "vllm"),
        ("registry.local:5000/mirror/vllm-openai:v1", (), "vllm"),
        ("local/llm:1", ("vllm", "serve", "m"), "vllm"),
        ("local/llm:1", ("/opt/bin/llama-server", "-m", "m.gguf"), "llama-cpp"),
        ("local/llm:1", ("bash", "-c", "exec vllm serve m"), "vllm"),
        ("local/llm:1", ("python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "m"), "vllm"),
        ("ghcr.io/ggml-org/llama.cpp:server", ("-m", "m.gguf"), "llama-cpp"),
        ("ollama/ollama@sha256:0", (), "ollama"),
        ("dustynv/tensorrt_llm:r36", (), "tensorrt-llm"),
        ("postgres:16", ("postgres",), None),
        ("nginx", (), None),
    ],
)
def test_the_engine_is_told_by_command_and_image(image: str, command: tuple[str, ...], engine: str | None) -> None:
    assert engine_of(service(*command, image=image), PRESETS) == engine


@pytest.mark.parametrize(
    ("command", "model", "args"),
    [
        (("vllm", "serve", "/m/x", "--host", "0.0.0.0", "--port=9", "--max-model-len", "2048"), "/m/x",
         ("--max-model-len", "2048")),
        (("--model", "Qwen/Qwen3-4B", "--enforce-eager"), "Qwen/Qwen3-4B", ("--enforce-eager",)),
        (("serve", "/m/x", "--enforce-eager"), "/m/x", ("--enforce-eager",)),
        (("/m/x", "--served-model-name", "a", "b", "--enforce-eager"), "/m/x", ("--enforce-eager",)),
        (("python3", "-m", "vllm.entrypoints.openai.api_server", "--model=/m/x", "--dtype", "half"), "/m/x",
         ("--dtype", "half")),
        (("bash", "-lc", "exec vllm serve /m/x --enforce-eager"), "/m/x", ("--enforce-eager",)),
        (("vllm", "serve", "/m/x", "--api-key", WITHHELD, "--seed", "1"), "/m/x", ("--seed", "1")),
        (("vllm", "serve", "/m/x", "--api_key=plain", "--seed", "1"), "/m/x", ("--seed", "1")),
        (("vllm", "serve", "/m/x", "--config", WITHHELD, "--seed", "1"), "/m/x", ("--seed", "1")),
    ],
)  # fmt: skip
def test_vllms_own_arguments_are_taken_over(command: tuple[str, ...], model: str, args: tuple[str, ...]) -> None:
    found = adopted(*command)
    assert (found.model, found.args, found.is_read) == (model, args, True)


def test_llama_cpps_own_arguments_are_taken_over() -> None:
    words = ("llama-server", "-m", "/models/a.gguf", "--port", "1", "--jinja", "-ngl", "99", "-c", "4096")
    found = adopted(*words, engine="llama-cpp")
    assert (found.model, found.args, found.has_tools) == ("/models/a.gguf", ("-ngl", "99", "-c", "4096"), True)
    fetched = adopted("-hf", "org/name", "-ngl", "99", engine="llama-cpp")
    assert (fetched.model, fetched.args) == (None, ("-ngl", "99"))
    assert "no way out" in fetched.remarks[0]


@pytest.mark.parametrize(
    "command", [("/app/entrypoint.sh",), ("bash", "-c", "cd /x && vllm serve m"), ("sh", "/run"), ("supervisord",)]
)
def test_a_script_is_left_to_the_person_and_the_presets_profiles_stay(tmp_path: Path, command: tuple[str, ...]) -> None:
    found = adopted(*command)
    if command != ("supervisord",):  # may as well be a model: `vllm serve` is in the image
        assert not found.is_read
        there = replace(ON_ORIN, services=(service(*command),))
        assert loaded(tmp_path, there).engines["vllm"].profiles == PRESETS["vllm"].profiles


def test_tool_calls_are_asked_for_where_the_engine_was_told_to_make_them() -> None:
    assert adopted("m", "--enable-auto-tool-choice").has_tools
    assert not adopted("m").has_tools


def test_mounts_lose_what_a_trial_must_not_have() -> None:
    mounts = (
        ServiceMount("bind", "/home/me/models", "/models"),
        ServiceMount("bind", "/var/run/docker.sock", "/var/run/docker.sock"),
        ServiceMount("bind", "/not/there", "/gone"),
        ServiceMount("volume", "hub", "/root/.cache"),
    )
    found = adopt(service("m", mounts=mounts), PRESETS["vllm"], {"/not/there"})
    assert found.mounts == ["/home/me/models:/models"]
    assert found.unresolved == [("hub", "THAT-PATH:/root/.cache")]
    assert "/root/.cache" not in (found.writable or ()), "a path cannot be in memory and mounted"
    assert ["Docker socket" in told or "/not/there" in told for told in found.remarks] == [True, True]


def test_ollama_gets_its_models_and_not_its_keys() -> None:
    mount = ServiceMount("bind", "/var/lib/ollama", "/root/.ollama")
    found = adopted("serve", engine="ollama", image="ollama/ollama", mounts=(mount,))
    assert found.mounts == ["/var/lib/ollama/models:/data/models/ollama/models"]
    volume = ServiceMount("volume", "ollama", "/root/.ollama")
    found = adopted("serve", engine="ollama", image="ollama/ollama", mounts=(volume,))
    assert found.unresolved == [("ollama", "THAT-PATH/models:/data/models/ollama/models")]


def test_the_file_of_a_service_brings_up_the_same(tmp_path: Path) -> None:
    chosen = service(
        *("vllm", "serve", "/models/llama", "--max-model-len", "2048", "--enable-auto-tool-choice"),
        env={"OMP_NUM_THREADS": "4", "VLLM_NO_USAGE_STATS": "1", 'odd "name"': 'a "b"\n\\c\x7f'},
        withheld=("HF_TOKEN",),
        mounts=(ServiceMount("bind", "/home/me/models", "/models"),),
        shm_bytes=8 * 2**30,
        ulimits={"memlock": -1, "nofile": 100},
        ipc="host",
        tmpfs=("/scratch",),
    )
    there = loaded(tmp_path, ON_ORIN, chosen)
    engine = there.engine
    (profile,) = engine.profiles
    assert (engine.id, engine.model, engine.mounts) == ("vllm", "/models/llama", ("/home/me/models:/models",))
    assert (engine.shm_size, engine.ulimits["nofile"], engine.ipc) == (8 * 2**30, 100, "host")
    assert (profile.name, profile.args, profile.allow) == (
        "llm", ("--max-model-len", "2048", "--enable-auto-tool-choice"), ("host-ipc",),
    )  # fmt: skip
    assert engine.env == {**PRESETS["vllm"].env, "OMP_NUM_THREADS": "4", 'odd "name"': 'a "b"\n\\c\x7f'}
    assert engine.writable == (*PRESETS["vllm"].writable, "/scratch")
    assert there.trial.displace == ("container:llm",)
    assert there.auto_missing == ("schedule.window",), "only the person says when"
    assert "# HF_TOKEN holds a secret" in (tmp_path / "config.toml").read_text()


def test_every_line_is_the_devices_own(tmp_path: Path) -> None:
    there = loaded(tmp_path, ON_ORIN)
    assert (there.device.name, there.device.runtime, there.device.architecture) == ("orin", "nvidia", "arm64")
    assert there.device.l4t is None, "read each time, not written down"
    plain = DeviceFacts("pc", DeviceState(), architecture="amd64", runtimes=("runc",))
    there = loaded(tmp_path, Survey(plain, "unix:///run/other.sock"), root=Path("/device"))
    device = there.device
    assert (device.runtime, device.architecture, device.docker) == ("runc", "amd64", "unix:///run/other.sock")
    assert device.root == Path("/device")
    text = (tmp_path / "config.toml").read_text()
    assert "/etc/nv_tegra_release" in text, "what was not found says how to find it out"


def test_the_hours_are_the_devices_also_where_the_watcher_has_another_clock(tmp_path: Path) -> None:
    assert loaded(tmp_path, replace(ON_ORIN, time_zone="America/Sao_Paulo")).schedule.timezone == "America/Sao_Paulo"
    assert loaded(tmp_path, ON_ORIN).schedule.timezone is None
    assert "`timedatectl` says yours" in said(tmp_path)


def test_a_jetson_without_the_runtime_is_told_how_to_get_it(tmp_path: Path) -> None:
    there = loaded(tmp_path, Survey(replace(ORIN, runtimes=("runc",)), "unix:///var/run/docker.sock"))
    assert there.device.runtime == "nvidia"
    assert "nvidia-ctk runtime configure" in said(tmp_path)


def test_without_an_engine_the_file_only_watches_and_says_why(tmp_path: Path) -> None:
    loaded(tmp_path, Survey(ORIN, None, troubles=("the Docker engine does not answer",)))
    text = (tmp_path / "config.toml").read_text()
    assert "does not answer" in text
    assert "\n#docker = " in text


def test_a_service_that_must_not_be_stopped_is_not_displaced(tmp_path: Path) -> None:
    refused = replace(service("m"), refusal="the container was started with --rm: stopping would delete it")
    there = loaded(tmp_path, replace(ON_ORIN, services=(refused,)))
    assert there.trial.displace is None
    assert "started with --rm" in (tmp_path / "config.toml").read_text()


def test_what_only_holds_a_usual_port_is_left_to_the_person(tmp_path: Path) -> None:
    web = RunningService("container:web", "container web", "nginx:1", ports=(8080,))
    there = loaded(tmp_path, replace(ON_ORIN, services=(web, service("vllm", "serve", "/models/m"))))
    assert there.trial.displace == ("container:llm",)
    assert "Also seen: container:web" in (tmp_path / "config.toml").read_text()


def test_what_people_fall_back_on_is_displaced_and_vllm_is_what_is_tried(tmp_path: Path) -> None:
    unit = RunningService("systemd-user:llama.service", "unit", command=("llama-server", "-m", "x"))
    ollama = service(image="ollama/ollama:1")
    model = FoundModel("safetensors", "/home/me/models", "llama-3b", 2_200_000_000)
    there = loaded(tmp_path, replace(ON_ORIN, services=(ollama, unit), models=(model,)))
    assert there.trial.displace == ("container:llm", "systemd-user:llama.service")
    assert (there.trial.engine, there.engine.model) == ("vllm", "/models/llama-3b")
    assert there.engine.mounts == ("/home/me/models:/models",)


def test_of_several_models_the_person_chooses(tmp_path: Path) -> None:
    models = (FoundModel("huggingface", "/h/.cache/huggingface", "Qwen/Qwen3-4B"),
              FoundModel("safetensors", "/models", "a"), FoundModel("gguf", "/models", "b.gguf"))  # fmt: skip
    there = loaded(tmp_path, replace(ON_ORIN, models=models))
    text = (tmp_path / "config.toml").read_text()
    assert there.engine.model is None
    assert '#model = "Qwen/Qwen3-4B"' in text
    assert '#model = "/models/a"' in text
    assert "b.gguf" not in text, "vLLM is not given a GGUF file"


@pytest.mark.parametrize(
    ("image", "kind", "place"),
    [
        ("registry.local:5000/vllm:1", "oci-tags", "registry.local:5000/vllm"),
        ("someone/vllm:1", "docker-hub", "someone/vllm"),
    ],
)
def test_an_image_of_ones_own_is_watched_beside_the_default_list(
    tmp_path: Path, image: str, kind: str, place: str
) -> None:
    there = loaded(tmp_path, ON_ORIN, service("vllm", "serve", "/m", image=image))
    own, *rest = there.sources
    assert own.kind == kind
    assert place in (getattr(own, "image", None), getattr(own, "repository", None))
    assert rest == list(load_settings(CHECKOUT / "config.toml", {}).sources)
    assert place in there.engine.images


def test_an_image_that_was_built_here_has_no_upstream(tmp_path: Path) -> None:
    there = loaded(tmp_path, ON_ORIN, service("vllm", "serve", "/m", image="mine/vllm:1", is_local=True))
    assert len(there.sources) == len(load_settings(CHECKOUT / "config.toml", {}).sources)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_SERVICES = st.builds(
    RunningService,
    service=st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,70}", fullmatch=True).map(lambda name: f"container:{name}"),
    origin=_TEXT,
    image=st.sampled_from(["dustynv/vllm:1", "me/ollama", "a.b/llama.cpp:2", "mine/vllm-x"]),
    command=st.lists(_TEXT | st.sampled_from(["serve", "--model", "-m", "--port", WITHHELD]), max_size=5).map(tuple),
    env=st.dictionaries(_TEXT, _TEXT, max_size=3),
    withheld=st.lists(_TEXT, max_size=2).map(tuple),
    tmpfs=st.lists(_TEXT, max_size=2).map(tuple),
    shm_bytes=st.none() | st.integers(1, 2**40),
    ulimits=st.dictionaries(_TEXT, st.integers(-1, 2**31), max_size=2),
    ipc=st.none() | _TEXT,
    refusal=st.none() | _TEXT,
    remarks=st.lists(_TEXT, max_size=2).map(tuple),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    services=st.lists(_SERVICES, max_size=3, unique_by=lambda one: one.service),
    chosen=st.none() | _SERVICES,
    trouble=_TEXT,
)
def test_whatever_was_found_the_file_loads(
    tmp_path: Path, services: list[RunningService], chosen: RunningService | None, trouble: str
) -> None:
    survey = replace(ON_ORIN, services=tuple(services), troubles=(trouble,))
    there = loaded(tmp_path, survey, chosen)
    assert os.fspath(there.origin or "").endswith("config.toml")
    assert WITHHELD not in (tmp_path / "config.toml").read_text()
