"""A command that scores the engine: what it says counts, and nothing of it is left when its time is over."""

import sys
import time
from pathlib import Path

import pytest

from watcher.config.settings import AcceptanceSection
from watcher.model.trial import Acceptance, Score
from watcher.trial.machine import Event, Failed
from watcher.trial.scoring import ScoreCommand, Scoring, scored

PATTERN = AcceptanceSection().score


@pytest.mark.parametrize(
    ("output", "code", "score", "told"),
    [
        ("1 / 9\npassed 7/8\n", 0, Score(7, 8), "7 of 8, exit code 0"),
        ("7/8", 1, Score(7, 8), "7 of 8, exit code 1"),
        ("", 0, Score(1, 1), "exit code 0"),
        ("oh no\n", 3, Score(0, 1), "exit code 3: oh no"),
        ("killed", -9, Score(0, 1), "exit code -9"),
        ("3/4", 125, None, "it cannot tell"),
        ("9/4", 0, None, "makes no sense: 9/4"),
        ("0/0", 0, None, "makes no sense"),
        (f"1/{'9' * 5000}", 0, None, "makes no sense"),
        ("٣/٤", 0, None, "makes no sense"),
    ],
)
def test_the_last_score_counts_else_the_exit_code(output: str, code: int, score: Score | None, told: str) -> None:
    found, remark = scored(output, code, PATTERN)
    assert found == score
    assert told in remark


def test_a_pattern_of_ones_own_may_leave_a_group_out() -> None:
    assert scored("ok 3", 0, r"ok (?P<passed>\d+)(?: of (?P<total>\d+))?")[0] is None


def well() -> Event | None:
    return None


def ran(folder: Path, *words: str, seconds: float = 20) -> Scoring:
    scoring = Scoring(ScoreCommand(words, PATTERN, folder), "http://127.0.0.1:9", "m")
    assert scoring.ask(time.monotonic() + seconds, lambda: None, well) is None
    return scoring


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def test_it_gets_the_engines_address_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHER_GITHUB__TOKEN", "secret")
    script = "import os; print(sorted((k, v) for k, v in os.environ.items() if k.startswith('WATCHER_')), os.getcwd())"
    told = ran(tmp_path, *python(script)).remark
    assert "[('WATCHER_ENGINE_URL', 'http://127.0.0.1:9'), ('WATCHER_MODEL', 'm')]" in told
    assert str(tmp_path) in told


def test_its_words_go_through_no_shell(tmp_path: Path) -> None:
    assert "$HOME; 1|2" in ran(tmp_path, "echo", "$HOME;", "1|2").remark


def test_one_that_cannot_be_run_tells_nothing_of_the_engine(tmp_path: Path) -> None:
    scoring = ran(tmp_path, "./nowhere")
    assert (scoring.score, scoring.remark) == (None, "it could not be run: No such file or directory")


def test_a_flood_is_read_to_its_end_and_the_last_score_is_found(tmp_path: Path) -> None:
    script = "import sys\nfor _ in range(300): sys.stdout.write('1/2 ' * 25_000)\nprint('30/32')"
    assert ran(tmp_path, *python(script)).score == Score(30, 32)


def test_one_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    script = (
        "import os, time\nos.write(1, b'4/5')\nos.close(1); os.close(2)\ntime.sleep(0.5)\nopen('done', 'w').close()"
    )
    assert ran(tmp_path, *python(script)).score == Score(4, 5)
    assert (tmp_path / "done").exists()


CHILD = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
print("3/4", flush=True)
"""


@pytest.mark.parametrize("goes_on", [True, False], ids=["hangs", "ends"])
def test_nothing_of_it_is_left(tmp_path: Path, goes_on: bool) -> None:
    begun = time.monotonic()
    script = CHILD + ("time.sleep(600)" if goes_on else "")
    scoring = ran(tmp_path, *python(script), seconds=4 if goes_on else 60)
    assert time.monotonic() - begun < 30, "a child that holds the output open is not waited for"
    assert scoring.score == (None if goes_on else Score(3, 4)), "one that was ended is not measured"
    assert_all_end((tmp_path / "pids").read_text())


def assert_all_end(pids: str) -> None:
    """Hold that the processes are gone: a kill is there at once, its end a moment later."""
    assert len(pids.split()) == 2
    ends = time.monotonic() + 10
    while alive := [pid for pid in pids.split() if is_alive(int(pid))]:
        assert time.monotonic() < ends, alive
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class GivenUp(Exception):
    """The trial ends for others."""


def test_it_is_ended_where_the_trial_gives_way(tmp_path: Path) -> None:
    def give_way() -> None:
        if (tmp_path / "pids").exists() and (tmp_path / "pids").read_text():
            raise GivenUp

    scoring = Scoring(ScoreCommand(python(CHILD + "time.sleep(600)"), PATTERN, tmp_path), "http://127.0.0.1:9", "m")
    with pytest.raises(GivenUp):
        scoring.ask(time.monotonic() + 60, give_way, well)
    assert_all_end((tmp_path / "pids").read_text())
    assert scoring.measured(Acceptance()).phrases is None


def test_an_engine_that_died_meanwhile_is_told(tmp_path: Path) -> None:
    dead = Failed("the engine died after it was ready")
    scoring = Scoring(ScoreCommand(("true",), PATTERN, tmp_path), "http://127.0.0.1:9", "m")
    assert scoring.ask(time.monotonic() + 20, lambda: None, lambda: dead) is dead
