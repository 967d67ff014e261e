"""Whatever dies at whatever stage: what ran before runs again, with its own restart policy, and nothing is left."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.docker import PrivateDaemon, private_daemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import StubMode, stub_image

IMAGE = "local/vllm:0.33.0-r36.4-cu129-24.04"
STAGES = [
    "pull", "inspect", "probe", "displace:1", "displace:2", "settle", "start", "ready", "accept", "soak", "teardown",
    "restore",
]  # fmt: skip


def scene_of(engine: PrivateDaemon, folder: Path, mode: StubMode) -> Scene:
    stub_image(engine.client(), IMAGE, mode)
    scene = scene_with(engine, folder, ["local/vllm"], [])
    scene.start_assistant()
    return scene


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    return scene_of(clean_engine, tmp_path, "healthy")


def stage_now(scene: Scene) -> str:
    """Return the stage that the running trial wrote down last."""
    database = scene.data_dir / "watcher.db"
    if not database.exists():
        return ""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        try:
            row = connection.execute("select stage from trials order by id desc limit 1").fetchone()
        except sqlite3.OperationalError:
            return ""
    return str(row[0]) if row else ""


@pytest.mark.parametrize("way_back", ["restore", "check-now"])
@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage_the_service_comes_back(scene: Scene, stage: str, way_back: str) -> None:
    arguments = scene.command("trial", "run", IMAGE)[3:]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.main_loop.killed_at", stage, *arguments],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    back = scene.watcher(way_back)
    assert back.returncode == 0, back.stdout + back.stderr
    scene.wait_until(scene.assistant_is_healthy)
    scene.assert_all_is_as_before()
    after = scene.answer("check-now")
    (trial,) = scene.answer("trials")["trials"]
    assert trial["stage"] == "done"
    assert trial["outcome"] == ("verdict" if stage == "restore" else "bench")
    assert not after["trials"], "a killed trial by hand is not repeated by itself"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", ["settle", "ready"])
def test_asked_to_end_it_gives_back_first_and_says_130(
    clean_engine: PrivateDaemon, tmp_path: Path, number: signal.Signals, stage: str
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == stage)
    running.send_signal(number)
    output, trouble = running.communicate(timeout=60)
    assert running.returncode == 130, output + trouble
    scene.assert_all_is_as_before()
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["stage"]) == ("cancelled", "done")


def test_restore_ends_a_running_trial(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == "ready")
    rows = scene.answer("restore")["restore"]
    assert [(row["service"], row["state"]) for row in rows] == [("container:assistant", "healthy")]
    output, trouble = running.communicate(timeout=60)
    assert running.returncode == 130, output + trouble
    scene.assert_all_is_as_before()
    (trial,) = scene.answer("trials")["trials"]
    assert trial["outcome"] == "cancelled"
    assert scene.answer("restore")["restore"] == [], "a second call finds nothing to do"


@pytest.mark.parametrize("death", ["kill", "power_cut"])
def test_after_the_death_of_watcher_and_daemon_docker_alone_brings_the_service_back(tmp_path: Path, death: str) -> None:
    with private_daemon(tmp_path / "engine") as engine:
        scene = scene_of(engine, tmp_path, "never-ready")
        running = scene.started("trial", "run", IMAGE)
        scene.wait_until(lambda: stage_now(scene) == "ready")
        running.kill()
        running.communicate()
        getattr(engine, death)()
        engine.start()
        scene.wait_until(scene.assistant_is_healthy)  # no watcher has run since
        assert scene.watcher("restore").returncode == 0
        scene.assert_all_is_as_before()


def test_killed_daemon_in_the_middle_of_a_living_trial(tmp_path: Path) -> None:
    with private_daemon(tmp_path / "engine") as engine:
        scene = scene_of(engine, tmp_path, "never-ready")
        running = scene.started("trial", "run", IMAGE, "--json")
        scene.wait_until(lambda: stage_now(scene) == "ready")
        engine.kill()
        engine.start()
        output, trouble = running.communicate(timeout=120)
        assert running.returncode in (6, 5), output + trouble
        assert scene.watcher("restore").returncode == 0
        scene.wait_until(scene.assistant_is_healthy)
        scene.assert_all_is_as_before()
        (trial,) = scene.answer("trials")["trials"]
        assert trial["outcome"] == "bench"
