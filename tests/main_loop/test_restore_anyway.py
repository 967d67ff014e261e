"""`restore` as a person or a boot unit runs it, while everything that it does not need is broken."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.disk import fill, small_disk
from tests.real.scene import Scene
from watcher.host.owed import write_debt
from watcher.model.container import Debt, OwedService


@dataclass
class Owing:
    """A scene in which a service of the operator's own commands is owed; it leaves its process number in a file."""

    scene: Scene
    pid: Path

    def runs(self) -> bool:
        return self.pid.is_file()

    def kill(self) -> None:
        if self.pid.is_file():
            os.kill(int(self.pid.read_text()), signal.SIGKILL)
            self.pid.unlink()

    def notes(self) -> list[str]:
        return sorted(path.name for path in (self.scene.data_dir / "owed").glob("*.json"))

    def write(self, *more: OwedService) -> None:
        words = {
            "start": f"test ! -d {self.pid} || exit 9; sleep 1000 & echo $! > {self.pid}",
            "stop": "true",
            "check": f"test -f {self.pid} && kill -0 $(cat {self.pid})",
        }
        services = (OwedService("command:llama", "command", "llama", commands=words), *more)
        debt = Debt(1, "unix:///nowhere/docker.sock", datetime.now(UTC) - timedelta(hours=1), services)
        write_debt(self.scene.data_dir / "owed", debt)


LOST = OwedService("command:lost", "command", "lost", commands={"start": "exit 9", "stop": "true", "check": "false"})


@pytest.fixture
def owing(tmp_path: Path) -> Iterator[Owing]:
    table = {"store": {"data_dir": "data"}, "device": {"docker": "none"}, "sources": []}
    owing = Owing(Scene(tmp_path, None, table), tmp_path / "pid")
    owing.scene.data_dir.mkdir()
    yield owing
    owing.kill()


