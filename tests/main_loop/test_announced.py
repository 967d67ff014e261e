"""A trial that takes a service away is announced; it starts when people could read of it, unless one left it out."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.real.docker import PrivateDaemon
from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene, scene_with
from tests.real.smtp import SmtpServer, running_smtp, text_of
from tests.real.stub_engine import stub_image

OLD, NEW = "0.32.0-r36.4-cu129-24.04", "0.33.0-r36.4-cu129-24.04"


@dataclass
class World:
    scene: Scene
    registry: Registry
    mail: SmtpServer

    def push(self, tag: str) -> None:
        client = self.scene.docker().client()
        repository = f"{self.registry.host}/vllm"
        stub_image(client, f"{repository}:{tag}", "assert")
        for line in client.api.push(repository, tag=tag, stream=True, decode=True):
            assert "error" not in line, line
        client.images.remove(f"{repository}:{tag}", force=True)

    def scheduled(self) -> dict[str, Any]:
        """Do a round of the schedule in which the time of every source has come."""
        self.change("update sources set last_look = null")
        return self.scene.answer("check-now", "--scheduled")

    def let_the_notice_pass(self) -> None:
        earlier = (datetime.now(UTC) - timedelta(minutes=31)).isoformat(timespec="microseconds")
        self.change("update notices set created_at = ? where kind = 'plan'", earlier)

    def change(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.scene.data_dir / "watcher.db")) as connection, connection:
            connection.execute(statement, values)


@pytest.fixture
def world(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as registry, running_smtp() as mail:
        image = f"{registry.host}/vllm"
        source = {"name": "tags", "kind": "oci-tags", "image": image, "architecture": "amd64"}
        scene = scene_with(
            clean_engine,
            tmp_path,
            [image],
            [source],
            notify={"urls": [mail.url], "on": ["plan", "verdict"]},
            acceptance={"soak": "1m"},
        )
        scene.table["schedule"]["jitter"] = "0s"
        scene.table["trial"]["cool_down"] = "0s"
        scene.start_assistant()
        world = World(scene, registry, mail)
        world.push(OLD)
        scene.answer("check-now")
        world.push(NEW)
        yield world


def test_it_is_told_once_and_starts_when_people_could_read_of_it(world: World) -> None:
    first = world.scheduled()
    assert first["trials"] == []
    (candidate,) = first["candidates"]
    (message,) = world.mail.messages
    text = text_of(message)
    for said in (
        NEW,
        "container:assistant will be away for at most 6 min",
        "window any time",
        f"watcher skip {candidate['id']}",
        "watcher pause 7d",
    ):
        assert said in text, said
    assert world.scheduled()["trials"] == []
    assert len(world.mail.messages) == 1, "told once"

    world.let_the_notice_pass()
    (trial,) = world.scheduled()["trials"]
    assert (trial["outcome"], trial["displaced"]) == ("verdict", ["container:assistant"])
    assert len(world.mail.messages) == 2, "and then its verdict"
    world.scene.assert_all_is_as_before()


def test_what_a_person_leaves_out_meanwhile_does_not_start(world: World) -> None:
    (candidate,) = world.scheduled()["candidates"]
    assert len(world.mail.messages) == 1
    assert world.scene.watcher("skip", str(candidate["id"])).returncode == 0
    world.let_the_notice_pass()
    assert world.scheduled()["trials"] == []
    assert len(world.mail.messages) == 1
    world.scene.assert_all_is_as_before()


def test_a_person_who_asks_now_waits_for_no_notice(world: World) -> None:
    (trial,) = world.scene.answer("check-now")["trials"]
    assert trial["outcome"] == "verdict"
    (message,) = world.mail.messages
    assert "is planned" not in text_of(message)


def test_where_nothing_is_taken_away_nothing_is_announced(world: World) -> None:
    world.scene.table["trial"]["displace"] = []
    (trial,) = world.scheduled()["trials"]
    assert (trial["outcome"], trial["displaced"]) == ("verdict", [])
    (message,) = world.mail.messages
    assert "is planned" not in text_of(message)
