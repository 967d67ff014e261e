"""Whatever dies at whatever stage: what ran before runs again, with its own restart policy, and nothing is left."""

from pathlib import Path

import pytest

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.real.docker import private_daemon


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
