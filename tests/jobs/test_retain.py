"""What grows old is dropped, what an answer stands on is not, and a kill in between loses nothing."""

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import tomli_w

from tests.clocks import SteppingClock
from tests.planner.worlds import NOW, candidate, trial
from tests.store.examples import all_facts, known, wheel
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.host.lease import Lease
from watcher.jobs import retain as retaining
from watcher.jobs.means import Means
from watcher.jobs.plan import answer_now
from watcher.jobs.retain import LOG_BYTES, LOGS, retain, retain_daily
from watcher.jobs.round import go_round
from watcher.model.facts import Event, EventKind, SourceState
from watcher.model.notice import Notice, NoticeKind
from watcher.model.trial import Outcome, Stage, Start
from watcher.model.verdict import BringUp
from watcher.ports import Lines
from watcher.store import facts, outbox, trials
from watcher.store.retention import EVENTS, JOURNAL, NOTICES, Dropped

DAY = timedelta(days=1)
ALL = tuple(NoticeKind)


def settings_in(folder: Path) -> Path:
    table = {
        "store": {"data_dir": "data"},
        "device": {"docker": "none", "name": "orin-nx", "l4t": "36.4.4"},
        "sources": [],
    }
    (folder / "config.toml").write_text(tomli_w.dumps(table))
    return folder / "config.toml"


@pytest.fixture
def means(tmp_path: Path) -> Iterator[Means]:
    settings, clock = load_settings(settings_in(tmp_path), {}), SteppingClock()
    clock.time = NOW
    with open_means(settings, Lines(lambda line: None), clock=clock) as opened:
        yield opened


def tried(means: Means, ended: datetime, outcome: Outcome | None = Outcome.VERDICT, deciding: int | None = 0) -> int:
    """Keep a trial of two starts with their logs, as old as its end; return its number."""
    with means.store.transaction() as tx:
        begun = trials.new_trial(tx, trial(candidate("0.32.0-r36.4"), None, ended=ended))
        logs = [f"logs/trial-{begun.id}/start-{number}.log.gz" for number in range(2)]
        starts = tuple(Start("plain", Stage.READY, BringUp.FAILS, None, 1, log) for log in logs)
        stage, finished = (Stage.DONE, ended) if outcome else (Stage.READY, None)
        done = replace(begun, stage=stage, outcome=outcome, starts=starts, deciding_start=deciding)
        trials.record_trial(tx, replace(done, finished_at=finished), ended)
    for log in logs:
        write(means.data_dir / log, ended)
    return begun.id


def write(path: Path, when: datetime, content: bytes = b"loading") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content))
    os.utime(path, (when.timestamp(), when.timestamp()))


def logs_of(means: Means) -> set[str]:
    return {str(path.relative_to(means.data_dir / "logs")) for path in means.data_dir.glob("logs/*/*")}


def test_a_log_stays_as_long_as_a_verdict_stands_on_it(means: Means) -> None:
    old, young = NOW - LOGS - DAY, NOW - LOGS + DAY
    verdict, last, bench = tried(means, old), tried(means, old, deciding=None), tried(means, old, Outcome.BENCH, None)
    recent, running = tried(means, young, Outcome.BENCH, None), tried(means, old, None, None)
    done = retain(means)
    assert (done.logs, done.log_bytes > 0) == (4, True)
    assert logs_of(means) == {
        f"trial-{verdict}/start-0.log.gz",
        f"trial-{last}/start-1.log.gz",
        *(f"trial-{number}/start-{start}.log.gz" for number in (recent, running) for start in range(2)),
    }
    assert not (means.data_dir / f"logs/trial-{bench}").exists()
    with means.store.reading() as tx:
        assert len(trials.trials(tx)) == 5, "a trial is never dropped"


def test_metrics_stay_with_the_log_beside_them(means: Means) -> None:
    verdict, bench = tried(means, NOW - LOGS - DAY), tried(means, NOW - LOGS - DAY, Outcome.BENCH, None)
    for number in (verdict, bench):
        for start in range(2):
            write(means.data_dir / f"logs/trial-{number}/start-{start}.metrics.txt", NOW - LOGS - DAY)
    retain(means)
    assert logs_of(means) == {f"trial-{verdict}/start-0.{kind}" for kind in ("log.gz", "metrics.txt")}


def test_files_without_a_row_go_when_they_are_old(means: Means) -> None:
    write(means.data_dir / "logs/trial-77/start-0.log.gz", NOW - LOGS - DAY)
    write(means.data_dir / "logs/trial-78/start-0.log.gz", NOW - LOGS + DAY)
    retain(means)
    assert logs_of(means) == {"trial-78/start-0.log.gz"}


