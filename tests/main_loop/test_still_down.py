"""A service that cannot be brought back: the loudest exit code each time until it is back; nothing else is tried."""

from pathlib import Path

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT


def test_what_cannot_be_brought_back_stays_owed_and_loud_until_it_can(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    client = clean_engine.client()
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready")
    running.kill()
    running.communicate()
    client.containers.get("watcher-trial").remove(force=True)
    client.containers.get(ASSISTANT).remove()
    image = client.images.get("local/assistant:1")
    content = list(image.save(named=True))
    client.images.remove(str(image.id), force=True)  # neither the container nor its image is left

    (row,) = scene.answer("restore", code=5)["restore"]
    assert (row["service"], row["state"]) == ("container:assistant", "down")
    assert scene.watcher("status").returncode == 5
    assert scene.watcher("check-now").returncode == 5
    refused = scene.watcher("trial", "run", IMAGE, "--force")
    assert refused.returncode == 5
    assert "container:assistant" in refused.stderr

    client.images.load(b"".join(content))
    assert scene.watcher("restore").returncode == 0
    scene.wait_until(scene.assistant_is_healthy)
    scene.assert_all_is_as_before()
    assert scene.watcher("status").returncode == 0
