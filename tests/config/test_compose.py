"""A service of a compose file, in every way in which its parts may be written."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.config.compose import WITHHELD, read_compose
from watcher.errors import ConfigError
from watcher.model.survey import RunningService, ServiceMount

IMAGE = "dustynv/vllm:r36.4-cu129-24.04"


def written(folder: Path, service: dict[str, Any], **more: Any) -> Path:
    file = folder / "compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"llm": {"image": IMAGE, **service}}, **more}))
    return file


def read(folder: Path, service: dict[str, Any], environ: dict[str, str] | None = None, **more: Any) -> RunningService:
    return read_compose(written(folder, service, **more), None, environ or {})


def fault(file: Path, name: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_compose(file, name, {})
    return " ".join([str(caught.value), *caught.value.faults])


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        ("./models:/models:ro", ("bind", "{folder}/models", "/models")),
        ("../up:/models", ("bind", "{parent}/up", "/models")),
        ("/abs:/models:rw,z", ("bind", "/abs", "/models")),
        ("~/models:/models", ("bind", "{home}/models", "/models")),
        ("hub:/root/.cache", ("volume", "assistant_hub", "/root/.cache")),
        ("outside:/data", ("volume", "outside", "/data")),
        ("called:/data", ("volume", "its-name", "/data")),
        ({"type": "bind", "source": "./m", "target": "/m", "read_only": True}, ("bind", "{folder}/m", "/m")),
        ({"type": "volume", "source": "hub", "target": "/h"}, ("volume", "assistant_hub", "/h")),
        ("${WHERE:-./models}:/models", ("bind", "{folder}/models", "/models")),
    ],
)
def test_a_mount_is_read_from_the_files_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume: Any, mount: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    folder = tmp_path / "Assistant"
    folder.mkdir()
    volumes = {"hub": None, "outside": {"external": True}, "called": {"name": "its-name"}}
    kind, source, target = mount
    source = source.format(folder=folder, parent=tmp_path, home="/home/me")
    found = read(folder, {"volumes": [volume]}, volumes=volumes)
    assert found.mounts == (ServiceMount(kind, source, target),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "environment",
    [
        ["PLAIN=one", "WITH=a=b", "FILLED=${GIVEN:-no}", "PASSED", "NOWHERE"],
        {"PLAIN": "one", "WITH": "a=b", "FILLED": "${GIVEN:-no}", "PASSED": None, "NOWHERE": None},
    ],
    ids=["list", "mapping"],
)
def test_the_environment_is_read_from_a_list_and_from_a_mapping(tmp_path: Path, environment: Any) -> None:
    environ = {"GIVEN": "yes", "PASSED": "on"}
    found = read(tmp_path, {"environment": environment}, environ)
    assert found.env == {"PLAIN": "one", "WITH": "a=b", "FILLED": "yes", "PASSED": "on"}


def test_numbers_and_words_stay_the_texts_that_they_are(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(f"services:\n  a:\n    image: {IMAGE}\n    environment: {{A: 1_000, B: yes, C: 22:22, D: 0x10}}\n")
    assert read_compose(file, None, {}).env == {"A": "1_000", "B": "yes", "C": "22:22", "D": "0x10"}


def test_env_files_come_first_and_dot_env_is_below_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAG=from-file\nGIVEN=from-file\n")
    (tmp_path / "one.env").write_text("A=one\nB=one\nC=${TAG}\n")
    (tmp_path / "two.env").write_text("B=two\n")
    files = ["one.env", {"path": "two.env"}, {"path": "none.env", "required": "false"}]
    service = {"image": "x/vllm:${TAG}-${GIVEN}", "env_file": files, "environment": {"A": "table"}}
    found = read(tmp_path, service, {"GIVEN": "environment"})
    assert found.image == "x/vllm:from-file-environment"
    assert found.env == {"A": "table", "B": "two", "C": "from-file"}


def test_an_env_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "none.env" in fault(written(tmp_path, {"env_file": "none.env"}))


@pytest.mark.parametrize("command", ["vllm serve '/models/a b' --x 1", ["vllm", "serve", "/models/a b", "--x", "1"]])
def test_a_command_is_read_from_a_string_and_from_a_list(tmp_path: Path, command: Any) -> None:
    found = read(tmp_path, {"command": command, "entrypoint": "/bin/run -v"})
    assert found.command == ("vllm", "serve", "/models/a b", "--x", "1")
    assert found.entrypoint == ("/bin/run", "-v")


def test_secrets_are_told_by_their_names_only(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=word-of-the-file\nOTHER=harmless\n")
    service = {
        "environment": ["HF_TOKEN", "AS=${HF_TOKEN}", "OTHER=${OTHER}", "MAX_TOKENS=9", "OF=hf_abcdefghijklm"],
        "command": "vllm serve m --api-key ${HF_TOKEN} --max-tokens 9",
    }
    found = read(tmp_path, service)
    assert "word-of-the-file" not in repr(found)
    assert "hf_abc" not in repr(found)
    assert found.env == {"OTHER": "harmless", "MAX_TOKENS": "9"}
    assert set(found.withheld) == {"HF_TOKEN", "AS", "OF"}
    assert found.command == ("vllm", "serve", "m", "--api-key", WITHHELD, "--max-tokens", "9")


def test_memory_limits_and_ports_are_read(tmp_path: Path) -> None:
    service = {
        "shm_size": "2gb",
        "ulimits": {"memlock": -1, "nofile": {"soft": 1, "hard": 2}},
        "ipc": "host",
        "tmpfs": "/scratch:size=1g",
        "ports": ["127.0.0.1:11434:8000/tcp", {"target": 9000}],
    }
    found = read(tmp_path, service)
    assert (found.shm_bytes, found.ulimits, found.ipc) == (2 * 2**30, {"memlock": -1, "nofile": 2}, "host")
    assert (found.tmpfs, found.ports) == (("/scratch",), (8000, 9000))


def test_what_a_trial_does_not_take_over_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, {"privileged": True, "network_mode": "host", "cap_add": [], "volumes": ["/data"]})
    told = " ".join(found.remarks)
    for word in ("privileged", "network_mode", "nameless volume at /data"):
        assert word in told
    assert "cap_add" not in told


@pytest.mark.parametrize(
    ("service", "more", "name"),
    [
        ({"container_name": "zoe-${X:-llm}"}, {}, "container:zoe-llm"),
        ({}, {}, "container:assistant-llm-1"),
        ({}, {"name": "Named"}, "container:named-llm-1"),
    ],
)
def test_the_container_is_named_as_compose_names_it(
    tmp_path: Path, service: dict[str, Any], more: dict[str, Any], name: str
) -> None:
    folder = tmp_path / "assistant"
    folder.mkdir()
    assert read(folder, service, **more).service == name


def test_several_services_want_a_name(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  llm: {image: a}\n  db: {image: b}\n")
    assert "--service" in fault(file)
    assert "llm, db" in fault(file)
    assert read_compose(file, "db", {}).image == "b"
    assert "it has llm, db" in fault(file, "web")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not a table"),
        ("- a", "not a table"),
        ("a: [", "not valid YAML"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("services: {}", "no services"),
        ("services: {a: 1}", "not a table"),
        ("include: [b.yaml]\nservices: {a: {image: x}}", "docker compose config"),
        ("services: {a: {extends: b}}", "docker compose config"),
        ("services: {a: {image: '${X'}}", "${"),
        ("services: {a: {image: x, shm_size: much}}", "shm_size"),
        ("services: {a: {image: x, ulimits: [1]}}", "ulimits"),
        ("services: {a: {image: x, environment: &e [*e]}}", "could not be understood"),
        ("services: {a: {image: x, volumes: [{source: y}]}}", "target"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    assert word in fault(file)


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["a:b", "${A}", "x=1"])
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_SCALARS, inner, max_size=3), max_leaves=6
)
_KEYS = st.sampled_from(
    ["image", "command", "entrypoint", "environment", "env_file", "volumes", "tmpfs", "ulimits", "shm_size", "ipc",
     "ports", "container_name", "build"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(service=st.dictionaries(_KEYS, _VALUES, max_size=5), volumes=_VALUES, name=_VALUES)
def test_any_table_is_a_service_or_a_fault_of_the_file(tmp_path: Path, service: Any, volumes: Any, name: Any) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump({"name": name, "services": {"llm": service}, "volumes": volumes}))
    with suppress(ConfigError):
        assert read_compose(file, None, {}).service.startswith("container:")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_a_service_or_a_fault_of_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "compose.yaml"
    file.write_bytes(b"services:\n  llm: " + content)
    with suppress(ConfigError):
        read_compose(file, None, {})


def test_a_file_that_is_not_there_is_a_fault_of_the_call(tmp_path: Path) -> None:
    assert "none.yaml" in fault(tmp_path / "none.yaml")
