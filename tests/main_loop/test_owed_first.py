"""What is owed comes first: before faults of the configuration, of the database, and before every other exit code."""

from pathlib import Path

import pytest

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene


@pytest.mark.parametrize("command", [("check-now",), ("trial", "run"), ("run",)])
def test_a_fault_in_the_configuration_keeps_no_service_down(
    clean_engine: PrivateDaemon, tmp_path: Path, command: tuple[str, ...]
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready")
    running.kill()
    running.communicate()
    scene.table["trial"]["no_such_key"] = 1
    done = scene.watcher(*command)
    assert done.returncode == 2
    assert "no_such_key" in done.stderr
    scene.assert_all_is_as_before()


@pytest.fixture
def owing(tmp_path: Path) -> Scene:
    """Return a scene whose owed file is damaged: nobody can say that its service runs."""
    scene = Scene(tmp_path, None, {"store": {"data_dir": "data"}, "device": {"docker": "none"}})
    scene.table["sources"] = [{"name": "gone", "kind": "simple-index", "url": "http://127.0.0.1:9/torch/"}]
    (scene.data_dir / "owed").mkdir(parents=True)
    (scene.data_dir / "owed" / "7.json").write_text('{"schema": "watcher/owed/1", "serv')
    return scene


def test_an_owed_file_that_cannot_be_read_is_owed(owing: Scene) -> None:
    assert [row["service"] for row in owing.answer("status", code=5)["owed"]] == ["file:7.json"]
    assert owing.watcher("check-now").returncode == 5, "louder than the source that failed"
    assert owing.watcher("restore").returncode == 5


def test_a_damaged_database_does_not_hide_it(owing: Scene) -> None:
    (owing.data_dir / "watcher.db").write_bytes(b"no database" * 100)
    for command in ("status", "check-now"):
        done = owing.watcher(command)
        assert done.returncode == 5
        assert "file:7.json" in done.stderr
        assert "damaged" in done.stderr
