"""Bad input and bad days: a clear line that says what to do, and nothing is lost."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.scene import Scene
from tests.real.web import Reply, running_web

BROKEN = """
colour = "red"

[device]
l4t = "thirty-six"
docker = "/var/run/docker.sock"

[schedule]
every = "often"
window = "02:00"
timezone = "Mars/Olympus"

[trial]
displace = ["assistant"]
engine = "vlm"

[[sources]]
name = "vllm"
kind = "github-releases"
repo = "not a repo"

[[sources]]
name = "tags"
kind = "oci-tags"
image = "dustynv/vllm:latest"
include = ["("]

[[sources]]
name = "other"
kind = "rss"
"""
PLACES = [
    "colour", "device.l4t", "device.docker", "schedule.every", "schedule.window", "schedule.timezone", "trial.displace",
    "trial.engine",
    "sources.0.github-releases.repo", "sources.1.oci-tags.image", "sources.1.oci-tags.include", "sources.2",
]  # fmt: skip


def scene_alone(folder: Path) -> Scene:
    """Return a scene that only watches."""
    return Scene(folder, engine=None, table={"store": {"data_dir": "data"}, "device": {"docker": "none"}})


def test_a_broken_configuration_reports_every_fault_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(BROKEN)
    command = [sys.executable, "-m", "watcher", "--config", str(tmp_path / "config.toml"), "config", "check"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for place in PLACES:
        assert f"{place}:" in done.stderr, f"{place} is missing in\n{done.stderr}"


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Scene]:
    """Serve one good index and four bad ones."""
    with running_web() as web, running_web() as busy:
        page = b'<!DOCTYPE html><html><meta name="pypi:repository-version" content="1.0"><body>%s</body></html>'
        link = b'<a href="torch-2.8.0-cp310-cp310-linux_aarch64.whl#sha256=%s">torch</a>' % (b"a" * 64)
        web.routes["/good/torch/"] = Reply(200, page % link, {"Content-Type": "text/html"})
        web.routes["/html/torch/"] = Reply(200, b"<html><title>Sign in</title></html>", {"Content-Type": "text/html"})
        busy.routes["/busy/torch/"] = Reply(429, b"slow down", {"Retry-After": "120"})
        web.routes["/half/torch/"] = Reply(
            200, b'{"meta": {"api-version": "1.0"}, "files": [', {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        )
        web.routes["/slow/torch/"] = Reply(200, page % link, {"Content-Type": "text/html"}, delay=5)
        scene = scene_alone(tmp_path)
        scene.table["sources"] = [
            {
                "name": name,
                "kind": "simple-index",
                "url": f"{busy.url if name == 'busy' else web.url}/{name}/torch/",
                "timeout": "1s" if name == "slow" else "20s",
            }
            for name in ("html", "busy", "half", "slow", "good")
        ]
        yield scene


def test_sources_fail_alone_with_a_clear_line_while_the_rest_is_done(upstreams: Scene) -> None:
    document = upstreams.answer("check-now", code=3)
    looks = {look["name"]: look for look in document["sources"]}
    assert (looks["good"]["outcome"], looks["good"]["facts"]) == ("baseline", 1)
    for name in ("html", "busy", "half", "slow"):
        assert looks[name]["outcome"] == "failed", name
        assert looks[name]["error"]["message"], name
    assert 100 <= looks["busy"]["error"]["retry_after"] <= 120


def test_a_failure_is_an_exit_code_until_it_was_told(upstreams: Scene) -> None:
    codes = [upstreams.watcher("check-now").returncode for _ in range(4)]
    assert codes == [3, 3, 3, 0], "the third failure in a row is told; after that it is known"
    assert upstreams.watcher("check-now", "--strict").returncode == 3


def test_an_unknown_source_is_a_wrong_call(upstreams: Scene) -> None:
    done = upstreams.watcher("check-now", "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "good" in done.stderr


def test_a_locked_database_is_said_and_loses_nothing(upstreams: Scene) -> None:
    upstreams.answer("check-now", code=3)
    database = upstreams.data_dir / "watcher.db"
    with sqlite3.connect(database, isolation_level=None) as lock:
        lock.execute("begin exclusive")
        blocked = upstreams.watcher("check-now")
        lock.execute("rollback")
    assert blocked.returncode == 1
    assert "database" in blocked.stderr
    assert "Traceback" not in blocked.stderr
    document = upstreams.answer("check-now", code=3)
    assert not document["events"], "what was known is still known"


def test_without_a_configuration_it_says_that_it_only_watches(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "WATCHER_STORE__DATA_DIR": str(tmp_path / "data")}
    env.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "status"], cwd=tmp_path, capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "built-in defaults" in done.stderr
