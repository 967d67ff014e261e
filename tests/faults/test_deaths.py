"""Whatever dies, at whatever moment of a trial: what ran before runs again, with its policy, and nothing is left."""

import json
import os
import random
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.forked import KILLED, ForkServer, Moment, fork_server
from tests.faults.kills import Killing, kill_many, killing_scene
from tests.faults.table import Row
from tests.main_loop.one_trial import IMAGE
from tests.real.docker import PrivateDaemon, private_daemon
from tests.real.scene import Scene

WHENS = ("before", "after")
EFFECTS = {
    "row-opened": 1,
    "row-step": 14,
    "pull": 1,
    "row-pulled": 1,
    "row-read": 1,
    "start": 2,
    "remove_trial": 3,
    "write_debt": 1,
    "stop_service": 1,
    "signal": 1,
    "start_service": 1,
    "settle_service": 1,
    "clear_debt": 1,
}
"""Every effect of a trial, and how often it comes."""
ASKED_AGAIN = frozenset({"start_service", "settle_service"})
"""The way back does these until the service stands as before; how often depends on how long that takes."""
MOMENTS = [Moment(name, nth, when) for name, times in EFFECTS.items() for nth in range(1, times + 1) for when in WHENS]
ROWS_OF_STAGES = {
    "preflight": 1, "pull": 2, "inspect": 3, "probe": 4, "displace": 6, "settle": 7, "start": 8, "ready": 9,
    "accept": 10, "soak": 11, "teardown": 12, "restore": 13,
}  # fmt: skip
"""Which row says that a stage begins; `displace` has two, the second says what is about to be stopped."""
STAGES = list(ROWS_OF_STAGES)
DECIDED = ("teardown", "restore")
"""Here the verdict is known: whoever ends the trial now only hurries the way back."""
AWAY = STAGES[STAGES.index("settle") :]
ENDING = [signal.SIGTERM, signal.SIGINT]
SAMPLE = [Moment("stop_service", 1, "after"), Moment("start", 2, "after"), Moment("clear_debt", 1, "before")]
RANDOM_KILLS = 6
OTHERS = {("status",): 0, ("trial", "run", IMAGE, "--force"): 6, ("check-now", "--no-trial"): 0}
"""Commands beside a running trial, with their exit codes; none of them may disturb it."""

