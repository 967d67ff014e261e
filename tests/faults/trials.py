"""What the fault cases share: a trial that waits at a known place while something is done to it."""

import json
from collections.abc import Callable
from typing import Any

from tests.main_loop.one_trial import IMAGE, stage_now
from tests.real.scene import Scene

ENGINE = "watcher-trial"


def trial_during(scene: Scene, meddle: Callable[[], object], code: int = 0) -> dict[str, Any]:
    """Run a trial whose engine never gets ready, meddle while it waits for that, and return the trial as told."""
    running = scene.started("trial", "run", IMAGE, "--force", "--json")
    try:
        scene.wait_until(lambda: stage_now(scene) == "ready", seconds=120)
        meddle()
        output, trouble = running.communicate(timeout=180)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == code, f"exit {running.returncode}\n{output}\n{trouble}"
    trial: dict[str, Any] = json.loads(output)["trial"]
    return trial


def end_engine(scene: Scene) -> None:
    """End the trial's engine from outside: the trial goes on to its way back at once."""
    scene.docker().client().containers.get(ENGINE).kill()
