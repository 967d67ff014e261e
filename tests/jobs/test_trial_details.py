"""What the page adds to a trial's record, out of the journal and the logs that are kept."""

import gzip
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.page.examples import ASSERT_LINE, NOW, trial
from watcher.jobs.trial_details import log_path, stage_spans, trial_details
from watcher.model.trial import Stage, Start
from watcher.model.verdict import BringUp, BugState, Evidence, Rung
from watcher.page.facts import KeptLog, StageSpan
from watcher.store.trials import StageChange

TRIAL = trial(3, 1, BugState.PRESENT, BringUp.FAILS)
LINES = [f"INFO 11-23 12:00:{number:02} [core.py:1] step {number}" for number in range(1, 31)]


def at(seconds: float, old: Stage | None, new: Stage) -> StageChange:
    return StageChange(old, new, "", NOW + timedelta(seconds=seconds))


def log(folder: Path, lines: list[str], number: int = 0, trial_id: int = 3) -> Start:
    path = folder / "logs" / f"trial-{trial_id}" / f"start-{number}.log.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return Start("plain", Stage.READY, BringUp.FAILS, log=str(path.relative_to(folder)))


def evidence(text: str, line: int) -> Evidence:
    return Evidence(Rung.BRING_UP, text, "nvml-assert", line)


def test_lengths_come_from_the_journal_and_a_withdrawal_is_no_stage() -> None:
    changes = (
        at(0, None, Stage.PREFLIGHT),
        at(1, Stage.PREFLIGHT, Stage.PULL),
        at(61, Stage.PULL, Stage.RESTORE),
        at(70, Stage.RESTORE, Stage.DONE),
        at(9999, Stage.DONE, Stage.DONE),
    )
    done = stage_spans(changes, NOW + timedelta(seconds=70), is_over=True)
    assert done == (StageSpan(Stage.PREFLIGHT, 1), StageSpan(Stage.PULL, 60), StageSpan(Stage.RESTORE, 9))
    running = stage_spans(changes[:2], NOW + timedelta(seconds=31), is_over=False)
    assert running == (StageSpan(Stage.PREFLIGHT, 1), StageSpan(Stage.PULL, 30, is_over=False))
    assert stage_spans((at(0, None, Stage.DONE),), NOW, is_over=True) == ()
    backwards = stage_spans((at(5, None, Stage.PULL),), NOW, is_over=True)
    assert backwards[0].seconds == 0, "a clock that was set back"


def test_the_lines_around_evidence_are_shown_without_prefix_and_secret(tmp_path: Path) -> None:
    lines = [
        *LINES[:10],
        f"(EngineCore pid=7) {ASSERT_LINE}",
        "HF_TOKEN=hf_abcdefghijklmnop \x1b[31mred\x1b[0m",
        *LINES[10:],
    ]
    kept = replace(TRIAL, starts=(log(tmp_path, lines),), evidence=(evidence(ASSERT_LINE, 11),))
    details = trial_details(kept, (), tmp_path, NOW)
    (told,) = details.excerpts
    assert [number for number, _ in told.lines] == [8, 9, 10, 11, 12, 13, 14]
    assert told.decisive == {11}
    assert ASSERT_LINE in told.lines[3][1]
    assert told.lines[4][1] == "HF_TOKEN=<secret> red"
    assert [(one.start, one.path) for one in details.logs] == [(0, "logs/trial-3/start-0.log.gz")]


def test_evidence_of_another_start_is_found_in_that_ones_log(tmp_path: Path) -> None:
    first = log(tmp_path, [*LINES[:4], ASSERT_LINE])
    second = log(tmp_path, LINES, number=1)
    kept = replace(
        TRIAL, starts=(first, second), deciding_start=1, evidence=(evidence(ASSERT_LINE, 5), evidence("step 9", 9))
    )
    told = {one.start: one.decisive for one in trial_details(kept, (), tmp_path, NOW).excerpts}
    assert told == {0: {5}, 1: {9}}


def test_a_line_that_is_not_what_was_seen_is_not_shown(tmp_path: Path) -> None:
    kept = replace(TRIAL, starts=(log(tmp_path, LINES),), evidence=(evidence(ASSERT_LINE, 5),))
    assert trial_details(kept, (), tmp_path, NOW).excerpts == ()


def test_the_last_line_and_the_first_have_fewer_neighbours(tmp_path: Path) -> None:
    kept = replace(TRIAL, starts=(log(tmp_path, LINES),), evidence=(evidence("step 1", 1), evidence("step 30", 30)))
    (told,) = trial_details(kept, (), tmp_path, NOW).excerpts
    assert [number for number, _ in told.lines] == [1, 2, 3, 4, 27, 28, 29, 30]


def test_a_log_of_many_megabytes_is_read_no_further_than_needed(tmp_path: Path) -> None:
    long = ["x" * 1000] * 9000
    long[8000] = ASSERT_LINE
    kept = replace(TRIAL, starts=(log(tmp_path, long),), evidence=(evidence(ASSERT_LINE, 8001),))
    assert trial_details(kept, (), tmp_path, NOW).excerpts == ()
    one_line = replace(TRIAL, starts=(log(tmp_path, ["y" * 8_000_000]),), evidence=(evidence("y" * 50, 1),))
    assert trial_details(one_line, (), tmp_path, NOW).excerpts == ()


def test_a_log_that_is_broken_or_gone_takes_nothing_with_it(tmp_path: Path) -> None:
    start = log(tmp_path, LINES)
    kept = replace(TRIAL, starts=(start,), evidence=(evidence("step 9", 9),))
    path = tmp_path / str(start.log)
    path.write_bytes(path.read_bytes()[:40])
    assert len(trial_details(kept, (), tmp_path, NOW).logs) == 1
    path.write_bytes(b"no gzip at all")
    assert trial_details(kept, (), tmp_path, NOW).excerpts == ()
    path.unlink()
    assert trial_details(kept, (), tmp_path, NOW).logs == ()


def test_metrics_are_offered_where_a_start_left_some(tmp_path: Path) -> None:
    kept = replace(
        TRIAL, starts=(log(tmp_path, LINES), log(tmp_path, LINES, number=1), replace(log(tmp_path, []), log=None))
    )
    (tmp_path / "logs/trial-3/start-1.metrics.txt").write_text("x 1\n")
    path = "logs/trial-3/start-1.metrics.txt"
    assert trial_details(kept, (), tmp_path, NOW).metrics == (KeptLog(1, path, 4),)


def test_while_a_trial_runs_its_log_is_not_offered(tmp_path: Path) -> None:
    running = replace(TRIAL, starts=(log(tmp_path, LINES),), finished_at=None, outcome=None)
    assert trial_details(running, (at(0, None, Stage.PREFLIGHT),), tmp_path, NOW).logs == ()


@pytest.mark.parametrize(
    "name", ["../secret", "logs/../secret", "/etc/hostname", "logs", "logs/link", "logs/way/secret", "watcher.db", ""]
)
def test_no_log_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    (data / "logs").mkdir(parents=True)
    for place in (tmp_path / "secret", data / "secret", data / "watcher.db"):
        place.write_text("x")
    (data / "logs" / "link").symlink_to(data / "secret")
    (data / "logs" / "way").symlink_to(data)
    assert log_path(data, name) is None
