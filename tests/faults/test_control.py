"""The control of a bug: what it shows changes what a clean probe is worth; one that cannot be run is told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.table import Row
from tests.main_loop.one_trial import IMAGE
from tests.main_loop.test_outcomes import TORCH
from tests.real.docker import PrivateDaemon
from tests.real.registry import running_registry
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image

CONTROL = "local/vllm:0.9.0-r36.4-cu126-22.04"
HANGS = b"import time\ntime.sleep(600)\n"
DID_NOT_SHOW = "which has the bug, did not show it"


def says(saw: str) -> bytes:
    """Return a torch whose import prints what the probe would print, and ends the probe."""
    return b"""import os
print('WATCHER-PROBE {"trap_set": true, "trap": "set", "saw": "%s", "text": "so", "torch": "2.8"}', flush=True)
os._exit(0)
""" % saw.encode()


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[Scene]:
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [], bug={"control": CONTROL})
    scene.start_assistant()
    yield scene
    scene.assert_all_is_as_before()


def tried(scene: Scene, candidate: str = "clean", control: bytes | None = None) -> dict[str, Any]:
    client = scene.docker().client()
    stub_image(client, IMAGE, "healthy", {TORCH: (says(candidate), 0o644)}, STUB_DELAY="0.05")
    if control is not None:
        stub_image(client, CONTROL, "healthy", {TORCH: (control, 0o644)})
    trial: dict[str, Any] = scene.answer("trial", "run", IMAGE)["trial"]
    assert (trial["outcome"], trial["bring_up"]) == ("verdict", "works"), trial["reason"]
    return trial


def told_of_control(trial: dict[str, Any]) -> list[str]:
    return [row["text"] for row in trial["evidence"] if row["text"].startswith("the control ")]


def test_where_the_control_shows_the_bug_a_clean_answer_is_worth_more(scene: Scene) -> None:
    trial = tried(scene, control=says("fault"))
    assert trial["bug"]["state"] == "fixed"
    assert told_of_control(trial) == [f"the control {CONTROL}, which has the bug, showed it under the same conditions"]


def test_where_the_control_does_not_show_it_a_clean_answer_says_nothing(scene: Scene) -> None:
    trial = tried(scene, control=says("clean"))
    assert trial["bug"]["state"] == "unknown"
    assert f"the control {CONTROL}, {DID_NOT_SHOW}" in trial["reason"]
    assert "probe" not in trial["bug"].get("basis", [])


def test_what_is_present_needs_no_control(scene: Scene) -> None:
    trial = tried(scene, candidate="fault", control=says("clean"))
    assert trial["bug"]["state"] == "present"
    assert told_of_control(trial) == []


NOT_RUN = {
    "missing": ("is not here, and engines.vllm.images does not name its repository", "elsewhere/vllm:1", None),
    "withdrawn": ("was not run", "{registry}/lab/vllm:gone", None),
    "without Python": ("could not be run", "{registry}/lab/vllm:empty", None),
    "hangs": ("its probe did not end in time", CONTROL, HANGS),
    "without torch": ("neither the fault nor its absence", CONTROL, says("nothing")),
}


@pytest.mark.parametrize("fault", NOT_RUN)
def test_a_control_that_cannot_be_run_takes_nothing_away_and_is_told(scene: Scene, tmp_path: Path, fault: str) -> None:
    told, control, torch = NOT_RUN[fault]
    with running_registry(tmp_path / "registry") as registry:
        digest = registry.push_image("lab/vllm", "empty", [{"file": b"nothing runs here"}])
        control = control.format(registry=registry.host)
        scene.table["bug"] = {"control": control}
        scene.table["engines"]["vllm"]["images"].append(f"{registry.host}/lab/vllm")
        scene.table["trial"]["timeouts"]["probe"] = "5s" if fault == "hangs" else "1m"
        trial = tried(scene, control=torch)
        (said,) = told_of_control(trial)
        assert trial["bug"]["state"] == "fixed", trial["reason"]
        assert said.startswith(f"the control {control} was not run: ")
        assert told in said
        pulled = [name for image in scene.docker().client().images.list() for name in image.attrs["RepoDigests"] or ()]
        there = [name for name in pulled if name.endswith(digest)]
        assert there == ([f"{registry.host}/lab/vllm@{digest}"] if fault == "without Python" else [])


ROWS = (
    Row("the candidate", "the control beside it is missing, cannot be run, or hangs", "it is never stopped for it",
        "its verdict, and why the control was not run", len(NOT_RUN)),
)  # fmt: skip