ROWS = (
    Row("the program", "SIGKILL before and after each row of the journal and each effect",
        "`watcher restore`", "`bench`, or the verdict where it was written", len(MOMENTS)),
    Row("the program", "SIGKILL, then no `restore`", "the next `check-now`", "`bench`, or the verdict", len(SAMPLE)),
    Row("the program", "SIGKILL at a random moment (and 1 000 of them in `make kills`)",
        "`watcher restore`", "`bench`, or the verdict", RANDOM_KILLS),
    Row("the program", "SIGTERM and SIGINT in each stage", "the program itself, within seconds; exit 130",
        "`cancelled`, or the verdict once the way back has begun", len(STAGES) * len(ENDING)),
    Row("the program", "a second one beside it: another trial, a check, `status`", "nothing is disturbed",
        "the verdict; the second trial is `refused`", len(OTHERS)),
    Row("the program", "`restore` called in each stage", "`restore` and the trial itself",
        "`cancelled`, or the verdict", len(STAGES)),
    Row("Docker", "the daemon killed in each stage and started again at once", "the trial itself",
        "`bench`, or a verdict where the engine's end was still seen", len(STAGES)),
    Row("Docker", "the daemon gone in each stage, started when the program has ended (exit 5 where a service is down)",
        "Docker's own restart policy, then `restore` closes the books", "`bench`, or the verdict", len(STAGES)),
    Row("the device", "power cut in each stage with the service away: program, daemon and containers killed at once, "
        "another boot id", "Docker's own restart policy, before any `watcher` runs; then `check-now` closes the books",
        "`bench`, or the verdict", len(AWAY)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ground:
    """A scene with the fork server that runs the program in it."""

    scene: Scene
    forks: ForkServer
    engine: PrivateDaemon

    @property
    def output(self) -> Path:
        return self.scene.folder / "output"

    def start(self, moment: Moment | None, number: signal.Signals) -> int:
        return self.forks.start(self.command("trial", "run", IMAGE, "--force"), self.output, moment, number)

    def finish(self, run: int) -> int:
        return self.forks.wait(run)

    def command(self, *arguments: str) -> list[str]:
        return self.scene.command(*arguments)[3:]

    def call(self, *arguments: str) -> int:
        return self.forks.run(self.command(*arguments), self.scene.folder / "output-of-another")

    def wait_for_stop(self, run: int) -> None:
        """Wait until the run has stopped itself at its moment."""
        self.scene.wait_until(lambda: state_of(run) == "T")

    def go_on(self, run: int) -> None:
        os.kill(run, signal.SIGCONT)

    def last_trial(self) -> dict[str, object]:
        trial: dict[str, object] = self.trials()[0]
        return trial

    def trials(self) -> list[dict[str, object]]:
        """Return the trials as `watcher trials --json` tells them, newest first."""
        output = self.scene.folder / "output-of-another"
        assert self.call("trials", "--json") == 0
        told: list[dict[str, object]] = json.loads(output.read_text())["trials"]
        return told

    def assert_all_is_well(self, *outcomes: str) -> None:
        self.scene.wait_until(self.scene.assistant_is_healthy)
        self.scene.assert_all_is_as_before()
        trial = self.last_trial()
        assert (trial["stage"], trial["owed"]) == ("done", []), trial
        assert trial["outcome"] in outcomes, trial


def end_daemon(engine: PrivateDaemon, stage: str) -> None:
    """Kill the daemon; while the service runs, with its containers.

    Docker takes an `unless-stopped` container that outlived its daemon for one that a person stopped.
    """
    if stage in AWAY:
        engine.kill()
    else:
        engine.power_cut()


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def at(stage: str) -> Moment:
    return Moment("row-step", ROWS_OF_STAGES[stage], "after")


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


@pytest.fixture(scope="module")
def ground(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Lend one scene to many deaths: each must leave it as it was, or the next one says so."""
    with private_daemon(tmp_path_factory.mktemp("engine")) as engine:
        scene = killing_scene(engine, tmp_path_factory.mktemp("scene"))
        scene.table["device"]["root"] = str(scene.folder / "device")
        new_boot(scene)
        whole = forks.run(scene.command("trial", "run", IMAGE)[3:], scene.folder / "output")
        assert whole == 0, "a trial is on record before the first death, in whichever order these tests run"
        yield Ground(scene, forks, engine)


@pytest.fixture
def calm(ground: Ground) -> Ground:
    ground.scene.wait_until(ground.scene.assistant_is_healthy)
    return ground


def new_boot(scene: Scene) -> None:
    """Let the device tell another boot id from now on."""
    file = scene.folder / "device" / "proc/sys/kernel/random/boot_id"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{uuid.uuid4()}\n")


def test_the_list_of_effects_is_whole(calm: Ground, tmp_path: Path) -> None:
    record = tmp_path / "effects"
    assert calm.forks.run(calm.command("trial", "run", IMAGE, "--force"), calm.output, record=record) == 0
    seen: dict[str, int] = {}
    for line in record.read_text().splitlines():
        name, nth = line.split()
        seen[name] = min(int(nth), EFFECTS[name]) if name in ASKED_AGAIN else int(nth)
    assert seen == EFFECTS


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_at_an_effect_restore_brings_back(calm: Ground, moment: Moment) -> None:
    assert calm.finish(calm.start(moment, signal.SIGKILL)) == KILLED, calm.output.read_text()
    assert calm.call("restore") == 0
    calm.scene.wait_until(calm.scene.assistant_is_healthy)
    calm.scene.assert_all_is_as_before()
    assert calm.call("check-now", "--no-trial") == 0
    calm.assert_all_is_well("bench", "verdict")


@pytest.mark.parametrize("moment", SAMPLE, ids=str)
def test_killed_at_an_effect_the_next_check_brings_back(calm: Ground, moment: Moment) -> None:
    assert calm.finish(calm.start(moment, signal.SIGKILL)) == KILLED
    assert calm.call("check-now") == 0
    calm.assert_all_is_well("bench", "verdict")


def test_killed_at_random(calm: Ground) -> None:
    seed = random.randrange(1 << 32)
    tally = kill_many(Killing.on(calm.scene, calm.forks), RANDOM_KILLS, random.Random(seed))
    assert not tally.losses, f"seed {seed}: {tally}"


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
@pytest.mark.parametrize("stage", STAGES)
def test_asked_to_end_in_a_stage(calm: Ground, stage: str, number: signal.Signals) -> None:
    assert calm.finish(calm.start(at(stage), number)) == 130, calm.output.read_text()
    calm.assert_all_is_well("verdict" if stage in DECIDED else "cancelled")


@pytest.mark.parametrize(("other", "code"), OTHERS.items(), ids=[name for name, *_ in OTHERS])
def test_a_second_program_beside_a_trial(calm: Ground, other: tuple[str, ...], code: int) -> None:
    run = calm.start(at("accept"), signal.SIGSTOP)
    calm.wait_for_stop(run)
    assert calm.call(*other) == code
    calm.go_on(run)
    assert calm.finish(run) == 0, calm.output.read_text()
    calm.scene.wait_until(calm.scene.assistant_is_healthy)
    calm.scene.assert_all_is_as_before()
    first = calm.trials()[int(code == 6)]
    assert (first["outcome"], first["bring_up"]) == ("verdict", "works")


@pytest.mark.parametrize("stage", STAGES)
def test_restore_in_the_middle(calm: Ground, stage: str) -> None:
    run = calm.start(at(stage), signal.SIGSTOP)
    calm.wait_for_stop(run)
    restore = calm.forks.start(calm.command("restore"), calm.scene.folder / "output-of-another")
    calm.scene.wait_until((calm.scene.data_dir / "cancel").exists)
    calm.go_on(run)
    assert calm.finish(restore) == 0
    assert calm.finish(run) == (0 if stage in DECIDED else 130), calm.output.read_text()
    calm.assert_all_is_well("verdict" if stage in DECIDED else "cancelled")


@pytest.mark.parametrize("stage", STAGES)
def test_the_daemon_is_killed_and_started_again(calm: Ground, stage: str) -> None:
    run = calm.start(at(stage), signal.SIGSTOP)
    calm.wait_for_stop(run)
    end_daemon(calm.engine, stage)
    calm.engine.start()
    calm.go_on(run)
    assert calm.finish(run) in (0, 5, 6), calm.output.read_text()
    assert calm.call("restore") == 0
    assert calm.call("check-now", "--no-trial") == 0
    calm.assert_all_is_well("bench", "verdict")


@pytest.mark.parametrize("stage", STAGES)
def test_the_daemon_is_gone(calm: Ground, stage: str) -> None:
    run = calm.start(at(stage), signal.SIGSTOP)
    calm.wait_for_stop(run)
    end_daemon(calm.engine, stage)
    calm.go_on(run)
    code = calm.finish(run)
    is_owed = stage in ("displace", *AWAY)  # named, whether or not it was stopped: nobody can look
    assert code == (5 if is_owed else 6), calm.output.read_text()
    calm.engine.start()
    calm.scene.wait_until(calm.scene.assistant_is_healthy)  # by Docker alone
    assert calm.call("restore") == 0
    assert calm.call("check-now", "--no-trial") == 0
    calm.assert_all_is_well("bench", "verdict")


@pytest.mark.parametrize("stage", AWAY)
def test_power_cut(calm: Ground, stage: str) -> None:
    run = calm.start(at(stage), signal.SIGSTOP)
    calm.wait_for_stop(run)
    os.kill(run, signal.SIGKILL)
    calm.engine.power_cut()
    assert calm.finish(run) == KILLED
    new_boot(calm.scene)
    calm.engine.start()
    calm.scene.wait_until(calm.scene.assistant_is_healthy)  # no watcher has run since
    assert calm.call("check-now", "--no-trial") == 0
    calm.assert_all_is_well("bench", "verdict")
