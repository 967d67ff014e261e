"""Commands are completed in real shells, once the completion is installed in each."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.terminal import on_terminal


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return a home of one's own, in which `watcher` is a command."""
    program = tmp_path / "bin" / "watcher"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m watcher "$@"\n')
    program.chmod(0o755)
    return {"HOME": str(tmp_path), "PATH": f"{program.parent}:{os.defpath}", "SHELL": "/bin/bash", "LANG": "C.UTF-8"}


def said(environment: dict[str, str], *command: str, **more: str) -> str:
    done = subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes_commands_once_the_completion_is_installed(environment: dict[str, str]) -> None:
    said(environment, "bash", "-c", "watcher --install-completion; true")
    ask = 'COMP_WORDS=({words}) COMP_CWORD={at}; _watcher_completion watcher; echo "${{COMPREPLY[*]}}"'
    for words, at, expected in (("watcher con", 1, "config"), ("watcher config ''", 2, "check show init")):
        script = f". ~/.bashrc\n{ask.format(words=words, at=at)}"
        assert set(said(environment, "bash", "-c", script).split()) == set(expected.split())


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(shell) is None, reason=f"there is no {shell}; tests/system-packages.sh has it"
    )


@needs("fish")
def test_fish_completes_commands(environment: dict[str, str]) -> None:
    said(environment, "fish", "-c", "watcher --install-completion; true")
    for typed, expected in (("watcher con", {"config"}), ("watcher config ", {"check", "show", "init"})):
        answers = said(environment, "fish", "-c", f"complete --do-complete '{typed}'").splitlines()
        assert {answer.partition("\t")[0] for answer in answers} == expected


@needs("zsh")
def test_zsh_completes_a_command_at_the_prompt(environment: dict[str, str]) -> None:
    """Only its line editor asks for completions: that needs a terminal. The line that is added stands in the docs."""
    more = ". ~/.zfunc/_watcher"
    assert f"`{more}`" in (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    said(environment, "zsh", "-c", "watcher --install-completion; true")
    with (Path(environment["HOME"]) / ".zshrc").open("a") as file:
        file.write(f"{more}\nPS1='ready> '\n")
    with on_terminal(["zsh", "-i"], env=environment) as terminal:
        terminal.wait_until(lambda: "ready>" in terminal.lines())
        terminal.type(b"watcher tri\t")
        terminal.wait_until(lambda: "ready> watcher trial" in terminal.lines())
