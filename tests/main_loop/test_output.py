"""What reaches stdout can always be printed, whatever upstream or an engine wrote, and whatever the terminal speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.places import CHECKOUT

LOG = (
    "INFO vLLM API server version 0.33.0\nRuntimeError: CUDA out of memory \N{GREATER-THAN OR EQUAL TO} 5 GiB"
    " \N{PILE OF POO}\n"
)


def classified(folder: Path, *options: str) -> "subprocess.CompletedProcess[bytes]":
    (folder / "engine.log").write_text(LOG, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "watcher", "classify", str(folder / "engine.log"), *options],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )


def test_a_terminal_that_speaks_ascii_gets_lines_and_json(tmp_path: Path) -> None:
    plain = classified(tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert b"CUDA out of memory" in plain.stdout
    document = json.loads(classified(tmp_path, "--json").stdout)
    assert "\N{PILE OF POO}" in document["findings"][0]["text"]