def test_a_configuration_that_is_no_toml_keeps_nothing_down(owing: Owing) -> None:
    owing.write()
    broken = owing.scene.folder / "broken.toml"
    broken.write_text("[store\n")
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "--config", str(broken), "restore"],
        capture_output=True,
        text=True,
        env={**os.environ, "WATCHER_STORE__DATA_DIR": str(owing.scene.data_dir)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert owing.runs()
    assert owing.notes() == []


@pytest.mark.parametrize("text", ["[store\n", None], ids=["no toml", "missing"])
def test_where_the_data_folder_is_only_guessed_it_says_so(tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "watcher.toml"
    if text is not None:
        config.write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "--config", str(config), "restore"],
        capture_output=True,
        text=True,
        env={**env, "XDG_STATE_HOME": str(tmp_path), "WATCHER_DEVICE__DOCKER": "none"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "nothing is owed\n")
    assert "watcher.toml" in done.stderr
    assert f"looked for in {tmp_path / 'watcher'}; set WATCHER_STORE__DATA_DIR" in done.stderr


def test_a_locked_and_a_damaged_database_keep_nothing_down(owing: Owing) -> None:
    owing.write()
    database = sqlite3.connect(owing.scene.data_dir / "watcher.db")
    database.execute("CREATE TABLE t (x)")
    database.execute("BEGIN EXCLUSIVE")
    assert owing.scene.watcher("restore").returncode == 0
    database.close()
    assert owing.runs()
    owing.kill()
    owing.write()
    (owing.scene.data_dir / "watcher.db").write_bytes(b"no database" * 100)
    for command in ("restore", "check-now"):
        done = owing.scene.watcher(command)
        assert done.returncode == (0 if command == "restore" else 1), done.stderr
    assert owing.notes() == []


def test_on_a_full_disk_all_is_started_and_the_code_tells_what_is_down(owing: Owing) -> None:
    with small_disk(owing.scene.data_dir, 64 << 10):
        owing.write(LOST)
        fill(owing.scene.data_dir)
        done = owing.scene.watcher("restore")
        assert done.returncode == 5, done.stderr
        assert "still down: command:lost" in done.stderr
        assert "command:llama" not in done.stderr.partition("still down:")[2]
        assert owing.runs()
        assert owing.notes() == ["1.json"], "the old note is whole"
        assert owing.scene.answer("restore", code=5)["restore"][0]["state"] == "running"
        (owing.scene.data_dir / "filler").unlink()
        owing.write()
        fill(owing.scene.data_dir)
        assert owing.scene.watcher("restore").returncode == 0
        assert owing.notes() == []


def test_on_a_read_only_disk_all_is_started_and_the_note_is_told(owing: Owing) -> None:
    with small_disk(owing.scene.data_dir, 1 << 20):
        owing.write()
        subprocess.run(["mount", "-o", "remount,ro", str(owing.scene.data_dir)], check=True)
        done = owing.scene.watcher("restore")
        assert owing.runs()
        assert done.returncode == 1, done.stderr
        assert "could not be removed" in done.stderr
        assert owing.notes() == ["1.json"]
        done = owing.scene.watcher("check-now")
        assert done.returncode == 1, done.stderr
        assert "still down" not in done.stderr
        owing.kill()
        owing.pid.mkdir()  # now it cannot be started again
        assert owing.scene.watcher("check-now").returncode == 5
        owing.pid.rmdir()
        subprocess.run(["mount", "-o", "remount,rw", str(owing.scene.data_dir)], check=True)
        assert owing.scene.watcher("restore").returncode == 0
        assert owing.notes() == []


def test_a_note_that_cannot_be_removed_is_no_service_that_is_down(owing: Owing) -> None:
    (owing.scene.data_dir / "owed").mkdir()
    with small_disk(owing.scene.data_dir / "owed", 1 << 20):
        owing.write()
        subprocess.run(["mount", "-o", "remount,ro", str(owing.scene.data_dir / "owed")], check=True)
        done = owing.scene.watcher("check-now")
        assert owing.runs()
        assert done.returncode == 0, done.stderr
        assert _keys(owing) == []


@pytest.mark.parametrize("command", [("check-now",), ("run",), ("trial", "run"), ("restore",)])
def test_what_stays_down_is_said_and_wins_over_every_other_code(owing: Owing, command: tuple[str, ...]) -> None:
    write_debt(owing.scene.data_dir / "owed", Debt(1, "unix:///nowhere/docker.sock", datetime.now(UTC), (LOST,)))
    if command == ("run",):
        owing.scene.table["trial"] = {"no_such_key": 1}
    done = owing.scene.watcher(*command)
    assert done.returncode == 5, done.stderr
    assert "command:lost" in done.stderr
    assert "the start command failed" in done.stdout + done.stderr


def test_a_round_that_cannot_pay_tells_it_once_per_gap(owing: Owing) -> None:
    (owing.scene.data_dir / "owed").mkdir()
    (owing.scene.data_dir / "owed" / "7.json").write_text("{")
    for _ in range(3):
        assert owing.scene.watcher("check-now").returncode == 5
    assert _keys(owing) == ["owed:7"]
    _backdate(owing, "-20 minutes")
    for _ in range(2):
        assert owing.scene.watcher("check-now").returncode == 5
    assert _keys(owing) == ["owed:7", "owed:7:1"]
    _backdate(owing, "-3 days")
    assert owing.scene.watcher("check-now").returncode == 5
    assert _keys(owing) == ["owed:7", "owed:7:1", "owed:7:7"]


def _keys(owing: Owing) -> list[str]:
    with sqlite3.connect(owing.scene.data_dir / "watcher.db") as database:
        return [key for (key,) in database.execute("SELECT key FROM notices WHERE key LIKE 'owed:%' ORDER BY id")]


def _backdate(owing: Owing, by: str) -> None:
    with sqlite3.connect(owing.scene.data_dir / "watcher.db") as database:
        (was,) = database.execute("SELECT created_at FROM notices WHERE key = 'owed:7'").fetchone()
        amount, unit = by.split()
        now = datetime.fromisoformat(was) + timedelta(**{unit: int(amount)})
        database.execute("UPDATE notices SET created_at = ? WHERE key = 'owed:7'", (now.isoformat(sep=was[10]),))


def test_the_exit_code_says_what_is_down_though_nobody_takes_the_words(tmp_path: Path) -> None:
    (tmp_path / "data" / "owed").mkdir(parents=True)
    (tmp_path / "data" / "owed" / "1.json").write_text("{")
    (tmp_path / "config.toml").write_text('[store]\ndata_dir = "data"\n[device]\ndocker = "none"\n')
    command = [sys.executable, "-m", "watcher", "--config", str(tmp_path / "config.toml"), "restore"]
    for lost in ("/dev/full", "a closed pipe"):
        reader, writer = os.pipe() if lost == "a closed pipe" else (None, os.open(lost, os.O_WRONLY))
        if reader is not None:
            os.close(reader)
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT, check=False)
        os.close(writer)
        assert (done.returncode, done.stderr) == (5, "still down: file:1.json\n"), lost
