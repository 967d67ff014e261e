"""nvchecker in a virtual environment of its own (`.cache/`, made once), asking the same pages as we do."""

import fcntl
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from tests.places import CACHE, CHECKOUT

_LOCK = CHECKOUT / "requirements-bench.lock"
PARALLEL = (20, 100)
"""Its own `max_concurrency`: the default, and enough for a hundred pages at once."""


def installed_nvchecker(cache: Path = CACHE) -> Path:
    """Return the program, installing it on first use (seconds, through pip as configured)."""
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"bench-{sys.version_info.major}.{sys.version_info.minor}"
    with (cache / "bench.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True)
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True, stderr=subprocess.PIPE)
            (place / "ready").touch()
    return place / "bin" / "nvchecker"


def nvchecker_config(folder: Path, pages: Mapping[str, str], parallel: int) -> Path:
    """Write and return a configuration: each page is fetched whole, and its versions read by a regular expression."""
    head = f'[__config__]\noldver = "old.json"\nnewver = "new.json"\nmax_concurrency = {parallel}\n'
    entries = (
        f'["{project}"]\nsource = "regex"\nurl = {json.dumps(url)}\nregex = \'"{project}-([0-9.]+)-cp310\'\n'
        for project, url in pages.items()
    )
    file = folder / f"nvchecker-{parallel}.toml"
    file.write_text("\n".join((head, *entries)))
    return file
