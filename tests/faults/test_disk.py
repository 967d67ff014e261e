"""Disks that fill up: the engine's own during a pull, the watcher's before a trial and at its worst moments."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.table import Row
from tests.real.docker import PrivateDaemon, private_daemon
from tests.real.registry import running_registry
from tests.real.scene import Scene, scene_with

ENGINE_BYTES, LEFT_BYTES = 900_000_000, 40_000_000
LAYER_BYTES = 2 * LEFT_BYTES
"""Of zeros: a layer of some hundred kilobytes to whoever only sees it packed."""
REPOSITORY = "lab/vllm"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Use up all of a disk but `leave` bytes."""
    filler, step = disk / "filler", 1 << 20 if leave else 4096
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(disk).free > leave:
            file.write(b"\0" * step)
    return filler


def test_an_engine_whose_disk_fills_up_during_a_pull_gives_no_verdict_and_works_on(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", ENGINE_BYTES) as disk,
        private_daemon(disk) as engine,
        running_registry(tmp_path / "registry") as registry,
    ):
        scene = scene_with(engine, tmp_path, [f"{registry.host}/{REPOSITORY}"], [])
        scene.start_assistant()
        show_disk_of(engine, scene)
        fill(disk, LEFT_BYTES)
        began, free = scene.assistant()["State"]["StartedAt"], shutil.disk_usage(disk).free
        registry.push_image(REPOSITORY, "1", [{"file": bytes(LAYER_BYTES)}])
        trial = scene.answer("trial", "run", f"{registry.host}/{REPOSITORY}:1", code=6)["trial"]
        assert (trial["outcome"], trial["failed_stage"], trial["displaced"]) == ("refused", "pull", [])
        assert "the disk became full during the pull" in trial["reason"]
        assert trial["retry_at"] is not None
        assert scene.assistant()["State"]["StartedAt"] == began
        scene.wait_until(lambda: shutil.disk_usage(disk).free > free - 1_000_000)
        registry.push_image(REPOSITORY, "2", [{"file": os.urandom(1000)}])
        again = scene.answer("trial", "run", f"{registry.host}/{REPOSITORY}:2")["trial"]
        assert again["outcome"] == "verdict"
        scene.assert_all_is_as_before()


def show_disk_of(engine: PrivateDaemon, scene: Scene) -> None:
    """Let the device's root have the folder in which its engine keeps images."""
    place = Path(str(engine.client().info()["DockerRootDir"]))
    seen = Path(scene.table["device"]["root"]) / str(place).lstrip("/")
    seen.parent.mkdir(parents=True)
    seen.symlink_to(place)


ROWS: tuple[Row, ...] = ()
