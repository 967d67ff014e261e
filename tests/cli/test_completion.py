"""Commands are completed in bash by the real shell, in zsh and fish by the questions that their scripts ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import CHECKOUT


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


@pytest.mark.parametrize(
    ("shell", "question"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "watcher config "}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "watcher config ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_other_shells_are_given_a_script_and_answered(
    environment: dict[str, str], shell: str, question: dict[str, str]
) -> None:
    script = said(environment, "watcher", _WATCHER_COMPLETE=f"source_{shell}")
    assert all(name in script for name in question)
    answer = said(environment, "watcher", _WATCHER_COMPLETE=f"complete_{shell}", **question)
    assert all(command in answer for command in ("check", "show", "init"))
