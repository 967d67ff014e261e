"""Against real servers each change is told exactly once, whatever is looked at again, fails in between or is killed."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.places import CHECKOUT
from tests.real.apt import AptRepository, running_apt
from tests.real.devpi import Devpi, devpi
from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene
from tests.real.web import Asked, Reply, Web, running_web

__all__ = ["devpi"]  # the fixture

DIST, CORE, OLD, NEW = "r36.4", "nvidia-l4t-core", "36.4.4-20250616085344", "36.4.7-20250918154033"
TAG, WHEEL, YANKED = (
    "0.33.0-r36.4",
    "torch-2.9.1-cp310-cp310-linux_aarch64.whl",
    "torch-2.7.0-cp310-cp310-linux_aarch64.whl",
)
JSON = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
ROUND = ("check-now", "--no-trial")


@dataclass
class World:
    """A real registry, devpi and apt repository, and a program that watches all three."""

    scene: Scene
    registry: Registry
    devpi: Devpi
    apt: AptRepository
    upstream: Web
    index: str
    aside: Path

    @property
    def deb(self) -> Path:
        return self.apt.deb(DIST, CORE, NEW)

    def begin(self) -> None:
        """Show what was there before the first look: four of each, so that a list can be emptied suspiciously."""
        for number in range(4):
            self.registry.push("vllm", f"0.{number}.0-r36.4", str(number))
            self.devpi.upload(self.index, f"torch-2.{number}.0-cp310-cp310-linux_aarch64.whl")
        self.apt.publish(DIST, {CORE: (OLD,), "nvidia-jetpack": ("6.1+b123", "6.2+b77", "6.2.1+b38")})
        self.mirror(None)

    def mirror(self, yanked: str | None) -> None:
        """Set what the index says that devpi mirrors."""
        file = {"filename": YANKED, "url": YANKED, "hashes": {"sha256": "a" * 64}} | (
            {"yanked": yanked} if yanked else {}
        )
        page = {"meta": {"api-version": "1.0"}, "name": "torch", "files": [file]}
        self.upstream.routes["/simple/torch/"] = Reply(200, json.dumps(page).encode(), JSON)

    def add(self) -> None:
        self.registry.push_parts("vllm", TAG, {"amd64": "a", "arm64": "a"})
        self.devpi.upload(self.index, WHEEL, "a")
        self.apt.publish(DIST, {CORE: (NEW,)})

    def rebuild(self) -> None:
        self.registry.push_parts("vllm", TAG, {"amd64": "a", "arm64": "b"})
        self.devpi.upload(self.index, WHEEL, "b")
        self.apt.publish(DIST, {CORE: (NEW,)}, content="another content")

    def move_for_another_architecture(self) -> None:
        self.registry.push_parts("vllm", TAG, {"amd64": "b", "arm64": "b"})

    def take_away(self) -> None:
        self.registry.delete_tag("vllm", TAG)
        self.devpi.delete(self.index, "torch", WHEEL.split("-")[1])
        shutil.move(self.deb, self.aside)
        self.apt.index(DIST)

    def give_back(self) -> None:
        self.registry.push_parts("vllm", TAG, {"amd64": "b", "arm64": "b"})
        self.devpi.upload(self.index, WHEEL, "b")
        shutil.move(self.aside, self.deb)
        self.apt.index(DIST)

    def told(self, code: int = 0) -> list[tuple[str, str]]:
        """Check once and return what it tells, as (kind, name)."""
        return kinds(self.scene.answer(*ROUND, code=code)["events"])

    def stored(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self.scene.data_dir / "watcher.db")) as connection:
            rows = connection.execute("select kind, fact from events").fetchall()
        return sorted((kind, json.loads(fact)["name"]) for kind, fact in rows)


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((event["kind"], event["name"]) for event in events)


def each(kind: str) -> list[tuple[str, str]]:
    """Return one event of this kind from each of the three families."""
    return sorted((kind, name) for name in (TAG, WHEEL, f"{CORE} {DIST}"))


@pytest.fixture
def world(devpi: Devpi, tmp_path: Path) -> Iterator[World]:
    with (
        running_registry(tmp_path / "registry") as registry,
        running_apt(tmp_path / "apt") as apt,
        running_web() as web,
    ):
        user = uuid4().hex[:8]
        devpi.create_index(f"{user}/cu126")
        devpi.create_mirror(f"{user}/mirror", f"{web.url}/simple/")
        sources = [
            {"name": "tags", "kind": "oci-tags", "image": f"{registry.host}/vllm", "architecture": "arm64"},
            {"name": "torch", "kind": "simple-index", "url": devpi.page(f"{user}/cu126", "torch")},
            {"name": "mirror", "kind": "simple-index", "url": devpi.page(f"{user}/mirror", "torch")},
            {"name": "l4t", "kind": "apt", "urls": [apt.url], "dists": [DIST], "packages": [CORE, "nvidia-jetpack"]},
        ]
        table = {"store": {"data_dir": "data"}, "device": {"docker": "none"}, "sources": sources}
        scene = Scene(tmp_path, engine=None, table=table)
        world = World(scene, registry, devpi, apt, web, f"{user}/cu126", tmp_path / "aside.deb")
        world.begin()
        yield world


def test_each_kind_of_event_appears_exactly_once_and_a_replay_adds_nothing(world: World) -> None:
    first = world.scene.answer(*ROUND)
    assert [look["outcome"] for look in first["sources"]] == ["baseline"] * 4
    assert first["events"] == []
    assert world.told() == []
    steps: list[tuple[Callable[[], None], list[list[tuple[str, str]]]]] = [
        (world.add, [each("new"), []]),
        (world.rebuild, [each("rebuilt"), []]),
        (world.move_for_another_architecture, [[]]),
        (lambda: world.mirror("it was broken"), [[("edited", YANKED)], []]),
        (world.take_away, [[], each("withdrawn"), []]),
        (world.give_back, [each("returned"), []]),
    ]
    for change, looks in steps:
        change()
        for expected in looks:
            assert world.told() == expected
    once = [
        ("edited", YANKED),
        *(event for kind in ("new", "rebuilt", "returned", "withdrawn") for event in each(kind)),
    ]
    assert world.stored() == once
    assert kinds(world.scene.answer("events", "--since", "1d")["events"]) == once


MOMENTS = range(5, 125, 8)
"""Of the hundred and more things that a check tells the database: before these it is killed."""


def test_killed_at_any_moment_of_a_check_each_event_is_there_exactly_once(world: World) -> None:
    world.told()
    before = world.scene.folder / "before"
    shutil.copytree(world.scene.data_dir, before)
    world.add()
    world.mirror("it was broken")
    expected = sorted([*each("new"), ("edited", YANKED)])
    survived = 0
    for moment in MOMENTS:
        shutil.rmtree(world.scene.data_dir)
        shutil.copytree(before, world.scene.data_dir)
        arguments = world.scene.command(*ROUND)[3:]
        command = [sys.executable, "-m", "tests.main_loop.killed_in_check", str(moment), *arguments]
        killed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, timeout=60, check=False)
        assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
        survived += killed.returncode == 0
        world.told()
        assert world.stored() == expected, f"killed before thing {moment}"
    assert survived <= 3, "the moments lie within a check"
    assert world.told() == []


# --- failures -----------------------------------------------------------------------------------------------------


@dataclass
class Front:
    """What stands before a real server and can fail in its place; `down` refuses every connection."""

    behind: str
    empty: dict[str, Reply]
    port: int = 0
    web: Web = field(init=False)
    stack: ExitStack = field(default_factory=ExitStack)

    def up(self) -> None:
        self.web = self.stack.enter_context(running_web(self.port))
        self.port = urlsplit(self.web.url).port or 0
        self.web.fallback = self.forwarded

    def down(self) -> None:
        self.stack.close()

    def forwarded(self, asked: Asked) -> Reply:
        headers = {name: value for name, value in asked.headers.items() if name.startswith(("accept", "if-"))}
        answer = httpx.request(asked.method, f"{self.behind}{asked.path}", params=dict(asked.query), headers=headers)
        dropped = {"content-encoding", "connection", "transfer-encoding", "date", "server"}
        kept = {name: value for name, value in answer.headers.items() if name not in dropped}
        return Reply(answer.status_code, answer.content, kept | {"content-length": str(len(answer.content))})


def fails(front: Front, way: str) -> None:
    match way:
        case "refused":
            front.down()
        case "500":
            front.web.fallback = lambda _: Reply(500, b"trouble")
        case "a page for people":
            front.web.fallback = lambda _: Reply(200, b"<html><title>Sign in</title></html>")
        case "an empty list":
            front.web.fallback = lambda asked: front.empty.get(asked.path, Reply(404))


def recovers(front: Front, way: str) -> None:
    if way == "refused":
        front.up()
    front.web.fallback = front.forwarded


EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PACKAGES = "main/binary-arm64/Packages"


@pytest.fixture
def fronts(world: World) -> Iterator[dict[str, Front]]:
    """Put a front before each server and let the program ask there; the mirror is left out."""
    release = f"SHA256:\n {EMPTY_SHA256} 0 {PACKAGES}\n".encode()
    empty = {
        "tags": {"/v2/vllm/tags/list": Reply(200, b'{"name": "vllm", "tags": null}')},
        "torch": {f"/{world.index}/+simple/torch/": Reply(200, b'{"name": "torch", "files": []}', JSON)},
        "l4t": {f"/dists/{DIST}/Release": Reply(200, release), f"/dists/{DIST}/{PACKAGES}": Reply(200)},
    }
    behind = {"tags": world.registry.url, "torch": world.devpi.url, "l4t": world.apt.url}
    fronts = {name: Front(behind[name], empty[name]) for name in behind}
    with ExitStack() as stack:
        for front in fronts.values():
            front.up()
            stack.callback(front.down)
        tags, torch, _, l4t = world.scene.table["sources"]
        tags["image"] = f"{fronts['tags'].web.host}/vllm"
        torch["url"] = f"{fronts['torch'].web.url}/{world.index}/+simple/torch/"
        l4t["urls"] = [fronts["l4t"].web.url]
        world.scene.table["sources"] = [tags, torch, l4t]
        yield fronts


@pytest.mark.parametrize("way", ["refused", "500", "a page for people", "an empty list"])
def test_facts_older_than_a_failure_survive_it(world: World, fronts: dict[str, Front], way: str) -> None:
    first = world.scene.answer(*ROUND)
    counts = {look["name"]: look["facts"] for look in first["sources"]}
    assert counts == {"tags": 4, "torch": 4, "l4t": 4}
    for front in fronts.values():
        fails(front, way)
    for _ in range(2):  # two, so that "nothing there" would be a withdrawal
        failed = world.scene.answer(*ROUND, code=3)
        assert {look["outcome"] for look in failed["sources"]} == {"failed"}
        assert {look["name"]: look["facts"] for look in failed["sources"]} == counts
        assert failed["events"] == []
    for front in fronts.values():
        recovers(front, way)
    recovered = world.scene.answer(*ROUND)
    assert {look["outcome"] for look in recovered["sources"]} == {"unchanged"}
    assert (recovered["events"], world.stored()) == ([], [])


def test_two_upstreams_that_are_down_do_not_hide_the_news_of_the_third(world: World, fronts: dict[str, Front]) -> None:
    world.told()
    was_ok = {row["name"]: row["last_ok"] for row in world.scene.answer("sources")["sources"]}
    fails(fronts["tags"], "refused")
    fails(fronts["l4t"], "500")
    world.add()
    done = world.scene.answer(*ROUND, code=3)
    assert kinds(done["events"]) == [("new", WHEEL)]
    outcomes = {"tags": "failed", "torch": "changed", "l4t": "failed"}
    assert {look["name"]: look["outcome"] for look in done["sources"]} == outcomes
    for command in ("status", "sources"):
        rows = {row["name"]: row for row in world.scene.answer(command)["sources"]}
        assert {name: row["failures"] for name, row in rows.items()} == {"tags": 1, "torch": 0, "l4t": 1}
        assert {name: row["error"] is None for name, row in rows.items()} == {
            "tags": False,
            "torch": True,
            "l4t": False,
        }
        assert {name: row["facts"] for name, row in rows.items()} == {"tags": 4, "torch": 5, "l4t": 4}
        assert [rows[name]["last_ok"] for name in ("tags", "l4t")] == [was_ok["tags"], was_ok["l4t"]]
    recovers(fronts["tags"], "refused")
    recovers(fronts["l4t"], "500")
    assert world.told() == sorted(set(each("new")) - {("new", WHEEL)}), "what came meanwhile is news now"
    assert world.stored() == each("new")
