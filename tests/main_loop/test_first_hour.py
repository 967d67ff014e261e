"""A newcomer's first hour: from a compose file to a planned trial, by the commands that docs/get-started.md prints.

The commands are read out of the page and run in their order. What an upstream does in between is a push of the test's.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.main_loop.test_config_init import RELEASE
from tests.places import CHECKOUT
from tests.real.compose import with_compose
from tests.real.docker import PrivateDaemon
from tests.real.ports import free_port
from tests.real.registry import running_registry
from tests.real.stub_engine import stub_image
from watcher.config.load import load_settings

PAGE = (CHECKOUT / "docs" / "get-started.md").read_text(encoding="utf-8")
OLD, NEW = "0.32.0-r36.4-cu129-24.04", "0.33.0-r36.4-cu129-24.04"
IMAGE_OF_THE_PAGE = "dustynv/vllm:r36.4-cu129-24.04"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Newcomer:
    """Somebody in a folder with nothing but a compose file, on a machine whose files are a Jetson's."""

    engine: PrivateDaemon
    folder: Path
    repository: str
    environment: dict[str, str] = field(default_factory=dict)

    def types(self, block: str) -> dict[str, str]:
        """Run the lines of a block one by one; return what each said. A command that fails ends the hour."""
        said = {}
        for line in block.splitlines():
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            # the page says it of a look: 3 where upstreams did not answer, as all that are not on loopback
            allowed = (0, 3) if line.startswith("watcher check-now") else (0,)
            assert done.returncode in allowed, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            said[line] = done.stdout
        return said

    def push(self, tag: str) -> None:
        client = self.engine.client()
        stub_image(client, f"{self.repository}:{tag}", "healthy")
        for line in client.api.push(self.repository, tag=tag, stream=True, decode=True):
            assert "error" not in line, line


@pytest.fixture
def newcomer(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[Newcomer]:
    folder, root, program = tmp_path / "assistant", tmp_path / "jetson", tmp_path / "bin" / "watcher"
    for place in (folder, root / "etc", root / "proc/device-tree", program.parent, tmp_path / "registry"):
        place.mkdir(parents=True)
    (root / "etc/nv_tegra_release").write_text(RELEASE)
    (root / "proc/device-tree/model").write_text("NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0")
    program.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {shlex.quote(sys.executable)} -m watcher "$@"\n')
    program.chmod(0o755)
    nowhere = f"http://127.0.0.1:{free_port()}"
    with running_registry(tmp_path / "registry") as registry:
        environment = {
            "PATH": f"{program.parent}:{os.environ.get('PATH', os.defpath)}",
            **with_compose(tmp_path),
            "LANG": "C.UTF-8",
            "HF_TOKEN": "hf_of-the-newcomer",
            "DOCKER_HOST": clean_engine.url,
            "WATCHER_DEVICE__ROOT": str(root),
            # no test reaches the internet: the default sources find it closed
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "PIP_INDEX_URL"), nowhere),
            "NO_PROXY": "127.0.0.1",
        }
        yield Newcomer(clean_engine, folder, f"{registry.host}/vllm", environment)
        subprocess.run(
            ["docker", "compose", "down", "-v", "-t", "1"],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
        )


def test_from_a_compose_file_to_a_planned_trial_by_the_page_alone(newcomer: Newcomer) -> None:
    (compose,) = blocks("yaml")
    assert IMAGE_OF_THE_PAGE in compose
    (newcomer.folder / "models").mkdir()
    newcomer.push(OLD)
    text = compose.replace(IMAGE_OF_THE_PAGE, f"{newcomer.repository}:{OLD}")
    (newcomer.folder / "compose.yaml").write_text(text)
    newcomer.types("docker compose up -d")

    init, check, look, switch_on, plan = blocks("sh")
    newcomer.types(init)
    settings = load_settings(newcomer.folder / "config.toml", {})
    (container,) = newcomer.engine.client().containers.list()
    assert settings.trial.displace == (f"container:{container.name}",), "as the engine calls it"
    assert settings.engine.model == "/models/llama-3.2-3b-awq"
    assert settings.engine.mounts == (f"{newcomer.folder}/models:/models",)
    assert settings.sources[0].kind == "oci-tags"
    assert newcomer.environment["HF_TOKEN"] not in (newcomer.folder / "config.toml").read_text()

    said = newcomer.types(check)
    assert "they need schedule.window" in said["watcher config check"]
    assert "runs" in said["watcher doctor"]
    said = newcomer.types(look)
    assert "schedule.window" in said["watcher status"], "nothing is tried before the newcomer says when"
    assert "automatic trials are off" not in newcomer.types(switch_on)["watcher config check"]

    newcomer.push(NEW)
    said = newcomer.types(plan)
    assert NEW in said["watcher events"]
    assert f"Watcher tries {newcomer.repository}:{NEW} next." in said["watcher status"]
    (container,) = newcomer.engine.client().containers.list()
    assert container.status == "running", "planned is not tried"


def test_every_command_of_the_page_exists(newcomer: Newcomer) -> None:
    for command in sorted(set(re.findall(r"^\s*watcher ((?:[a-z-]+ ?)+)", PAGE, re.MULTILINE))):
        newcomer.types(f"watcher {command.strip()} --help")
