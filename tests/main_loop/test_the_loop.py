"""Something new appears upstream; it is tried in Docker; the verdict reaches a person; what ran before runs again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.real.apt import AptRepository, running_apt
from tests.real.devpi import Devpi, devpi
from tests.real.docker import PrivateDaemon
from tests.real.github import GitHub, running_github
from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene, scene_with
from tests.real.smtp import SmtpServer, running_smtp, text_of
from tests.real.stub_engine import StubMode, stub_image

__all__ = ["devpi"]  # the fixture

OLD, NEW = "0.32.0-r36.4-cu129-24.04", "0.33.0-r36.4-cu129-24.04"


@dataclass
class World:
    """The four families of upstreams, all real servers but GitHub's shape, and the scene that watches them."""

    scene: Scene
    registry: Registry
    devpi: Devpi
    apt: AptRepository
    github: GitHub
    mail: SmtpServer
    index: str

    @property
    def repository(self) -> str:
        return f"{self.registry.host}/vllm"

    def push(self, tag: str, mode: StubMode) -> None:
        """Push a real image that the stub engine is in, and forget it here: the watcher has to pull it."""
        client = self.scene.docker().client()
        reference = f"{self.repository}:{tag}"
        stub_image(client, reference, mode)
        for line in client.api.push(self.repository, tag=tag, stream=True, decode=True):
            assert "error" not in line, line
        client.images.remove(reference, force=True)

    def look(self, document: dict[str, list[dict[str, object]]], name: str) -> dict[str, object]:
        return next(look for look in document["sources"] if look["name"] == name)


@pytest.fixture
def world(clean_engine: PrivateDaemon, devpi: Devpi, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "registry").mkdir()
    (tmp_path / "apt").mkdir()
    with (
        running_registry(tmp_path / "registry") as registry,
        running_apt(tmp_path / "apt") as apt,
        running_github() as github,
        running_smtp() as mail,
    ):
        index = f"{uuid4().hex[:8]}/cu126"
        devpi.create_index(index)
        devpi.upload(index, "torch-2.8.0-cp310-cp310-linux_aarch64.whl")
        apt.publish("r36.4", {"nvidia-l4t-core": ("36.4.4-20250616085344",)})
        github.release("v0.32.0")
        sources: list[dict[str, Any]] = [
            {"name": "tags", "kind": "oci-tags", "image": f"{registry.host}/vllm", "architecture": "amd64"},
            {"name": "torch", "kind": "simple-index", "url": devpi.page(index, "torch")},
            {"name": "releases", "kind": "github-releases", "repo": "vllm-project/vllm", "api_url": github.api_url,
             "feed_url": github.feed_url},
            {"name": "l4t", "kind": "apt", "urls": [apt.url], "dists": ["r36.4"], "packages": ["nvidia-l4t-core"]},
        ]  # fmt: skip
        scene = scene_with(clean_engine, tmp_path, [f"{registry.host}/vllm"], sources, notify={"urls": [mail.url]})
        scene.start_assistant()
        yield World(scene, registry, devpi, apt, github, mail, index)


