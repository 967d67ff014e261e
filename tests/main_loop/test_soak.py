"""A real container is watched while it soaks: a core that starts over and memory that grows, and neither of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.main_loop.one_trial import IMAGE
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image

STUB = Path(__file__).parents[1] / "real" / "stub_program.py"
AILING = """#!/usr/bin/python3
import runpy, subprocess, threading, time

held = []

def grow():
    while True:
        held.append(b"x" * 2_000_000)
        time.sleep(0.2)

def core():
    while True:
        subprocess.run(["sleep", "9"])

for each in (grow, core):
    threading.Thread(target=each, daemon=True).start()
runpy.run_path("/opt/stub.py", run_name="__main__")
"""


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    scene.table["trial"]["displace"] = []
    scene.table["engines"]["vllm"]["memory"] = "2GB"
    return scene


def soaked(scene: Scene, files: dict[str, tuple[bytes, int]]) -> tuple[dict[str, Any], str]:
    stub_image(scene.docker().client(), IMAGE, "healthy", files)
    trial: dict[str, Any] = scene.answer("trial", "run", IMAGE, "--soak", "32s")["trial"]
    assert (trial["outcome"], trial["bring_up"]) == ("verdict", "works"), trial
    scene.assert_nothing_is_left(())
    return trial, "\n".join(row["text"] for row in trial["evidence"])


def test_an_ailing_engine_works_and_is_not_stable(scene: Scene) -> None:
    files = {"/usr/local/bin/vllm": (AILING.encode(), 0o755), "/opt/stub.py": (STUB.read_bytes(), 0o644)}
    trial, said = soaked(scene, files)
    seen = trial["acceptance"]
    assert seen["restarts"] >= 2, said
    assert seen["stable_seconds"] < 15
    if seen["memory_per_hour"] is None:  # this kernel keeps no count of a container's memory
        assert "its memory could not be seen" in said
        return
    assert 10 * 10**9 < seen["memory_per_hour"] < 72 * 10**9, "10 MB a second where the machine is idle"
    assert seen["memory_lasts_seconds"] < 3600
    assert "not stable" in said
    shown = scene.watcher("trial", "show", str(trial["id"])).stdout
    page = (scene.data_dir / "page" / "index.html").read_text(encoding="utf-8")
    for told in (shown, page):
        assert f"started over {seen['restarts']} times while it was watched" in told
        assert "its memory grows and would be used up in" in told


def test_a_healthy_engine_is_stable_for_as_long_as_it_was_watched(scene: Scene) -> None:
    trial, said = soaked(scene, {})
    seen = trial["acceptance"]
    assert (seen["restarts"], seen["memory_lasts_seconds"]) == (0, None), said
    assert seen["stable_seconds"] >= 32
    assert "soak: nothing started over" in said