def test_logs_beyond_their_room_go_the_oldest_first(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [tried(means, NOW - days * DAY, Outcome.BENCH, None) for days in (3, 2, 1)]
    size = sum(path.stat().st_size for path in means.data_dir.glob(f"logs/trial-{numbers[0]}/*"))
    assert retain(means).logs == 0
    assert 3 * size < LOG_BYTES
    monkeypatch.setattr(retaining, "LOG_BYTES", 2 * size)
    assert retain(means).logs == 2
    assert {name.partition("/")[0] for name in logs_of(means)} == {f"trial-{number}" for number in numbers[1:]}


def test_while_a_trial_runs_no_log_is_touched(means: Means) -> None:
    tried(means, NOW - LOGS - DAY, Outcome.BENCH, None)
    with Lease(means.data_dir):
        assert retain(means).logs == 0
    assert retain(means).logs == 2


def test_old_rows_go_and_the_answer_stays(means: Means) -> None:
    number = tried(means, NOW - JOURNAL - DAY)
    young, old = NOW - EVENTS + DAY, NOW - EVENTS - DAY
    with means.store.transaction() as tx:
        judged = trials.trial(tx, number)
        assert judged is not None
        trials.withdraw_verdict(tx, replace(judged, reason="other"), "it said: fails", NOW - JOURNAL - DAY)
        found = [Event("torch", EventKind.NEW, wheel(), at) for at in (old, young)]
        facts.save_look(tx, SourceState("torch", "simple-index"), [known()], found)
    before = answer_now(means, means.device())
    assert retain(means).rows == Dropped(events=1, journal=2, notices=0)
    with means.store.reading() as tx:
        assert [event.seen_at for event in facts.events_since(tx)] == [young]
        assert trials.withdrawal_of(tx, number) == "it said: fails"
        assert len(all_facts(tx)) == 1
    assert answer_now(means, means.device()) == before


def test_a_notice_goes_once_it_is_old_and_delivered_and_cannot_come_again(means: Means) -> None:
    old = NOW - NOTICES - DAY
    with means.store.transaction() as tx:
        for key in ("trial:1", "source:torch:quiet:2024", "look:torch:2024"):
            outbox.enqueue(tx, Notice(NoticeKind.NEWS, key, "news", ("1",), old))
        first, quiet, _ = outbox.pending(tx, "mail", ALL, old)
        outbox.delivered(tx, "mail", [first.id, quiet.id], old)
    assert retain(means).rows.notices == 1
    with means.store.transaction() as tx:
        assert outbox.written_at(tx, "trial:1") is None
        assert not outbox.enqueue(tx, Notice(NoticeKind.NEWS, quiet.key, "news", ("1",), NOW)), "told for ever"
        assert [one.key for one in outbox.pending(tx, "mail", ALL, NOW)] == ["look:torch:2024"], "nobody took it yet"


def test_it_is_done_once_a_day_by_the_rounds_of_the_service(means: Means) -> None:
    clock = means.clock
    assert isinstance(clock, SteppingClock)
    tried(means, NOW - LOGS - DAY, Outcome.BENCH, None)
    go_round(means, (), may_try=False, scheduled=False)
    assert len(logs_of(means)) == 2, "a check by hand drops nothing"
    go_round(means, (), may_try=False, scheduled=True)
    assert logs_of(means) == set()
    assert retain_daily(means) is None
    clock.sleep(DAY.total_seconds())
    assert retain_daily(means) is not None


def test_copies_from_before_a_migration_stay_two(means: Means) -> None:
    for day in range(4):
        path = means.data_dir / f"watcher.db.before-000{day}"
        path.write_bytes(b"copy")
        os.utime(path, (day, day))
    assert retain(means).copies == 2
    assert sorted(path.name for path in means.data_dir.glob("*.before-*")) == [
        "watcher.db.before-0002",
        "watcher.db.before-0003",
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.retain import retain
from watcher.ports import Lines

calls, wanted = 0, int(sys.argv[2])
def trace(event, arguments):
    global calls
    if event in ("os.remove", "os.rmdir", "sqlite3.connect"):
        calls += 1
        if calls == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
settings = load_settings(Path(sys.argv[1]), {})
with open_means(settings, Lines(print)) as means:
    sys.addaudithook(trace)
    retain(means)
print("done")
"""


def test_killed_at_any_file_the_next_run_ends_the_work(tmp_path: Path) -> None:
    config = settings_in(tmp_path)
    ended = datetime.now(NOW.tzinfo) - LOGS - DAY
    settings = load_settings(config, {})
    with open_means(settings, Lines(lambda line: None)) as means:
        bench, verdict = tried(means, ended, Outcome.BENCH, None), tried(means, ended)
    for wanted in range(1, 20):
        done = subprocess.run([sys.executable, "-c", KILLED, config, str(wanted)], capture_output=True, check=False)
        assert (tmp_path / f"data/logs/trial-{verdict}/start-0.log.gz").exists()
        if b"done" in done.stdout:
            break
        assert done.returncode == -9, done.stderr
    else:
        pytest.fail("it never came to an end")
    with open_means(settings, Lines(lambda line: None)) as means:
        assert logs_of(means) == {f"trial-{verdict}/start-0.log.gz"}
        with means.store.reading() as tx:
            assert trials.trial(tx, bench) is not None