def test_a_new_tag_is_found_tried_judged_and_told_and_the_service_runs_again(world: World) -> None:
    world.push(OLD, "healthy")
    first = world.scene.answer("check-now")
    assert {look["outcome"] for look in first["sources"]} == {"baseline"}
    assert (first["events"], first["trials"], world.mail.messages) == ([], [], []), "first sight is not news"

    world.push(NEW, "assert")
    second = world.scene.answer("check-now")
    (event,) = second["events"]
    assert (event["source"], event["kind"], event["name"], event["version"]) == ("tags", "new", NEW, "0.33.0")
    (candidate,) = second["candidates"]
    assert (candidate["image"], candidate["compatible"]) == (f"{world.repository}:{NEW}", True)
    assert candidate["digest"] == event["digest"]
    (trial,) = second["trials"]
    assert (trial["outcome"], trial["bug"]["state"], trial["bring_up"]) == ("verdict", "present", "fails")
    assert (trial["failure_class"], trial["displaced"]) == ("allocator-nvml-assert", ["container:assistant"])
    assert trial["away_seconds"] > 0
    evidence = next(row for row in trial["evidence"] if row["rung"] == "bring-up" and row["line"])
    log = world.scene.watcher("trial", "log", str(trial["id"])).stdout.splitlines()
    assert "CUDACachingAllocator.cpp" in log[evidence["line"] - 1]
    assert second["answer"]["bug"]["state"] == "present"
    world.scene.assert_all_is_as_before()

    (message,) = world.mail.messages
    assert "the bug is still there" in text_of(message).splitlines()[0].lower()
    assert NEW in text_of(message)

    third = world.scene.answer("check-now")
    assert (third["events"], third["trials"], third["candidates"]) == ([], [], [])
    assert len(world.mail.messages) == 1, "nothing new is not news"
    for name in ("torch", "releases", "l4t"):
        look = world.look(third, name)
        assert (look["outcome"], look["bytes"]) == ("unchanged", 0), look


def test_all_that_changed_in_one_check_is_one_message(world: World) -> None:
    world.push(OLD, "healthy")
    world.scene.answer("check-now")
    world.push(NEW, "healthy")
    world.devpi.upload(world.index, "torch-2.9.1-cp310-cp310-linux_aarch64.whl")
    world.apt.publish("r36.4", {"nvidia-l4t-core": ("36.4.7-20250918154033",)})
    world.github.release("v0.33.0")
    done = world.scene.answer("check-now")
    assert sorted((event["source"], event["kind"]) for event in done["events"]) == [
        ("l4t", "new"), ("releases", "new"), ("tags", "new"), ("torch", "new"),
    ]  # fmt: skip
    (trial,) = done["trials"]
    assert (trial["outcome"], trial["bring_up"], trial["failure_class"]) == ("verdict", "works", None)
    assert (trial["acceptance"]["completion"], trial["acceptance"]["streams"]) == (True, True)
    assert trial["acceptance"]["tool_call"]
    assert trial["acceptance"]["level"] == "none", "stability was not measured"
    (message,) = world.mail.messages
    for name in (NEW, "torch-2.9.1", "v0.33.0", "36.4.7-20250918154033", ", vLLM works"):
        assert name in text_of(message), name
    world.scene.assert_all_is_as_before()


def test_a_message_that_a_channel_refuses_is_offered_again(world: World) -> None:
    world.push(OLD, "healthy")
    world.scene.answer("check-now")
    world.mail.refuses = True
    world.push(NEW, "assert")
    world.scene.answer("check-now")
    assert not world.mail.messages
    world.mail.refuses = False
    database = world.scene.data_dir / "watcher.db"
    import sqlite3

    with sqlite3.connect(database) as connection:  # the minute of patience, without waiting for it
        connection.execute("update deliveries set next_at = null")
    world.scene.answer("check-now")
    (message,) = world.mail.messages
    assert NEW in text_of(message)


def test_the_commands_that_show_agree_with_what_happened(world: World) -> None:
    world.push(OLD, "healthy")
    world.scene.answer("check-now")
    world.push(NEW, "healthy")
    world.scene.answer("check-now")
    status = world.scene.answer("status")
    assert (status["answer"]["bring_up"], status["owed"]) == ("works", [])
    assert {source["name"] for source in status["sources"]} == {"tags", "torch", "releases", "l4t"}
    (event,) = world.scene.answer("events", "--since", "7d")["events"]
    (trial,) = world.scene.answer("trials")["trials"]
    assert event["name"] == NEW
    assert world.scene.answer("trial", "show", str(trial["id"]))["trial"] == trial
    assert len(world.scene.answer("sources")["sources"]) == 4
    for command in (("status",), ("events",), ("trials",), ("sources",), ("trial", "show", "1"), ("config", "show")):
        done = world.scene.watcher(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
    shown = world.scene.watcher("config", "show").stdout
    assert "mailto://" not in shown, "secrets are masked"
    assert json.dumps(status)
