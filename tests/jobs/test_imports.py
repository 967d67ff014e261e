"""A check in which nothing moved loads nothing that only news, messages or trials need."""

import json
import re
import subprocess
import sys
from pathlib import Path

from watcher.demo.world import World, sources_toml

NOT_NEEDED = {"alembic", "apprise", "click", "docker", "feedparser", "github", "pygments", "requests", "rich"}


def test_a_warm_check_imports_only_what_it_needs(tmp_path: Path) -> None:
    with World() as world:
        config = tmp_path / "config.toml"
        config.write_text(f'[store]\ndata_dir = "data"\n\n{sources_toml(world.sources())}')
        command = ["-m", "watcher", "--config", str(config), "check-now", "--no-trial", "--json"]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *command], check=True, capture_output=True, text=True
        )
    assert {look["outcome"] for look in json.loads(done.stdout)["sources"]} == {"unchanged"}
    modules = set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))
    assert {"httpx", "sqlalchemy", "watcher.sources.github_releases"} <= modules
    assert {module.partition(".")[0] for module in modules} & NOT_NEEDED == set()
    assert {module for module in modules if module.startswith(("watcher.verdict", "watcher.trial"))} == set()
