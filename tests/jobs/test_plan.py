"""Planning against the real database: what upstream takes away is no candidate any more, and comes back with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene

TAG = "0.33.0-r36.4-cu129-24.04"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Scene, Registry]]:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as registry:
        image = f"{registry.host}/vllm"
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none", "l4t": "36.4.4", "name": "orin"},
            "engines": {"vllm": {"images": [image]}},
            "sources": [{"name": "tags", "kind": "oci-tags", "image": image}],
        }
        yield Scene(tmp_path, None, table), registry


def test_a_pushed_again_tag_replaces_its_candidate(world: tuple[Scene, Registry]) -> None:
    scene, registry = world
    registry.push("vllm", TAG, "one")
    (first,) = scene.answer("check-now")["candidates"]
    registry.push("vllm", TAG, "two")
    done = scene.answer("check-now")
    assert [event["kind"] for event in done["events"]] == ["rebuilt"]
    second, gone = done["candidates"]
    assert (second["compatible"], second["image"]) == (True, first["image"])
    assert (gone["id"], gone["compatible"], gone["reasons"]) == (first["id"], False, ["no source shows it any more"])
    assert scene.answer("check-now")["candidates"] == [], "planning again adds nothing"
    waiting = scene.answer("status")["waiting"]
    assert first["digest"] not in [one["digest"] for one in waiting]


def test_what_is_not_watched_any_more_is_nothing_to_wait_for(world: tuple[Scene, Registry]) -> None:
    scene, registry = world
    registry.push("vllm", TAG, "one")
    assert TAG in scene.answer("check-now")["answer"]["next_step"]
    scene.table["sources"][0]["exclude"] = "r36"
    scene.answer("check-now")
    answer = scene.answer("status")["answer"]
    assert TAG not in answer["next_step"]
    assert not any(TAG in one["what"] for one in answer["waits_for"])
