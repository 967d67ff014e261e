"""When signatures change, kept logs are read again; a verdict that does not hold is withdrawn, and told once."""

import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tomli_w

from tests.clocks import SteppingClock
from tests.planner.worlds import HOUR, NOW, candidate, trial
from tests.real.smtp import SmtpServer, running_smtp, text_of
from tests.verdict.test_judge import ASSERT_LINE
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.host.lease import Lease
from watcher.jobs.judge_again import MOST, judge_again
from watcher.jobs.means import Means
from watcher.jobs.round import go_round
from watcher.model.trial import Outcome, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, FailureClass, Rung
from watcher.ports import Lines
from watcher.store import trials
from watcher.verdict.signatures import VERSION

CRASH = b"RuntimeError: something that nobody knows\n"
LONG = b"INFO 11-02 12:00:00 [core.py:1] loading shard\n" * 5000


@dataclass
class World:
    folder: Path
    mail: SmtpServer
    clock: SteppingClock

    @contextmanager
    def means(self) -> Iterator[Means]:
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none", "name": "orin-nx", "l4t": "36.4.4"},
            "notify": {"urls": [self.mail.url]},
            "sources": [],
        }
        (self.folder / "config.toml").write_text(tomli_w.dumps(table))
        settings = load_settings(self.folder / "config.toml", {})
        with open_means(settings, Lines(lambda line: None), clock=self.clock) as means:
            yield means

    def kept(self, log: bytes | None, failure: FailureClass = FailureClass.OTHER_CRASH, **keys: object) -> int:
        """Keep a trial that an older watcher judged so, with its log; return its number."""
        with self.means() as means, means.store.transaction() as tx:
            begun = trials.new_trial(tx, trial(candidate("0.32.0-r36.4"), None, ended=NOW - 5 * HOUR))
            name = f"logs/trial-{begun.id}/start-0.log.gz"
            start = Start("plain", Stage.READY, BringUp.FAILS, failure, 1, name)
            values: dict[str, object] = {
                "stage": Stage.DONE,
                "outcome": Outcome.VERDICT,
                "bring_up": BringUp.FAILS,
                "failure_class": failure,
                "starts": (start,),
                "basis": (Rung.BRING_UP,),
                "signatures": "an older one",
                "finished_at": NOW - 5 * HOUR,
            }
            trials.record_trial(tx, replace(begun, **(values | keys)), NOW)  # type: ignore[arg-type]
        if log is not None:
            self.write_log(begun.id, gzip.compress(log))
        return begun.id

    def write_log(self, number: int, content: bytes) -> None:
        path = self.folder / "data" / f"logs/trial-{number}/start-0.log.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def stored(self, number: int) -> Trial:
        with self.means() as means, means.store.reading() as tx:
            found = trials.trial(tx, number)
        assert found is not None
        return found

    def turn(self) -> None:
        with self.means() as means:
            go_round(means, None, may_try=False, scheduled=False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_smtp() as mail:
        yield World(tmp_path, mail, SteppingClock())


def test_a_verdict_that_does_not_hold_is_withdrawn_with_what_it_said_and_told_once(world: World) -> None:
    number = world.kept(LONG + ASSERT_LINE)
    world.turn()
    now = world.stored(number)
    assert (now.bug, now.failure_class, now.signatures) == (
        BugState.PRESENT,
        FailureClass.ALLOCATOR_NVML_ASSERT,
        VERSION,
    )
    assert now.starts[0].failure_class is FailureClass.ALLOCATOR_NVML_ASSERT
    assert ("allocator-nvml-assert", 5001) in [(row.signature, row.line) for row in now.evidence]
    before = "of the bug nothing is known, vllm fails (other-crash)"
    assert before in now.reason
    (message,) = world.mail.messages
    told = " ".join(text_of(message).split())
    assert f"The verdict of trial {number} (dustynv/vllm:0.32.0-r36.4) is withdrawn: it said: {before}" in told
    assert "by newer signatures: the bug is present, vllm fails (allocator-nvml-assert)" in told
    world.turn()
    assert len(world.mail.messages) == 1


def test_a_verdict_that_holds_is_only_marked(world: World) -> None:
    number = world.kept(CRASH)
    before = world.stored(number)
    world.turn()
    assert world.stored(number) == replace(before, signatures=VERSION)
    assert world.mail.messages == []


def test_one_from_before_versions_were_kept_is_read_too(world: World) -> None:
    number = world.kept(ASSERT_LINE, signatures=None)
    world.turn()
    assert world.stored(number).bug is BugState.PRESENT


def test_what_the_bench_owns_takes_both_answers_back(world: World) -> None:
    number = world.kept(b"Error: pull access denied for vllm, repository does not exist\n")
    world.turn()
    now = world.stored(number)
    assert (now.outcome, now.bug, now.bring_up) == (Outcome.BENCH, BugState.UNKNOWN, BringUp.UNTRIED)


@pytest.mark.parametrize("left", ["nothing", "a part"])
def test_a_log_that_is_gone_or_cut_off_takes_nothing_away(world: World, left: str) -> None:
    number = world.kept(None, FailureClass.ALLOCATOR_NVML_ASSERT, bug=BugState.PRESENT)
    if left == "a part":
        whole = gzip.compress(LONG + ASSERT_LINE)
        world.write_log(number, whole[: len(whole) // 2])
    before = world.stored(number)
    world.turn()
    assert world.stored(number) == replace(before, signatures=VERSION)


def test_nothing_is_touched_while_a_trial_runs(world: World) -> None:
    number = world.kept(ASSERT_LINE)
    with Lease(world.folder / "data"):
        world.turn()
        assert world.stored(number).signatures == "an older one"
    world.turn()
    assert world.stored(number).signatures == VERSION


def test_a_trial_that_is_not_done_is_left_alone(world: World) -> None:
    number = world.kept(ASSERT_LINE, stage=Stage.RESTORE)
    with world.means() as means:
        assert judge_again(means) == ()
    assert world.stored(number).signatures == "an older one"


def test_a_few_in_a_round_the_newest_first(world: World) -> None:
    numbers = [world.kept(CRASH) for _ in range(MOST + 2)]
    with world.means() as means:
        judge_again(means)
    done = [number for number in numbers if world.stored(number).signatures == VERSION]
    assert done == numbers[2:]
    with world.means() as means:
        judge_again(means)
    assert {world.stored(number).signatures for number in numbers} == {VERSION}


def test_verdict_and_notice_are_kept_together_or_not_at_all(world: World) -> None:
    number = world.kept(ASSERT_LINE)
    database = world.folder / "data" / "watcher.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TRIGGER broken BEFORE INSERT ON notices BEGIN SELECT RAISE(ABORT, 'cut'); END")
    with world.means() as means, pytest.raises(sqlite3.IntegrityError):
        judge_again(means)
    assert world.stored(number).signatures == "an older one"
    world.turn()  # a round does the rest of its work all the same
    assert world.stored(number).signatures == "an older one"
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER broken")
    world.turn()
    assert len(world.mail.messages) == 1


def test_once_all_were_read_the_tables_are_not_asked_again(world: World) -> None:
    world.kept(CRASH)
    world.turn()
    late = world.kept(ASSERT_LINE)  # no trial of this watcher is ever kept so
    world.turn()
    assert world.stored(late).signatures == "an older one"
