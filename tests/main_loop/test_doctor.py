"""`doctor` says what works and what to do; a service that is ill by itself is told of once."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.main_loop.one_trial import IMAGE, scene_of
from tests.real.base_image import BASE, base_image
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT, Scene, scene_with

Rows = dict[str, list[dict[str, Any]]]


def examined(scene: Scene, code: int = 0) -> Rows:
    rows: Rows = {}
    for row in scene.answer("doctor", code=code)["doctor"]:
        rows.setdefault(row["area"], []).append(row)
    return rows


def states(rows: Rows) -> dict[str, set[str]]:
    return {area: {row["state"] for row in found} for area, found in rows.items()}


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    return scene_of(clean_engine, tmp_path, "healthy")


def test_where_all_is_well_it_says_so_of_each(scene: Scene) -> None:
    scene.table["device"]["root"] = "/"  # where the engine keeps its images is seen through it
    found = states(examined(scene))
    for area in ("configuration", "database", "data", "docker", "runtime", "device", "disk", "service", "sources"):
        assert found[area] == {"ok"}, area
    assert found["channels"] == {"attention"}
    text = scene.watcher("doctor").stdout
    assert "to do: set notify.urls" in text
    assert "container:assistant runs" in text


def test_what_is_broken_comes_with_what_to_do(scene: Scene) -> None:
    scene.table["device"]["runtime"] = "of-nobody"
    scene.table["notify"] = {"urls": ["nonsense://secret-word"]}
    scene.table["trial"]["displace"] = [f"container:{ASSISTANT}", "container:nobody"]
    done = scene.watcher("doctor")
    assert done.returncode == 2
    assert "secret-word" not in done.stdout + done.stderr
    rows = examined(scene, code=2)
    assert [row["state"] for row in rows["runtime"]] == ["broken"]
    assert "nvidia-ctk" in rows["runtime"][0]["remedy"]
    assert [row["state"] for row in rows["channel"]] == ["broken"]
    assert [row["state"] for row in rows["service"]] == ["ok", "attention"]


def test_a_broken_configuration_and_a_broken_database_are_rows_too(scene: Scene) -> None:
    scene.answer("status")
    (scene.data_dir / "watcher.db").write_bytes(b"no database at all" * 1000)
    rows = examined(scene, code=2)
    assert states(rows) == {"configuration": {"ok"}, "database": {"broken"}}
    scene.table["trial"]["speed"] = 3
    rows = examined(scene, code=2)
    assert any("trial.speed" in row["message"] for row in rows["configuration"])


def test_an_engine_that_does_not_answer_hides_nothing_else(scene: Scene) -> None:
    scene.table["device"]["docker"] = "unix:///nowhere/docker.sock"
    found = states(examined(scene, code=2))
    assert found["docker"] == {"broken"}
    assert found["database"] == {"ok"}
    assert "channels" in found
    said = scene.watcher("doctor").stdout
    assert said.count("BROKEN") == 1, "once, and not again for all that only Docker shows"
    assert "to do: start Docker (`sudo systemctl start docker`)" in said


def test_a_quarantine_is_lifted_once_nothing_is_broken(scene: Scene) -> None:
    for _ in range(2):
        running = scene.started("trial", "run", IMAGE, "--force")
        scene.wait_until(lambda: (scene.data_dir / "owed").exists() and bool(list((scene.data_dir / "owed").iterdir())))
        running.kill()
        running.communicate()
        scene.answer("restore")
        scene.answer("check-now", "--no-trial")
    scene.table["device"]["runtime"] = "of-nobody"
    assert [row["state"] for row in examined(scene, code=2)["trials"]] == ["broken"]
    scene.table["device"]["runtime"] = "nvidia"
    assert [row["state"] for row in examined(scene)["trials"]] == ["ok"]
    assert "trials" not in examined(scene)


def notices(scene: Scene) -> list[str]:
    with sqlite3.connect(scene.data_dir / "watcher.db") as connection:
        return [row[0] for row in connection.execute("select key from notices where topic = 'ailing' order by id")]


def test_a_service_that_goes_round_in_circles_is_told_once_with_its_likely_cause(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    """The shape of an image whose command leaves the server in the background and ends with a shell."""
    client = clean_engine.client()
    base_image(client)
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    policy: Any = {"Name": "unless-stopped", "MaximumRetryCount": 0}
    command = ["/bin/sh", "-c", "sleep 1000 & exec /bin/sh"]
    client.containers.run(BASE, command, name=ASSISTANT, detach=True, restart_policy=policy)
    scene.wait_until(lambda: scene.assistant()["RestartCount"] >= 3)
    (row,) = examined(scene)["service"]
    assert row["state"] == "attention"
    assert "main process" in row["message"]
    assert "the command" in row["remedy"]
    for _ in range(2):
        scene.answer("check-now", "--no-trial")
    assert len(notices(scene)) == 1


def test_a_service_that_does_not_run_is_told_at_the_second_look_and_again_when_it_fell_ill_anew(scene: Scene) -> None:
    assistant = scene.docker().client().containers.get(ASSISTANT)
    for _ in range(2):
        assistant.stop(timeout=5)
        before = len(notices(scene)) if (scene.data_dir / "watcher.db").exists() else 0
        scene.answer("check-now", "--no-trial")
        assert len(notices(scene)) == before
        scene.answer("check-now", "--no-trial")
        scene.answer("check-now", "--no-trial")
        assert len(notices(scene)) == before + 1
        assistant.start()
        scene.wait_until(scene.assistant_is_healthy)
        scene.answer("check-now", "--no-trial")
