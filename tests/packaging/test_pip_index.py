"""`pip:NAME` is the project's page on the index that pip itself would use here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.real.scene import Scene
from watcher.config.pip import pip_index, project_page
from watcher.config.sources import SimpleIndexConfig, SourceConfig


def pip_conf(folder: Path, text: str) -> dict[str, str]:
    file = folder / "pip.conf"
    file.write_text(text)
    return {"PIP_CONFIG_FILE": str(file), "HOME": str(folder)}


def test_the_environment_wins_then_the_file(tmp_path: Path) -> None:
    environ = pip_conf(tmp_path, "[global]\nindex-url = https://mirror.example/root/simple\n")
    assert project_page("vllm", environ) == "https://mirror.example/root/simple/vllm/"
    assert project_page("vllm", {**environ, "PIP_INDEX_URL": "https://other.example/simple/"}) == (
        "https://other.example/simple/vllm/"
    )


def test_what_pip_itself_says_is_what_is_found(tmp_path: Path) -> None:
    environ = pip_conf(tmp_path, "[global]\nindex-url = https://mirror.example/a%b/simple\ntimeout = 5\n")
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"global.index-url='{pip_index(environ)}'" in asked.stdout.splitlines()


@pytest.mark.parametrize("text", ["", "[global]\ntimeout = 5\n", "no section\n"])
def test_a_file_that_names_none_leaves_the_next_place(tmp_path: Path, text: str) -> None:
    environ = pip_conf(tmp_path, text)
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text("[global]\nindex-url = https://user.example/simple\n")
    assert pip_index(environ) == "https://user.example/simple"


def test_a_source_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    table = {"name": "vllm", "kind": "simple-index", "url": "pip:vllm"}
    source: object = TypeAdapter(SourceConfig).validate_python(table)
    assert isinstance(source, SimpleIndexConfig)
    assert str(source.url) == "https://mirror.example/simple/vllm/"


@pytest.fixture
def without_pip(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a program that has no pip: a package of that name which cannot be imported is first."""
    (tmp_path / "first/pip").mkdir(parents=True)
    (tmp_path / "first/pip/__init__.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(tmp_path / "first"), "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": ""}


def test_without_pip_that_source_alone_fails_and_says_what_to_write(
    tmp_path: Path, without_pip: dict[str, str]
) -> None:
    scene = Scene(
        tmp_path,
        None,
        {
            "store": {"data_dir": "data"},
            "device": {"docker": "none", "l4t": "36.4.4"},
            "sources": [
                {"name": "torch-pip", "kind": "simple-index", "url": "pip:torch"},
                {"name": "device", "kind": "device"},
            ],
        },
    )
    done = scene.watcher("check-now", "--json", env=without_pip)
    assert done.returncode == 3, done.stderr
    looks = {look["name"]: look for look in json.loads(done.stdout)["sources"]}
    assert (looks["torch-pip"]["outcome"], looks["device"]["outcome"]) == ("failed", "baseline")
    assert "pip is not installed here to name its index" in looks["torch-pip"]["error"]["message"]
    assert 'href="pip:' not in (scene.data_dir / "page/index.html").read_text()
    shown = scene.watcher("config", "show", env=without_pip)
    assert (shown.returncode, 'url = "pip:torch"' in shown.stdout) == (0, True)


def test_without_pip_the_shipped_configuration_is_well(tmp_path: Path, without_pip: dict[str, str]) -> None:
    done = Scene(tmp_path, None, {"device": {"docker": "none"}}).watcher("config", "check", env=without_pip)
    assert done.returncode == 0, done.stderr
