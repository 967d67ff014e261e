"""Whole trials that displace what is no container: a unit of a real systemd, a daemon with commands of its own."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import tomli_w

from tests.faults.table import Row
from tests.main_loop.one_trial import IMAGE, stage_now
from tests.real.docker import PrivateDaemon
from tests.real.ports import free_port
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import StubMode, stub_image
from tests.real.systemd import SystemdMachine, systemd_machine

SERVICE_PROGRAM = Path(__file__).parents[1] / "real" / "service_program.py"
STAGE = """
import json, sqlite3
try:
    with sqlite3.connect("file:/var/lib/watcher/watcher.db?mode=ro", uri=True) as database:
        row = database.execute("select stage from trials order by id desc limit 1").fetchone()
except sqlite3.OperationalError:
    row = None
print(json.dumps(row[0] if row else ""))
"""


class Place(Protocol):
    """Where the watcher and a service of some kind live."""

    service: str

    def watcher(self, *arguments: str) -> tuple[int, str]:
        """Run the program to its end; return its exit code and what it printed."""
        ...

    def begin_trial(self) -> None: ...

    def kill_trial(self) -> None: ...

    def stage(self) -> str: ...

    def runs(self) -> bool: ...

    def notes(self) -> list[str]: ...


@dataclass
class OfCommands:
    """A daemon of the machine itself, which only the operator's commands can stop, start and check."""

    scene: Scene
    service = "command:assistant"
    _running: "subprocess.Popen[str] | None" = None

    def watcher(self, *arguments: str) -> tuple[int, str]:
        done = self.scene.watcher(*arguments)
        return done.returncode, done.stdout + done.stderr if done.returncode else done.stdout

    def begin_trial(self) -> None:
        self._running = self.scene.started("trial", "run", IMAGE)

    def kill_trial(self) -> None:
        assert self._running is not None
        self._running.kill()
        self._running.communicate()

    def stage(self) -> str:
        return stage_now(self.scene)

    def runs(self) -> bool:
        check = self.scene.table["trial"]["commands"][0]["check"]
        return subprocess.run(["/bin/sh", "-c", check], check=False, capture_output=True).returncode == 0

    def notes(self) -> list[str]:
        return [path.name for path in (self.scene.data_dir / "owed").glob("*")]


@dataclass
class OfSystemd:
    """A machine that systemd runs, with the watcher installed on it; trials run in the engine beside it."""

    machine: SystemdMachine
    service = "systemd:assistant"

    def watcher(self, *arguments: str) -> tuple[int, str]:
        code, said = self.machine.told("python3", "-m", "watcher", "--config", "/etc/watcher.toml", *arguments)
        return code, said

    def begin_trial(self) -> None:
        program = ("python3", "-m", "watcher", "--config", "/etc/watcher.toml", "trial", "run", IMAGE)
        self.machine.run("systemd-run", "--unit=trying", "--setenv=PYTHONPATH=/site:/code", *program)

    def kill_trial(self) -> None:
        self.machine.run("systemctl", "kill", "--signal=KILL", "trying.service")
        Scene.wait_until(lambda: self.machine.state("trying.service") == "failed")
        self.machine.run("systemctl", "reset-failed", "trying.service")

    def stage(self) -> str:
        return str(self.machine.python(STAGE))

    def runs(self) -> bool:
        return self.machine.state("assistant.service") == "active"

    def notes(self) -> list[str]:
        return self.machine.run("ls", "/var/lib/watcher/owed").split()


def scene_without_containers(engine: PrivateDaemon, folder: Path, mode: StubMode) -> Scene:
    stub_image(engine.client(), IMAGE, mode)
    scene = scene_with(engine, folder, ["local/vllm"], [])
    scene.table["trial"]["displace"] = []
    return scene


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> StubMode:
    mode: StubMode = request.param
    return mode


