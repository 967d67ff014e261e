"""A wrong call ends with 2 and a line that says what to do; never with a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

CALLS = [
    ("frobnicate", "No such command"),
    ("check-now --bogus", "--bogus"),
    ("trial show x", "integer"),
    ("trial show 7", "there is no trial 7"),
    ("trial log 7", "there is no trial 7"),
    ("events --since yesterday", "7d"),
    ("trial run some/image:1", "device.docker"),
    ("skip x", "integer"),
    ("skip 7", "there is no candidate 7"),
    ("pause soon", "7d"),
    ("pause 0s", "takes some time"),
    ("pause 9999999w", "shorter"),
    ("notify test", "notify.urls"),
    ("inspect nowhere.whl", "no such file"),
    ("classify nowhere.log", "could not be read"),
    ("--config nowhere.toml status", "does not exist"),
    ("check-now nowhere", "nowhere"),
]


@pytest.mark.parametrize(("call", "says"), CALLS)
def test_a_wrong_call_is_said_so(tmp_path: Path, call: str, says: str) -> None:
    (tmp_path / "config.toml").write_text('sources = []\n[store]\ndata_dir = "data"\n[device]\ndocker = "none"\n')
    command = [sys.executable, "-m", "watcher", *call.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_upstream_text_reaches_the_terminal_tame(tmp_path: Path) -> None:
    line = b'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/a/CUDACachingAllocator.cpp":1'
    log = line + b" \x1b]0;owned\x07\x9b31m\r\n"
    command = [sys.executable, "-m", "watcher", "classify"]
    done = subprocess.run(command, cwd=tmp_path, input=log, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"allocator-nvml-assert" in done.stdout
    assert not set(done.stdout) & {0x1B, 0x07, 0x9B}
