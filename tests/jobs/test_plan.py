"""Planning against the real database: what upstream takes away is no candidate any more, and comes back with it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.planner.worlds import HOUR, NOW, candidate, trial
from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.plan import QUARANTINE_CLEARED_AT, is_quarantined, rules_of
from watcher.model.trial import Outcome
from watcher.ports import Lines
from watcher.store.database import open_store
from watcher.store.trials import new_trial, set_meta

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


def test_a_quarantine_ends_at_the_stored_moment_when_our_side_was_found_well(tmp_path: Path) -> None:
    bench = [trial(candidate(TAG), Outcome.BENCH, ended=NOW - hours * HOUR) for hours in (2, 1)]
    store = open_store(tmp_path)
    with store.transaction() as tx:
        for each in bench:
            new_trial(tx, each)
        assert is_quarantined(tx, "boot-1")
        set_meta(tx, QUARANTINE_CLEARED_AT, (NOW - 3 * HOUR).isoformat())
        assert is_quarantined(tx, "boot-1")
        set_meta(tx, QUARANTINE_CLEARED_AT, NOW.isoformat())
        assert not is_quarantined(tx, "boot-1")
    store.close()


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


def test_what_a_person_skips_stays_left_out_and_says_so_until_it_is_taken_in_again(
    world: tuple[Scene, Registry],
) -> None:
    scene, registry = world
    registry.push("vllm", TAG, "one")
    (candidate,) = scene.answer("check-now")["candidates"]
    number = str(candidate["id"])
    assert scene.answer("status")["waiting"] == []
    assert scene.watcher("skip", number).returncode == 0
    for command in ("status", "check-now", "status"):  # planning anew forgets nothing
        done = scene.answer(command)
        if command == "status":
            (waiting,) = done["waiting"]
            assert (waiting["id"], waiting["due"]) == (candidate["id"], False)
            assert "watcher skip --undo" in waiting["waiting_for"]
    assert scene.watcher("skip", "--undo", number).returncode == 0
    assert scene.answer("status")["waiting"] == []


def test_what_is_announced_and_fitted_into_the_window_counts_every_repeat(tmp_path: Path) -> None:
    text = '[store]\ndata_dir = "data"\n[device]\ndocker = "none"\n[trial]\ntotal = "20m"\nrepeats = 6\n'
    (tmp_path / "config.toml").write_text(text)
    settings = load_settings(tmp_path / "config.toml", {})
    with open_means(settings, Lines(print)) as means:
        assert rules_of(means).total == timedelta(hours=2)


def test_a_pause_is_kept_and_shown_until_it_ends(world: tuple[Scene, Registry]) -> None:
    scene, registry = world
    registry.push("vllm", TAG, "one")
    assert scene.answer("status")["paused_until"] is None
    assert "no automatic trials until" in scene.watcher("pause", "7d").stdout
    scene.answer("check-now")
    until = datetime.fromisoformat(scene.answer("status")["paused_until"])
    assert timedelta(days=6, hours=23) < until - datetime.now(UTC) <= timedelta(days=7)
    assert "watcher pause off" in scene.watcher("status").stdout
    assert scene.watcher("pause", "off").returncode == 0
    assert scene.answer("status")["paused_until"] is None
