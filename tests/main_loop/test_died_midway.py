"""A trial that is ended while it waits for something: no stage is one from which the service does not come back."""

import signal
import time
from pathlib import Path

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.main_loop.test_outcomes import TORCH
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT, OWN_POLICY, Scene, scene_with
from tests.real.stub_engine import service_image, stub_image

STOP_SECONDS = 6


def slow_scene(engine: PrivateDaemon, folder: Path) -> Scene:
    """Return a scene whose assistant takes its time to end."""
    client = engine.client()
    stub_image(client, IMAGE, "never-ready")
    scene = scene_with(engine, folder, ["local/vllm"], [])
    image = service_image(client, "local/assistant:1", SERVICE_STOP_SECONDS=str(STOP_SECONDS))
    client.containers.run(image, name=ASSISTANT, detach=True, restart_policy=OWN_POLICY)
    scene.wait_until(scene.assistant_is_healthy)
    return scene


def is_being_stopped(scene: Scene) -> bool:
    policy: str = scene.assistant()["HostConfig"]["RestartPolicy"]["Name"]
    return policy == "always"


def the_only_trial(scene: Scene) -> dict[str, object]:
    (trial,) = scene.answer("trials")["trials"]
    return dict(trial)


def test_ended_while_the_service_is_still_stopping(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = slow_scene(clean_engine, tmp_path)
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: is_being_stopped(scene))
    time.sleep(1)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=90)
    assert running.returncode == 130
    time.sleep(STOP_SECONDS + 2)  # Docker goes on with the stop, whoever asked for it
    scene.assert_all_is_as_before()


def test_restore_before_the_service_was_stopped_keeps_it_running(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    stub_image(clean_engine.client(), IMAGE, "healthy", {TORCH: (b"import time; time.sleep(600)", 0o644)})
    began = scene.assistant()["State"]["StartedAt"]
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "probe")
    assert scene.answer("restore")["restore"] == []
    running.communicate(timeout=60)
    assert running.returncode == 130
    trial = the_only_trial(scene)
    assert (trial["outcome"], trial["displaced"]) == ("cancelled", [])
    assert scene.assistant()["State"]["StartedAt"] == began, "never stopped"
    scene.assert_all_is_as_before()
