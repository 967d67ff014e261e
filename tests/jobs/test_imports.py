"""A check in which nothing moved loads nothing that only news, messages or trials need, and no command SQLAlchemy."""

import json
import re
import subprocess
import sys
from pathlib import Path

from watcher.demo.world import World, sources_toml

NOT_NEEDED = {"alembic", "apprise", "click", "docker", "feedparser", "github", "pygments", "requests", "rich"}


def said_and_imported(config: Path, *arguments: str) -> tuple[str, set[str]]:
    """Return what a command printed, and the modules that it loaded."""
    command = [sys.executable, "-X", "importtime", "-m", "watcher", "--config", str(config), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout, set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))


def test_a_warm_check_imports_only_what_it_needs(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with World() as world:
        config.write_text(f'[store]\ndata_dir = "data"\n\n{sources_toml(world.sources())}')
        _, at_first = said_and_imported(config, "check-now", "--no-trial", "--json")
        told, modules = said_and_imported(config, "check-now", "--no-trial", "--json")
        _, asked = said_and_imported(config, "status")
    assert {look["outcome"] for look in json.loads(told)["sources"]} == {"unchanged"}
    assert {"httpx", "sqlite3", "watcher.sources.github_releases"} <= modules
    assert {module.partition(".")[0] for module in modules} & NOT_NEEDED == set()
    assert {module for module in modules if module.startswith(("watcher.verdict", "watcher.trial"))} == set()
    assert "sqlalchemy" not in at_first | modules | asked, "the schema of a new database is made without it, too"
