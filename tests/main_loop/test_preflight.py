"""Before a trial, with the real program: what it refuses, what it waits for in vain, and what is weak evidence."""

from datetime import datetime, timedelta
from pathlib import Path

from tests.main_loop.one_trial import IMAGE, scene_of
from tests.main_loop.test_outcomes import trial_of
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene

HOT = {"type": "cpu-thermal", "temp": "96500", "trip_point_0_type": "passive", "trip_point_0_temp": "99000"}
NO_MEMORY = "MemTotal: 16000000 kB\nMemAvailable: 3000000 kB\nNvMapMemUsed: 4200000 kB\n"


def write_device(scene: Scene, **files: str) -> None:
    """Write files of the device as the program sees it; `__` stands for a slash."""
    for name, text in files.items():
        path = Path(scene.table["device"]["root"]) / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def evidence_of(trial: dict[str, object]) -> str:
    return "\n".join(str(row["text"]) for row in trial["evidence"])  # type: ignore[attr-defined]


def test_a_hot_device_is_refused_with_a_time_to_look_again_and_tried_by_force(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    write_device(scene, **{f"sys__class__thermal__thermal_zone0__{name}": text for name, text in HOT.items()})
    began = scene.assistant()["State"]["StartedAt"]
    trial = trial_of(scene, code=6)
    assert (trial["outcome"], trial["failed_stage"], trial["displaced"]) == ("refused", "preflight", [])
    assert trial["reason"] == "the device is too hot: cpu-thermal has 96.5 °C, a trial begins below 94 °C"
    again = datetime.fromisoformat(str(trial["retry_at"])) - datetime.fromisoformat(str(trial["started_at"]))
    assert timedelta(minutes=15) <= again < timedelta(minutes=17)
    assert scene.assistant()["State"]["StartedAt"] == began, "not stopped"
    forced = trial_of(scene, "--force")
    assert (forced["outcome"], forced["bring_up"]) == ("verdict", "works")
    assert "96.5 °C at cpu-thermal" in evidence_of(forced)
    scene.assert_all_is_as_before()


def test_memory_that_does_not_come_back_is_bench_trouble_and_the_gpu_user_is_named(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    write_device(scene, proc__meminfo=NO_MEMORY)
    scene.table["trial"]["preflight"] = {"min_memory": "9GB"}
    scene.table["trial"]["timeouts"]["settle"] = "4s"
    alone = trial_of(scene, code=6)
    assert (alone["outcome"], alone["failed_stage"], alone["starts"]) == ("bench", "settle", [])
    short = "memory did not come back: 3.1 GB of the 9.0 GB that min_memory asks for are available"
    assert alone["reason"] == f"{short}; NvMap still holds 4.3 GB: reboot the device"
    assert "the device before the service was stopped: 3.1 of 16.4 GB available" in evidence_of(alone)
    assert "the device after the service was stopped: 3.1 of 16.4 GB available" in evidence_of(alone)
    scene.assert_all_is_as_before()
    image = scene.assistant()["Config"]["Image"]
    camera = clean_engine.client().containers.run(image, name="camera", runtime="nvidia", detach=True)
    watched = scene.watcher("trial", "run", IMAGE)
    assert watched.returncode == 6
    assert "may use the GPU: camera" in watched.stderr
    crowded = scene.answer("trials")["trials"][0]
    assert crowded["reason"] == f"{short} (camera may use the GPU too)"
    assert "also on the GPU: camera" in evidence_of(crowded)
    camera.remove(force=True)
    scene.assert_all_is_as_before()


def test_two_such_trials_are_a_quarantine_that_force_or_a_reboot_lifts(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    write_device(scene, proc__meminfo=NO_MEMORY, proc__sys__kernel__random__boot_id="boot-1")
    scene.table["trial"]["preflight"] = {"min_memory": "9GB"}
    scene.table["trial"]["timeouts"]["settle"] = "2s"
    for _ in range(2):
        assert trial_of(scene, code=6)["outcome"] == "bench"
    refused = trial_of(scene, code=6)
    assert (refused["outcome"], refused["retry_at"]) == ("refused", None)
    assert "two trials in a row failed on our side" in str(refused["reason"])
    write_device(scene, proc__sys__kernel__random__boot_id="boot-2")
    assert trial_of(scene, code=6)["outcome"] == "bench", "tried again, though the memory is still not there"
    write_device(scene, proc__sys__kernel__random__boot_id="boot-1")
    assert trial_of(scene, "--force")["outcome"] == "verdict"
    scene.assert_all_is_as_before()


def test_a_failure_after_another_on_the_same_boot_is_weak_and_may_be_confirmed_after_a_reboot(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "assert")
    write_device(scene, proc__sys__kernel__random__boot_id="boot-1")
    first, second = trial_of(scene), trial_of(scene, "--force")
    assert "Weak evidence" not in str(first["reason"])
    how = f"reboot the device, then `watcher trial run {IMAGE}`"
    assert "Weak evidence: the GPU had failed once before on this boot" in str(second["reason"])
    assert how in str(second["reason"])
    assert how in scene.answer("status")["answer"]["next_step"]
    assert "starts that failed on the GPU on this boot: 1" in evidence_of(second)
    assert trial_of(scene, code=6)["outcome"] == "refused", "nothing is confirmed on the same boot"
    write_device(scene, proc__sys__kernel__random__boot_id="boot-2")
    assert "started since" in scene.answer("status")["answer"]["next_step"]
    assert not scene.answer("check-now")["trials"], "a reboot alone makes nothing due"
    confirmed = trial_of(scene)
    assert (confirmed["outcome"], "Weak evidence" in str(confirmed["reason"])) == ("verdict", False)
    assert "weak" not in scene.answer("status")["answer"]["next_step"]
    scene.assert_all_is_as_before()
