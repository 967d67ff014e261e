"""The built wheel, in an empty virtual environment outside the checkout: what a user installs works on its own."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.places import CHECKOUT


@dataclass(frozen=True, slots=True)
class Installed:
    """The environment, and an empty folder to run in."""

    wheel: Path
    environment: Path
    home: Path

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        clean = {"PATH": os.defpath, "HOME": str(self.home), "LANG": "C.UTF-8"}
        command = [str(self.environment / "bin" / "watcher"), *arguments]
        return subprocess.run(command, cwd=self.home, env=clean, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel, install the locked dependencies as pip is configured here, then the wheel itself."""
    folder = tmp_path_factory.mktemp("wheel")
    _must(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT))
    (wheel,) = folder.glob("*.whl")
    environment, home = folder / "venv", folder / "home"
    home.mkdir()
    _must(sys.executable, "-m", "venv", str(environment))
    pip = (str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet")
    _must(*pip, "--require-hashes", "-r", str(CHECKOUT / "requirements.lock"))
    _must(*pip, "--no-deps", str(wheel))
    return Installed(wheel, environment, home)


def _must(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]


def test_it_says_its_version(installed: Installed) -> None:
    done = installed.run("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "watcher")
    assert done.stdout.split()[1] in installed.wheel.name


def test_what_stands_at_the_top_of_the_checkout_is_inside(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
        assert wheel.read("watcher/_shipped/config.toml") == (CHECKOUT / "config.toml").read_bytes()
    migrations = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "migrations").rglob("*.py")}
    assert migrations
    assert {f"watcher/_shipped/{path}" for path in migrations} <= names
    assert {"watcher/engines/vllm.toml", "watcher/bugs/cuda-allocator/bug.toml", "watcher/py.typed"} <= names
    data = {"watcher/bugs/cuda-allocator/probe.py", "watcher/suites/builtin.json", "watcher/store/schema.sql"}
    assert data <= names


def test_without_a_configuration_it_watches_with_the_shipped_one(installed: Installed) -> None:
    done = installed.run("config", "show")
    assert done.returncode == 0, done.stderr
    assert "torch-jp6-cu126" in done.stdout


def test_status_makes_its_database_and_answers(installed: Installed) -> None:
    done = installed.run("status", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["schema"] == "watcher/status/1"
    assert (answer["answer"]["bug"]["state"], answer["answer"]["bring_up"]) == ("unknown", "untried")
    assert (installed.home / ".local" / "state" / "watcher" / "watcher.db").exists()


def test_nothing_of_the_checkout_is_needed(installed: Installed) -> None:
    command = [str(installed.environment / "bin" / "python"), "-c", "import watcher; print(watcher.__file__)"]
    done = subprocess.run(command, cwd=installed.home, capture_output=True, text=True, timeout=60)
    assert str(installed.environment) in done.stdout