@pytest.fixture(params=["commands", "systemd"])
def place(
    request: pytest.FixtureRequest, clean_engine: PrivateDaemon, tmp_path: Path, mode: StubMode
) -> Iterator[Place]:
    scene = scene_without_containers(clean_engine, tmp_path, mode)
    if request.param == "commands":
        yield from _with_commands(scene, tmp_path)
    else:
        yield from _with_systemd(scene, clean_engine)


def _with_commands(scene: Scene, folder: Path) -> Iterator[OfCommands]:
    pid, port = folder / "pid", free_port()
    python, program = shlex.quote(sys.executable), shlex.quote(str(SERVICE_PROGRAM))
    ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/health', timeout=2)"
    start = f"SERVICE_PORT={port} {python} {program} >/dev/null 2>&1 & echo $! > {pid}"
    commands = {"name": "assistant", "start": start, "stop": f"kill $(cat {pid})"}
    scene.table["trial"]["commands"] = [{**commands, "check": f'{python} -c "{ask}"'}]
    place = OfCommands(scene)
    subprocess.run(["/bin/sh", "-c", start], check=True, start_new_session=True)
    try:
        scene.wait_until(place.runs)
        yield place
    finally:
        with suppress(ProcessLookupError):  # a test that failed may have left it down
            os.kill(int(pid.read_text()), signal.SIGKILL)


def _with_systemd(scene: Scene, engine: PrivateDaemon) -> Iterator[OfSystemd]:
    table: dict[str, Any] = scene.table
    table["store"]["data_dir"] = "/var/lib/watcher"
    table["device"]["docker"] = f"unix:///engine/{Path(engine.url).name}"
    table["trial"]["displace"] = ["systemd:assistant"]
    with systemd_machine(engine) as machine:
        machine.unit("assistant.service")
        machine.run("/bin/sh", "-c", f"cat > /etc/watcher.toml <<'END'\n{tomli_w.dumps(table)}\nEND")
        yield OfSystemd(machine)


@pytest.mark.parametrize("mode", ["healthy"], indirect=True)
def test_a_whole_trial_puts_it_aside_and_gives_it_back(place: Place, clean_engine: PrivateDaemon) -> None:
    code, said = place.watcher("trial", "run", IMAGE, "--json", "--force")
    assert code == 0, said
    trial = json.loads(said[said.index("{") :])["trial"]
    assert (trial["outcome"], trial["bring_up"], trial["stage"]) == ("verdict", "works", "done")
    assert (trial["displaced"], trial["owed"]) == ([place.service], [])
    assert trial["away_seconds"] > 0
    assert_given_back(place, clean_engine)


@pytest.mark.parametrize("way_back", [("restore",), ("check-now", "--no-trial")], ids=lambda words: words[0])
@pytest.mark.parametrize("mode", ["never-ready"], indirect=True)
def test_after_a_kill_while_it_is_away_whoever_comes_next_gives_it_back(
    place: Place, clean_engine: PrivateDaemon, way_back: tuple[str, ...]
) -> None:
    place.begin_trial()
    Scene.wait_until(lambda: place.stage() == "ready", seconds=120)
    assert not place.runs()
    place.kill_trial()
    assert place.notes() == ["1.json"]
    code, said = place.watcher(*way_back)
    assert code == 0, said
    assert_given_back(place, clean_engine)


def assert_given_back(place: Place, engine: PrivateDaemon) -> None:
    assert place.runs()
    assert place.notes() == []
    client = engine.client()
    assert [name for name in (str(one.name) for one in client.containers.list(all=True)) if name != "machine"] == []
    assert not [network for network in client.networks.list() if "watcher" in str(network.name)]


GROUP = "the displaced service"
ROWS = (
    Row(GROUP, "it is a unit of systemd, or a daemon with commands of its own; a whole trial", "the trial's way back",
        "its verdict", 2),
    Row(GROUP, "the same, and SIGKILL while it is away", "`restore`, or the next `check-now`", "`bench`", 4),
)  # fmt: skip
