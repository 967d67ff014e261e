"""An engine that is kept: it stays until `restore`, its end or its service's return, and whatever dies is put right."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from docker.models.containers import Container

from tests.faults.forked import KILLED, ForkServer, Moment, fork_server
from tests.faults.table import Row
from tests.main_loop.one_trial import IMAGE, scene_of
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT, Scene

KEEP = ("trial", "run", IMAGE, "--keep")
OWED_KEPT = Moment("write_debt", 2, "before"), Moment("write_debt", 2, "after")
"""The owed file is written once before the service is stopped, and once more for the engine that stays."""
ROWS = (
    Row(
        "the program",
        "SIGKILL before and after an engine that is kept is written down",
        "`restore`, or the next `check-now`",
        "its verdict",
        len(OWED_KEPT) * 2,
    ),
    Row(
        "the program",
        "SIGTERM while the engine that is kept is written down",
        "the trial itself: the engine is not kept",
        "its verdict",
        1,
    ),
    Row("the candidate", "the engine that is kept dies", "the next `check-now`", "its verdict", 1),
    Row("the candidate", "an engine that was to be kept does not work", "the trial itself", "its verdict", 1),
    Row(
        "the displaced service",
        "somebody starts it while an engine is kept; the daemon is started again",
        "it runs; the next `check-now` ends the engine and gives back its restart policy",
        "its verdict",
        2,
    ),
)


@pytest.fixture
def scene(clean_engine: PrivateDaemon, tmp_path: Path) -> Scene:
    return scene_of(clean_engine, tmp_path, "healthy")


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def kept_engine(scene: Scene) -> Container:
    return scene.docker().client().containers.get("watcher-trial")


def last_trial(scene: Scene) -> dict[str, object]:
    trial: dict[str, object] = scene.answer("trials")["trials"][0]
    return trial


def assert_it_is_over(scene: Scene) -> None:
    """Hold that all is as before, and that a check closes the trial with the verdict that it had."""
    scene.assert_all_is_as_before()
    scene.answer("check-now", "--no-trial")
    trial = last_trial(scene)
    assert (trial["stage"], trial["outcome"], trial["owed"]) == ("done", "verdict", [])
    assert trial["bring_up"] == "works"


def test_it_stays_until_restore_and_nothing_is_tried_meanwhile(scene: Scene) -> None:
    told = scene.answer(*KEEP)["trial"]
    assert (told["stage"], told["outcome"], told["bring_up"]) == ("restore", "verdict", "works")
    (row,) = told["owed"]
    assert row["makes_room"]
    address = row["message"].partition("kept at ")[2].partition(";")[0]
    assert httpx.get(f"{address}/health").status_code == httpx.codes.OK
    assert not scene.assistant()["State"]["Running"]

    looked = scene.watcher("status")
    assert looked.returncode == 0, looked.stderr
    assert "`watcher restore` gives it back" in looked.stdout
    checked = scene.watcher("check-now")
    assert checked.returncode == 0, checked.stderr
    assert "kept running" in checked.stderr
    refused = scene.answer("trial", "run", IMAGE, "--force", code=6)["trial"]
    assert refused["outcome"] == "refused"
    assert "kept running" in refused["reason"]
    assert kept_engine(scene).status == "running"

    assert scene.answer("restore")["restore"][0]["state"] == "healthy"
    scene.assert_all_is_as_before()
    scene.answer("check-now", "--no-trial")
    ended = scene.answer("trial", "show", str(told["id"]))["trial"]
    assert (ended["stage"], ended["outcome"], ended["owed"]) == ("done", "verdict", [])


def test_it_is_kept_where_nothing_had_to_stop_for_it(scene: Scene) -> None:
    scene.table["trial"]["displace"] = []
    scene.answer(*KEEP)
    scene.answer("check-now")
    assert kept_engine(scene).status == "running"
    assert scene.assistant_is_healthy()
    ended = scene.watcher("restore")
    assert (ended.returncode, "was kept running" in ended.stderr) == (0, True), ended.stderr
    scene.assert_nothing_is_left()


def test_one_that_does_not_work_is_not_kept(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "crash")
    assert scene.answer(*KEEP)["trial"]["bring_up"] == "fails"
    scene.assert_all_is_as_before()


def test_its_end_is_seen_and_the_service_comes_back(scene: Scene) -> None:
    scene.answer(*KEEP)
    kept_engine(scene).kill()
    scene.wait_until(lambda: kept_engine(scene).status == "exited")
    assert scene.watcher("status").returncode == 5
    assert scene.watcher("check-now", "--no-trial").returncode == 0
    assert_it_is_over(scene)


@pytest.mark.parametrize("by", ["hand", "daemon"])
def test_it_gives_way_to_the_service(scene: Scene, by: str) -> None:
    scene.answer(*KEEP)
    if by == "hand":
        scene.docker().client().containers.get(ASSISTANT).start()
    else:
        scene.docker().power_cut()
        scene.docker().start()
    scene.wait_until(scene.assistant_is_healthy)
    assert scene.watcher("check-now", "--no-trial").returncode == 0
    assert_it_is_over(scene)


@pytest.mark.parametrize("then", ["restore", "check-now"])
@pytest.mark.parametrize("moment", OWED_KEPT, ids=str)
def test_killed_while_it_is_written_down(scene: Scene, forks: ForkServer, moment: Moment, then: str) -> None:
    output = scene.folder / "output"
    assert forks.run(scene.command(*KEEP)[3:], output, moment) == KILLED, output.read_text()
    assert scene.watcher(then).returncode == 0
    if then == "check-now" and moment.when == "after":
        assert kept_engine(scene).status == "running"
        assert scene.watcher("restore").returncode == 0
    assert_it_is_over(scene)


def test_asked_to_end_while_it_is_written_down(scene: Scene, forks: ForkServer) -> None:
    output = scene.folder / "output"
    begun = Moment("row-step", 12, "after")  # the row with the verdict, before the owed file
    run = forks.start(scene.command(*KEEP)[3:], output, begun, signal.SIGSTOP)
    scene.wait_until(lambda: Path(f"/proc/{run}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    os.kill(run, signal.SIGTERM)
    os.kill(run, signal.SIGCONT)
    assert forks.wait(run) == 130, output.read_text()
    assert_it_is_over(scene)
