"""One trial of a stand-in engine as a person starts it, for tests of what happens around it."""

import sqlite3
from pathlib import Path

from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import StubMode, stub_image

IMAGE = "local/vllm:0.33.0-r36.4-cu129-24.04"


def scene_of(engine: PrivateDaemon, folder: Path, mode: StubMode, **env: str) -> Scene:
    stub_image(engine.client(), IMAGE, mode, None, **env)
    scene = scene_with(engine, folder, ["local/vllm"], [])
    scene.start_assistant()
    return scene


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
