"""`sources` says how each source does; `sources test` looks once and stores nothing."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.real.github import GitHub, running_github
from tests.real.scene import Scene
from tests.real.web import Asked, Reply, Web, running_web
from watcher.store.database import open_store
from watcher.store.migrate import migrate

WHEELS = tuple(f"torch-{version}-cp310-cp310-linux_aarch64.whl" for version in ("2.9.1", "2.10.0", "2.11.0rc1"))


def page(*wheels: str) -> Reply:
    links = "".join(f'<a href="{name}#sha256={hashlib.sha256(name.encode()).hexdigest()}">x</a>' for name in wheels)
    body = f'<!DOCTYPE html><meta name="pypi:repository-version" content="1.0">{links}'
    return Reply(200, body.encode(), {"Content-Type": "text/html"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Scene, Web]]:
    with running_web() as web:
        web.routes["/torch/"] = page(*WHEELS)
        web.routes["/bad/"] = Reply(503)
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none"},
            "sources": [
                {"name": "torch", "kind": "simple-index", "url": f"{web.url}/torch/", "exclude": "2\\.9"},
                {"name": "bad", "kind": "simple-index", "url": f"{web.url}/bad/"},
            ],
        }
        yield Scene(tmp_path, None, table), web


def test_one_look_shows_what_is_parsed_and_stores_nothing(world: tuple[Scene, Web]) -> None:
    scene, web = world
    seen = scene.answer("sources", "test", "torch")
    assert (seen["schema"], seen["name"], seen["kind"]) == ("watcher/sources-test/1", "torch", "simple-index")
    assert (seen["outcome"], seen["facts"], seen["wanted"], seen["prereleases"]) == ("ok", 3, 2, 1)
    assert (seen["requests"], seen["not_modified"], seen["error"]) == (1, 0, None)
    assert seen["bytes"] > 100
    assert [row["version"] for row in seen["rows"]] == ["2.11.0rc1", "2.10.0", "2.9.1"], "newest first"
    assert seen["newest"] == {
        "name": WHEELS[1],
        "version": "2.10.0",
        "digest": f"sha256:{hashlib.sha256(WHEELS[1].encode()).hexdigest()}",
        "url": f"{web.url}/torch/{WHEELS[1]}",
        "published_at": None,
    }
    assert web.paths() == ["/torch/"], "no wheel was read"
    assert not scene.data_dir.exists()


def test_one_look_reads_well(world: tuple[Scene, Web]) -> None:
    scene, _ = world
    done = scene.watcher("sources", "test", "torch")
    assert done.returncode == 0, done.stderr
    for line in (
        "torch, simple-index: 3 facts",
        "  include and exclude let 2 through; prereleases: 1",
        f"  newest: {WHEELS[1]}  sha256:",
        f"  static evidence begins with {WHEELS[2]}",
        "  cost: 1 request, 0 not modified, ",
    ):
        assert line in done.stdout


def test_a_look_without_success_ends_with_3_and_says_why(world: tuple[Scene, Web]) -> None:
    scene, _ = world
    seen = scene.answer("sources", "--json", "test", "bad", code=3)
    assert (seen["outcome"], seen["rows"], seen["newest"], seen["listed"]) == ("failed", [], None, None)
    assert seen["error"]["type"] == "SourceUnavailable"
    assert "the upstream is in trouble (status=503" in seen["error"]["message"]
    done = scene.watcher("sources", "test", "bad")
    assert (done.returncode, done.stdout) == (3, "")
    assert "bad: the upstream is in trouble" in done.stderr


def test_an_unknown_name_is_answered_with_the_known_ones(world: tuple[Scene, Web]) -> None:
    scene, web = world
    done = scene.watcher("sources", "test", "troch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "known are torch, bad" in done.stderr
    assert web.asked == []


def test_one_look_leaves_a_host_alone_that_asked_for_it_and_the_database_as_it_was(
    world: tuple[Scene, Web],
) -> None:
    scene, web = world
    scene.answer("check-now", code=3)
    before = dump(scene)
    web.routes["/torch/"] = page("torch-2.12.0-cp310-cp310-linux_aarch64.whl")
    assert scene.answer("sources", "test", "torch")["facts"] == 1
    web.routes["/torch/"] = Reply(429, headers={"Retry-After": "600", "X-RateLimit-Remaining": "0"})
    assert scene.answer("sources", "test", "torch", code=3)["error"]["retry_after"] == 600
    assert dump(scene) == before
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds")
    with sqlite3.connect(scene.data_dir / "watcher.db") as connection:
        connection.execute("INSERT INTO holds VALUES (?, ?)", (web.host, until))
    connection.close()
    asked = len(web.asked)
    seen = scene.answer("sources", "test", "torch", code=3)
    assert "left alone" in seen["error"]["message"]
    assert seen["error"]["retry_after"] > 3000
    assert len(web.asked) == asked


def test_one_look_does_without_the_holds_of_a_database_of_another_release(world: tuple[Scene, Web]) -> None:
    scene, _ = world
    scene.data_dir.mkdir()
    path = scene.data_dir / "watcher.db"
    sqlite3.connect(path).close()
    migrate(path, "0001")
    before = dump(scene)
    assert scene.answer("sources", "test", "torch")["facts"] == 3
    assert dump(scene) == before


@pytest.mark.parametrize(
    ("command", "code"), [("status", 0), ("sources", 0), ("events", 0), ("trials", 0), ("trial show 1", 2)]
)
def test_who_only_reads_does_not_wait_for_who_writes(world: tuple[Scene, Web], command: str, code: int) -> None:
    scene, _ = world
    open_store(scene.data_dir).close()
    with sqlite3.connect(scene.data_dir / "watcher.db", isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        done = scene.watcher(*command.split())
        writer.execute("ROLLBACK")
    writer.close()
    assert done.returncode == code, done.stderr
    assert "held by another process" not in done.stderr


def dump(scene: Scene) -> list[str]:
    with sqlite3.connect(scene.data_dir / "watcher.db") as connection:
        lines = list(connection.iterdump())
    connection.close()
    return lines


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running_github() as github:

        def limited(asked: Asked) -> Reply:
            limits = {"X-RateLimit-Remaining": "57", "X-RateLimit-Reset": str(int(time.time()) + 1800)}
            reply = github.answer(asked)
            return Reply(reply.status, reply.body, {**reply.headers, **limits})

        github.web.fallback = limited
        yield github


def test_sources_say_how_they_do_and_what_hosts_still_grant(world: tuple[Scene, Web], github: GitHub) -> None:
    scene, web = world
    for number, day in enumerate(("2025-04-22", "2025-05-01", "2025-05-06")):
        github.release(f"v0.8.{number}", published_at=f"{day}T10:00:00Z")
    releases: dict[str, Any] = {"name": "releases", "kind": "github-releases", "repo": github.repo}
    releases |= {"api_url": github.api_url, "feed_url": github.feed_url, "moved_to": "ghcr.io/nvidia-ai-iot/vllm"}
    scene.table["sources"] += [releases, {"name": "off", "kind": "feed", "url": web.url, "enabled": False}]
    scene.answer("check-now", code=3)
    quiet = "nothing new since 2025-05-06; publishing moved to ghcr.io/nvidia-ai-iot/vllm"
    shown = scene.answer("sources")
    rows = {row["name"]: row for row in shown["sources"]}
    assert {name: row["stale"] for name, row in rows.items()} == {
        "torch": None, "bad": None, "releases": quiet, "off": None,
    }  # fmt: skip
    assert (rows["torch"]["newest"], rows["releases"]["newest"]) == ("2.10.0", "v0.8.2")
    assert rows["torch"]["next_look"] > rows["torch"]["last_look"]
    assert rows["off"]["next_look"] is None
    (budget,) = shown["budgets"]
    assert (budget["host"], budget["limit"], budget["remaining"]) == (github.web.host, 60, 57)
    text = scene.watcher("sources").stdout
    assert "3 facts, newest 2.10.0  looked at " in text
    assert "  could never be read (the last look failed): the upstream is in trouble (status=503" in text
    assert "3 facts, newest v0.8.2  looked at " in text
    assert text.rstrip().endswith("UTC")
    assert f"{github.web.host}: 57 of 60 requests left until " in text
    assert "switched off" in text
    status = scene.answer("status")
    assert {row["name"]: row["stale"] for row in status["sources"]}["releases"] == quiet
    assert f"releases: {quiet}" in status["answer"]["next_step"]
