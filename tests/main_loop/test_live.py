"""A trial as a person sees it in a terminal: the stage, its time, the engine's last line, and nothing left over."""

import json
import os
import re
import signal
from pathlib import Path

import pyte.modes
import pytest

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.real.docker import PrivateDaemon
from tests.real.registry import running_registry
from tests.real.registry_door import door_before
from tests.real.scene import ASSISTANT, Scene, scene_with
from tests.real.stub_engine import StubMode
from tests.real.terminal import CTRL_C, Terminal, on_terminal
from tests.real.web import Reply, running_web

SAID = [f"stopping container:{ASSISTANT}", "starting vLLM with profile plain", f"container:{ASSISTANT} is back"]
WHOLE = [f"reading torch in {IMAGE}", *SAID[:2], "asking 32 phrases", f"starting container:{ASSISTANT} again"]
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x1b[31mloading\x1b[0m shard 3\x9b5A\x1b[?25l"
HARMLESS = "loading shard 3 5A"
PASSING = re.compile(r"^\S+  ?.*\d:\d\d( of \d+:\d\d)?$")
"""The first of the two lines."""


def trial_in(scene: Scene, *more: str) -> list[str]:
    return scene.command("trial", "run", IMAGE, "--force", *more)


def shown_lines(terminal: Terminal, stage: str) -> set[str]:
    return {line for line in terminal.seen if line.startswith(f"{stage}  ")}


def assert_left_as_it_was(terminal: Terminal) -> None:
    assert not [line for line in terminal.lines() if PASSING.match(line)]
    assert not terminal.screen.cursor.hidden
    assert pyte.modes.DECAWM in terminal.screen.mode, "long lines wrap again"


@pytest.mark.parametrize(("stage", "mode"), [("ready", "never-ready"), ("accept", "hang-requests")])
def test_ctrl_c_gives_back_and_leaves_the_terminal_as_it_was(
    clean_engine: PrivateDaemon, tmp_path: Path, stage: str, mode: StubMode
) -> None:
    scene = scene_of(clean_engine, tmp_path, mode, STUB_SAYS=HOSTILE)
    with on_terminal(trial_in(scene)) as terminal:
        before = terminal.modes()
        terminal.wait_until(lambda: shown_lines(terminal, stage))
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert terminal.modes() == before
        assert_left_as_it_was(terminal)
        assert [line for line in SAID if line not in terminal.lines()] == []
    scene.assert_all_is_as_before()
    (trial,) = scene.answer("trials")["trials"]
    assert trial["outcome"] == "cancelled"


def test_it_shows_the_stage_its_time_and_the_last_line_of_the_engine_made_harmless(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready", STUB_SAYS=HOSTILE)
    with on_terminal(trial_in(scene)) as terminal:
        terminal.wait_until(lambda: terminal.lines()[-1:] and terminal.lines()[-1].endswith(HARMLESS))
        first = terminal.lines()[-2]
        assert re.fullmatch(r"ready  waiting until vLLM with profile plain is ready   (0:\d\d) of 1:00", first)
        terminal.wait_until(lambda: len(shown_lines(terminal, "ready")) >= 3)
        assert terminal.lines()[:3] == ["reading torch in " + IMAGE, *SAID[:2]], "what was said stays above"
        terminal.resize(20, 10)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.wait_until(lambda: any(re.fullmatch(r"ready 0:\d\d of 1:00", line) for line in terminal.lines()))
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert b"\x1b[31m" not in terminal.raw
        assert b"\x1b]" not in terminal.raw
        assert b"\x1b[2J" not in terminal.raw
        assert b"\x9b" not in terminal.raw


def test_a_whole_trial_leaves_the_lines_that_were_said_and_the_result(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    with on_terminal(trial_in(scene)) as terminal:
        assert terminal.end() == 0
        lines = terminal.lines()
        assert lines[:6] == [*WHOLE, SAID[2]]
        assert_left_as_it_was(terminal)
        assert re.match(r"    1  .*  verdict  bug unknown, bring-up works", lines[6])
        assert all(shown_lines(terminal, stage) for stage in ("inspect", "probe", "restore"))


def test_json_has_one_object_on_stdout_while_the_terminal_shows_the_rest_without_colours(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    command = trial_in(scene, "--json")
    command.insert(command.index("--config"), "--no-color")
    with (tmp_path / "answer").open("wb") as answer, on_terminal(command, columns=20, stdout=answer) as terminal:
        assert terminal.end() == 0
        assert [line for line in terminal.seen if re.match(r"inspect 0:0\d", line)], "twenty columns will do"
        assert "".join(terminal.lines()).replace(" ", "") == "".join([*WHOLE, SAID[2]]).replace(" ", "")
        assert not re.search(rb"\x1b\[[0-9;]*m", terminal.raw)
    assert json.loads((tmp_path / "answer").read_text())["schema"] == "watcher/trial/1"


def test_quiet_says_nothing_on_a_terminal_and_trouble_all_the_same(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    command = trial_in(scene)
    command.insert(command.index("--config"), "-q")
    with (tmp_path / "answer").open("wb") as answer, on_terminal(command, stdout=answer) as terminal:
        assert terminal.end() == 0
        assert bytes(terminal.raw) == b""
    with on_terminal([*command[:-1], "--engine", "nothing"]) as terminal:
        assert terminal.end() == 2
        assert [line.split(" '")[0] for line in terminal.lines()][:1] == ["there is no engine"]


def test_a_terminal_that_takes_nothing_holds_up_no_trial(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy", STUB_DELAY="2")
    with on_terminal(trial_in(scene)) as terminal:
        terminal.wait_until(lambda: shown_lines(terminal, "ready") or shown_lines(terminal, "start"))
        terminal.type(b"\x13")  # Ctrl-S
        scene.wait_until(lambda: stage_now(scene) == "done")
        assert SAID[2] not in terminal.lines()
        scene.assert_all_is_as_before()
        terminal.type(b"\x11")  # Ctrl-Q
        assert terminal.end() == 0
        assert SAID[2] in terminal.lines()
        assert_left_as_it_was(terminal)


def test_a_pull_is_one_line_that_changes(
    clean_engine: PrivateDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-login"))
    with running_registry(tmp_path / "registry") as registry, door_before(registry) as door:
        registry.push_image("lab/vllm", "0.33.0-r36.4-cu129-24.04", [{"weights": os.urandom(8_000_000)}])
        door.cut_after, door.cuts = 3_000_000, 1  # Docker goes on after five seconds: there is time to look
        repository = f"{door.host}/lab/vllm"
        scene = scene_with(clean_engine, tmp_path, [repository], [])
        scene.table["trial"]["displace"] = []
        with on_terminal(scene.command("trial", "run", f"{repository}:0.33.0-r36.4-cu129-24.04")) as terminal:
            assert terminal.end() == 0, "a verdict: there is no engine in it"
            pulling = {line for line in terminal.seen if line.startswith("pulling ") or "… MB" in line}
            assert any(re.search(r"\d of 8 MB \(\d+ %\), .*0 of 1 layers done", line) for line in pulling), pulling
            assert any(line.startswith(f"pull  fetching {repository}") for line in terminal.seen)
            assert not [line for line in terminal.lines() if "pulling" in line], "none of it stays"
            assert terminal.lines()[0] == "the disk under the images cannot be seen from here: the image may not fit"


@pytest.mark.parametrize(("name", "is_live"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_terminal_that_cannot_redraw_gets_plain_lines(tmp_path: Path, name: str, is_live: bool) -> None:
    table = {"store": {"data_dir": "data"}, "device": {"docker": "none"}}
    with running_web() as web:
        web.fallback = lambda _: Reply(404, delay=1.5)
        feed = {"name": "slow", "kind": "feed", "url": f"{web.url}/feed"}
        scene = Scene(tmp_path, None, {**table, "sources": [feed]})
        with on_terminal(scene.command("check-now"), env={"TERM": name}) as terminal:
            assert terminal.end() == 3
            assert [bool(re.match("looking   0:0[12]", line)) for line in terminal.seen].count(True) >= is_live
            assert (b"\x1b[J" in terminal.raw) == is_live
            assert_left_as_it_was(terminal)


def test_a_terminal_that_hangs_up_ends_the_trial_and_the_service_is_given_back(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    with on_terminal(trial_in(scene)) as terminal:
        terminal.wait_until(lambda: shown_lines(terminal, "ready"))
        terminal.hang_up()
        terminal.process.wait(60)
        scene.assert_all_is_as_before()
    (trial,) = scene.answer("trials")["trials"]
    assert trial["outcome"] == "cancelled"


def test_who_stops_listening_changes_nothing(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    with scene.started("trial", "run", IMAGE) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("reading torch")
        running.stderr.close()  # as `2>&1 | head -1` does
        assert running.wait(60) == 0
    (trial,) = scene.answer("trials")["trials"]
    assert (trial["outcome"], trial["bring_up"]) == ("verdict", "works")
    scene.assert_all_is_as_before()
