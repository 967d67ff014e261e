"""What becomes of a trial: candidates that fail in their own ways are verdicts, trouble of ours is not."""

from pathlib import Path

import pytest

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.page.reading import Page
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene
from tests.real.stub_engine import StubMode, stub_image

TORCH = "/usr/lib/python3/dist-packages/torch/__init__.py"


def trial_of(scene: Scene, *options: str, code: int = 0) -> dict[str, object]:
    trial: dict[str, object] = scene.answer("trial", "run", IMAGE, *options, code=code)["trial"]
    return trial


@pytest.mark.parametrize(
    ("mode", "bug", "bring_up", "failure_class"),
    [
        ("healthy", "unknown", "works", None),
        ("assert", "present", "fails", "allocator-nvml-assert"),
        ("fixed-oom", "fixed", "fails", "genuine-oom"),
        ("oom", "unknown", "fails", "genuine-oom"),
        ("crash", "unknown", "fails", "other-crash"),
        ("exit0", "unknown", "fails", "other-crash"),
        ("none", "unknown", "fails", "other-crash"),
        ("die-after-ready", "unknown", "fails", "other-crash"),
    ],
)
def test_how_an_engine_ends_is_a_verdict(
    clean_engine: PrivateDaemon, tmp_path: Path, mode: StubMode, bug: str, bring_up: str, failure_class: str | None
) -> None:
    scene = scene_of(clean_engine, tmp_path, mode)
    trial = trial_of(scene, "--soak", "5s" if mode == "die-after-ready" else "0s")
    assert trial["outcome"] == "verdict"
    assert (trial["bug"], trial["bring_up"]) == ({"id": "cuda-allocator", "state": bug}, bring_up)
    assert trial["failure_class"] == failure_class
    page = Page((scene.data_dir / "page" / "index.html").read_text(encoding="utf-8"))
    assert f"bug {bug}" in page.text
    assert f"engine {bring_up}{f': {failure_class}' if failure_class else ''}" in page.text
    scene.assert_all_is_as_before()


@pytest.mark.parametrize("mode", ["never-ready", "hang", "ignore-term"])
def test_an_engine_that_never_gets_ready_or_never_ends_keeps_nothing_down(
    clean_engine: PrivateDaemon, tmp_path: Path, mode: StubMode
) -> None:
    scene = scene_of(clean_engine, tmp_path, mode)
    scene.table["trial"]["timeouts"]["ready"] = "4s"
    trial = trial_of(scene)
    expected = ("works", None) if mode == "ignore-term" else ("fails", "not-ready")
    assert (trial["bring_up"], trial["failure_class"]) == expected
    scene.assert_all_is_as_before()


def test_a_probe_that_hangs_says_nothing_and_the_engine_is_tried_all_the_same(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    stub_image(clean_engine.client(), IMAGE, "healthy", {TORCH: (b"import time; time.sleep(600)", 0o644)})
    scene.table["trial"]["timeouts"]["probe"] = "3s"
    trial = trial_of(scene)
    assert (trial["outcome"], trial["bring_up"]) == ("verdict", "works")
    assert any("did not end in time" in str(row) for row in trial["evidence"])  # type: ignore[attr-defined]
    scene.assert_all_is_as_before()


def test_a_trial_container_that_somebody_removes_is_no_evidence(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == "ready")
    clean_engine.client().containers.get("watcher-trial").remove(force=True)
    output, trouble = running.communicate(timeout=60)
    assert running.returncode == 6, output + trouble
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["bug"]["state"], trial["bring_up"]) == ("bench", "unknown", "untried")
    scene.assert_all_is_as_before()


def test_a_wrong_mount_path_is_refused_before_anything_is_stopped(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    scene.table["engines"]["vllm"]["mounts"] = [f"{tmp_path}/nowhere:/models"]
    began = scene.assistant()["State"]["StartedAt"]
    trial = trial_of(scene, code=6)
    assert (trial["outcome"], trial["displaced"]) == ("refused", [])
    assert "nowhere" in str(trial["reason"])
    assert scene.assistant()["State"]["StartedAt"] == began
    assert not (tmp_path / "nowhere").exists()


def test_the_same_content_is_not_tried_twice_unless_forced(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "assert")
    assert trial_of(scene)["outcome"] == "verdict"
    again = trial_of(scene, code=6)
    assert (again["outcome"], again["displaced"]) == ("refused", [])
    assert "trial 1" in str(again["reason"])
    assert trial_of(scene, "--force")["outcome"] == "verdict"
    assert scene.watcher("trial", "run", IMAGE, "--force", "--exit-code").returncode == 10


def test_two_trials_exclude_each_other(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready")
    second = trial_of(scene, code=6)
    assert second["outcome"] == "refused"
    assert scene.answer("check-now")["trials"] == []
    assert scene.watcher("status").returncode == 0, "owed, but by a trial that is alive"
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 130
    scene.assert_all_is_as_before()


def test_a_signal_while_the_engine_is_ended_kills_it_and_keeps_the_verdict(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "ignore-term")  # it would take all the time that it is given to end
    running = scene.started("trial", "run", IMAGE, "--json")
    scene.wait_until(lambda: stage_now(scene) == "teardown")
    running.terminate()
    output, trouble = running.communicate(timeout=60)
    assert running.returncode == 130, output + trouble
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["bring_up"]) == ("verdict", "works")
    scene.assert_all_is_as_before()


def test_an_image_from_elsewhere_needs_to_be_allowed(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    stub_image(clean_engine.client(), "other/vllm:1", "healthy")
    refused = scene.watcher("trial", "run", "other/vllm:1")
    assert refused.returncode == 2
    assert "--allow-image" in refused.stderr
    assert scene.watcher("trial", "run", "other/vllm:1", "--allow-image", "--exit-code").returncode == 0
