"""A full disk or a locked database in the middle of a trial: the service comes back, and nothing promised is lost."""

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.real.disk import fill, small_disk
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene

DISK_BYTES = 4_000_000


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[Scene]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        scene = scene_of(clean_engine, tmp_path, "never-ready")
        scene.table["store"]["data_dir"] = str(disk)
        yield scene


def test_a_disk_that_fills_up_during_a_trial_keeps_no_service_down(scene: Scene) -> None:
    running = scene.started("trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == "ready")
    filler = fill(scene.data_dir)
    scene.docker().client().containers.get("watcher-trial").kill()  # the next step can not be written down
    scene.wait_until(scene.assistant_is_healthy)
    filler.unlink()
    output, trouble = running.communicate(timeout=90)
    assert running.returncode == 0, output + trouble
    scene.assert_all_is_as_before()
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["stage"], trial["bring_up"]) == ("verdict", "done", "fails"), "written down later"


def test_restore_works_on_a_full_disk(scene: Scene) -> None:
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready")
    running.kill()
    running.communicate()
    fill(scene.data_dir)
    rows = scene.answer("restore")["restore"]
    assert [(row["service"], row["state"]) for row in rows] == [("container:assistant", "healthy")]
    scene.assert_all_is_as_before()


def test_a_full_disk_stops_a_check_with_a_clear_line(scene: Scene) -> None:
    fill(scene.data_dir)
    done = scene.watcher("check-now")
    assert done.returncode == 1
    assert "disk" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_locked_during_a_trial_keeps_no_service_down(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == "ready")
    with sqlite3.connect(scene.data_dir / "watcher.db", isolation_level=None) as lock:
        lock.execute("begin immediate")
        scene.docker().client().containers.get("watcher-trial").kill()
        scene.wait_until(scene.assistant_is_healthy)
        lock.execute("rollback")
    output, trouble = running.communicate(timeout=90)
    assert running.returncode == 0, output + trouble
    scene.assert_all_is_as_before()
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["stage"], trial["bring_up"]) == ("verdict", "done", "fails"), "written down later"


def test_restore_needs_neither_database_nor_configuration(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready")
    running.kill()
    running.communicate()
    (scene.data_dir / "watcher.db").write_bytes(b"not a database")
    command = scene.command("restore")
    scene.config.write_text("this is [not TOML")
    env = {"WATCHER_STORE__DATA_DIR": str(scene.data_dir), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "container:assistant  healthy" in done.stdout
    scene.assert_all_is_as_before()
