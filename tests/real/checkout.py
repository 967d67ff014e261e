"""A checkout of this project as a newcomer has it on a device, and the commands that a page prints, run in it."""

import os
import re
import shlex
import shutil
import subprocess
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.places import CHECKOUT
from tests.real.compose import with_compose
from tests.real.docker import PrivateDaemon

_SOCKET = "/var/run/docker.sock"
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".cache", ".*_cache", "__pycache__", "tests", "dist", "build")
_COMMANDS = re.compile(r"^```sh\n(.*?)^```|(?<=\n\n)((?: {4}\S[^\n]*\n)+)", re.DOTALL | re.MULTILINE)
_NANO = '#!/bin/sh\nexec cp {edited} "$1"\n'


@dataclass
class Checkout:
    """Its compose.yaml says what it says, but for the paths that this machine lacks: `root` has a Jetson's files.

    Whoever edits a file writes what stands in `edited`.
    """

    engine: PrivateDaemon
    folder: Path
    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = self.folder.parent / "bin"
        programs.mkdir()
        (programs / "nano").write_text(_NANO.format(edited=shlex.quote(str(self.edited))))
        (programs / "nano").chmod(0o755)
        copy_checkout(self.folder)
        compose = self.folder / "compose.yaml"
        compose.write_text(self._with_paths_of_this_machine(compose.read_text()))
        self.environment |= {
            **self.engine.environment,
            **with_compose(self.folder.parent),
            "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
            "LANG": "C.UTF-8",
        }

    def run(self, script: str, seconds: float = 300) -> str:
        """Run lines of a page in one shell and return what they said; the first that fails ends it."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(_SOCKET, self._socket)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{script}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def edited(self) -> Path:
        return self.folder.parent / "edited"

    @property
    def _socket(self) -> str:
        return self.engine.url.removeprefix("unix://")

    def _with_paths_of_this_machine(self, text: str) -> str:
        replaced = {
            f"source: {_SOCKET}": f"source: {self._socket}",
            "source: /etc/nv_tegra_release": f"source: {self.root}/etc/nv_tegra_release",
            "source: /sys/firmware/devicetree/base": f"source: {self.root}/proc/device-tree",
        }
        for there, here in replaced.items():
            assert there in text, there
            text = text.replace(there, here)
        return text


def copy_checkout(folder: Path) -> None:
    """Make a checkout as somebody has it who has just cloned, but for the tests."""
    shutil.copytree(CHECKOUT, folder, ignore=_LEFT_OUT)


def commands_of(page: str) -> dict[str, list[list[str]]]:
    """Return each section's blocks of commands in their order: those in ```sh and those that are indented."""
    sections = (section.partition("\n") for section in page.split("\n## "))
    return {title: [_lines(block) for block in _COMMANDS.findall(f"\n{text}")] for title, _, text in sections}


def _lines(block: tuple[str, str]) -> list[str]:
    return [line for line in textwrap.dedent(block[0] or block[1]).splitlines() if line]


def block_after(page: str, words: str) -> str:
    """Return the first indented block of a page behind a line that has these words."""
    found = re.search(rf"{re.escape(words)}[^\n]*\n\n((?: {{4}}[^\n]*\n)+)", page)
    assert found, words
    return textwrap.dedent(found[1])
