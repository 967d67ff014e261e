"""A mail server that is down for an hour, and a watcher that is killed meanwhile: all is told in the end, and once."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.scene import Scene
from tests.real.smtp import free_port, running_smtp, smtp_url, text_of
from tests.real.web import Reply, Web, running_web

TURN = timedelta(minutes=5)
_TIMES = (("notices", "created_at"), ("deliveries", "next_at"), ("channels", "since"))


@dataclass
class Hour:
    """A source that shows more and more wheels, and a channel; an hour passes by setting back what is stored."""

    scene: Scene
    web: Web
    port: int
    wheels: list[str] = field(default_factory=list)

    def publish(self, version: str) -> None:
        self.wheels.append(f"torch-{version}-cp310-cp310-linux_aarch64.whl")
        files = [{"filename": name, "url": name, "hashes": {"sha256": "a" * 64}} for name in self.wheels]
        body = json.dumps({"meta": {"api-version": "1.1"}, "name": "torch", "versions": [], "files": files}).encode()
        self.web.routes["/torch/"] = Reply(200, body, {"Content-Type": "application/vnd.pypi.simple.v1+json"})

    def round(self) -> None:
        done = self.scene.watcher("check-now")
        assert done.returncode == 0, done.stdout + done.stderr

    def killed_round(self) -> None:
        command = self.scene.command("check-now")[3:]
        killed = [sys.executable, "-m", "tests.main_loop.killed_in_send", "before", *command]
        assert subprocess.run(killed, cwd=CHECKOUT, check=False).returncode == -signal.SIGKILL

    def pass_by(self, span: timedelta) -> None:
        with closing(sqlite3.connect(self.scene.data_dir / "watcher.db")) as database, database:
            for table, column in _TIMES:
                query = f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL"
                for number, was in database.execute(query).fetchall():
                    set_back = datetime.fromisoformat(was) - span
                    text = set_back.isoformat(sep=was[10], timespec="microseconds")
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (text, number))


@pytest.fixture
def hour(tmp_path: Path) -> Iterator[Hour]:
    port = free_port()
    with running_web() as web:
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none"},
            "notify": {"urls": [smtp_url(port)]},
            "sources": [{"name": "torch", "kind": "simple-index", "url": f"{web.url}/torch/"}],
        }
        yield Hour(Scene(tmp_path, None, table), web, port)


def test_a_channel_that_is_down_for_an_hour_is_told_everything_once(hour: Hour) -> None:
    hour.publish("2.0.0")
    hour.round()  # what is there at first sight is not news
    for turn in range(12):
        if turn % 3 == 0:
            hour.publish(f"2.{turn + 1}.0")
        if turn in (4, 9):
            hour.pass_by(timedelta(hours=6))  # else it may be too early for another attempt to be killed in
            hour.killed_round()
        else:
            hour.round()
        hour.pass_by(TURN)
    hour.pass_by(timedelta(hours=6))
    with running_smtp(hour.port) as mail:
        hour.round()
        hour.pass_by(timedelta(hours=6))
        hour.round()
        (message,) = mail.messages
    told = text_of(message)
    assert [told.count(f"{name} ") for name in hour.wheels] == [0, 1, 1, 1, 1], told
