"""A newcomer's first hour: from a checkout and a compose file to a planned trial, by docs/get-started.md alone.

Every command is read out of the page and typed in the page's order, or stands in ELSEWHERE. What an upstream does in
between is a push of the test's.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.main_loop.test_config_init import RELEASE
from tests.places import CHECKOUT
from tests.real.checkout import commands_of, copy_checkout
from tests.real.compose import with_compose
from tests.real.docker import PrivateDaemon
from tests.real.ports import free_port
from tests.real.registry import running_registry
from tests.real.stub_engine import stub_image
from watcher.config.load import load_settings

PAGE = (CHECKOUT / "docs" / "get-started.md").read_text(encoding="utf-8")
OLD, NEW = "0.32.0-r36.4-cu129-24.04", "0.33.0-r36.4-cu129-24.04"
IMAGE_OF_THE_PAGE = "dustynv/vllm:r36.4-cu129-24.04"
NOT_TYPED = {"sudo apt-get install python3-venv"}
"""A package of the machine; without it no test runs."""
IN_A_CONTAINER = [["docker build -t upstream-watcher ."]]
"""The other way to install. The slow tier goes it, by the README."""
OF_A_SERVICE = {"Leave it running", "Take it away again"}
"""Sections that tests/host/test_service_units.py types on a machine with systemd."""


@dataclass
class Newcomer:
    """Somebody with a home of their own, on a machine whose files are a Jetson's."""

    engine: PrivateDaemon
    home: Path
    repository: str
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.home / "assistant"

    @property
    def checkout(self) -> Path:
        return self.home / "watcher"

    def types(self, block: list[str], folder: Path) -> dict[str, str]:
        """Type the lines of a block, one by one; return what each said. A command that fails ends the hour."""
        said = {}
        for line in block:
            if line not in NOT_TYPED:
                said[line] = self.run(line, folder)
        return said

    def run(self, line: str, folder: Path) -> str:
        here = line.replace("/opt/watcher", f"{self.home}/opt/watcher").replace("/usr/local", str(self.home / "local"))
        done = subprocess.run(
            ["bash", "-c", f"{here}\nexit $?"],  # the shell stays: --install-completion asks which one it is typed in
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def push(self, tag: str) -> None:
        client = self.engine.client()
        stub_image(client, f"{self.repository}:{tag}", "healthy")
        for line in client.api.push(self.repository, tag=tag, stream=True, decode=True):
            assert "error" not in line, line


@pytest.fixture
def newcomer(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[Newcomer]:
    home, root, programs = tmp_path / "home", tmp_path / "jetson", tmp_path / "home/local/bin"
    for place in (home / "assistant/models", root / "etc", root / "proc/device-tree", programs, tmp_path / "registry"):
        place.mkdir(parents=True)
    (root / "etc/nv_tegra_release").write_text(RELEASE)
    (root / "proc/device-tree/model").write_text("NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0")
    program(programs / "sudo", 'exec "$@"')
    program(programs / "python3", f'exec {shlex.quote(getattr(sys, "_base_executable", sys.executable))} "$@"')
    with running_registry(tmp_path / "registry") as registry:
        environment = {
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
            **with_compose(home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HF_TOKEN": "hf_of-the-newcomer",
            "DOCKER_HOST": clean_engine.url,
            "WATCHER_DEVICE__ROOT": str(root),
        }
        yield Newcomer(clean_engine, home, f"{registry.host}/vllm", environment)
        subprocess.run(
            ["docker", "compose", "down", "-v", "-t", "1"],
            cwd=home / "assistant",
            env=environment,
            capture_output=True,
            check=False,
        )


def program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_from_a_compose_file_to_a_planned_trial_by_the_page_alone(newcomer: Newcomer) -> None:
    blocks = commands_of(PAGE)
    on_the_host, *in_a_container = blocks["Install"]
    assert in_a_container == IN_A_CONTAINER
    assert {*on_the_host} >= NOT_TYPED
    installs(newcomer, on_the_host)
    brings_the_service_up(newcomer)
    init, check, look, switch_on, plan = blocks["The first hour"]

    newcomer.types(init, newcomer.folder)
    settings = load_settings(newcomer.folder / "config.toml", {})
    (container,) = newcomer.engine.client().containers.list()
    assert settings.trial.displace == (f"container:{container.name}",), "as the engine calls it"
    assert settings.engine.model == "/models/llama-3.2-3b-awq"
    assert settings.engine.mounts == (f"{newcomer.folder}/models:/models",)
    assert settings.sources[0].kind == "oci-tags"
    assert newcomer.environment["HF_TOKEN"] not in (newcomer.folder / "config.toml").read_text()
    leave_only_the_upstreams_of_loopback(newcomer.folder / "config.toml")
    opens = let_the_window_open_later(newcomer.folder / "config.toml")

    said = newcomer.types(check, newcomer.folder)
    assert "they need schedule.window" in said["watcher config check"]
    assert "runs" in said["watcher doctor"]
    said = newcomer.types(look, newcomer.folder)
    assert "schedule.window" in said["watcher status"], "nothing is tried before the newcomer says when"
    assert "automatic trials are off" not in newcomer.types(switch_on, newcomer.folder)["watcher config check"]

    newcomer.push(NEW)
    said = newcomer.types(plan, newcomer.folder)
    assert NEW in said["watcher events"]
    next_step = f"Watcher tries {newcomer.repository}:{NEW} next; left to itself it waits for: cool-down until "
    assert next_step in said["watcher status"]
    assert f"the window, which opens for it at {opens:%Y-%m-%d %H}:" in said["watcher status"]
    (container,) = newcomer.engine.client().containers.list()
    assert container.status == "running", "planned is not tried"


def installs(newcomer: Newcomer, block: list[str]) -> None:
    """Install as pip is configured here, and close the way to everything that is not on loopback."""
    configured, own = Path.home() / ".config/pip", newcomer.home / ".config/pip"
    if configured.exists():
        own.parent.mkdir()
        own.symlink_to(configured)
    copy_checkout(newcomer.checkout)
    newcomer.types(block, newcomer.checkout)
    nowhere = f"http://127.0.0.1:{free_port()}"
    newcomer.environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "PIP_INDEX_URL"), nowhere)
    newcomer.environment["NO_PROXY"] = "127.0.0.1"


def brings_the_service_up(newcomer: Newcomer) -> None:
    """Be where the page begins: its compose file is there and up, with an image that a registry on loopback has."""
    (compose,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert IMAGE_OF_THE_PAGE in compose
    newcomer.push(OLD)
    text = compose.replace(IMAGE_OF_THE_PAGE, f"{newcomer.repository}:{OLD}")
    (newcomer.folder / "compose.yaml").write_text(text)
    newcomer.run("docker compose up -d", newcomer.folder)


def leave_only_the_upstreams_of_loopback(file: Path) -> None:
    """Take the sources away that are on the internet, so that an exit code other than 0 is a fault of ours."""
    head, *sources = re.split(r"^(?=\[\[sources\]\])", file.read_text(), flags=re.MULTILINE)
    here = [source for source in sources if "127.0.0.1" in source or 'kind = "device"' in source]
    assert len(here) == 2, here
    file.write_text("".join([head, *here]))


def let_the_window_open_later(file: Path) -> datetime:
    """Move the window of the file by the clock and return when it opens: what is planned waits, whenever this runs."""
    opens = datetime.now(UTC) + timedelta(hours=6)
    later = f'#window = "{opens:%H}:00-{opens + timedelta(hours=3):%H}:00"'
    text, moved = re.subn(r'^#window = "[-0-9:]+"', later, file.read_text(), flags=re.MULTILINE)
    assert moved == 1
    file.write_text(text)
    return opens


def test_no_section_with_commands_is_left_out() -> None:
    with_commands = {title for title, blocks in commands_of(PAGE).items() if blocks}
    assert with_commands == {"Install", "The first hour"} | OF_A_SERVICE
