"""While a service is owed and down, mails remind a person: with widening gaps, each once, until it is back."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.main_loop.one_trial import IMAGE, scene_of, stage_now
from tests.places import CHECKOUT
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT, Scene
from tests.real.smtp import SmtpServer, running_smtp, text_of

STEPS = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=3),
)
"""When a person is reminded, after being told at once."""
MOMENT = timedelta(minutes=5)


@dataclass
class Reminded:
    """A scene whose messages go to a mail server."""

    scene: Scene
    mail: SmtpServer

    def round(self, code: int = 5) -> int:
        """Do a round, and return how many mails it brought."""
        before = len(self.mail.messages)
        done = self.scene.watcher("check-now", "--no-trial")
        assert done.returncode == code, done.stdout + done.stderr
        return len(self.mail.messages) - before

    def killed_round(self, when: str) -> None:
        command = self.scene.command("check-now", "--no-trial")[3:]
        done = subprocess.run(
            [sys.executable, "-m", "tests.main_loop.killed_in_send", when, *command], cwd=CHECKOUT, check=False
        )
        assert done.returncode == -signal.SIGKILL

    def down_for(self, span: timedelta) -> None:
        """Set the first notice back, so that the service has been down for so long."""
        first = (datetime.now(UTC) - span).isoformat(sep=" ", timespec="microseconds")
        with closing(sqlite3.connect(self.scene.data_dir / "watcher.db")) as database, database:
            query = "SELECT created_at FROM notices WHERE topic = 'owed' ORDER BY id LIMIT 1"
            (was,) = database.execute(query).fetchone()
            first = first.replace(" ", was[10])
            database.execute("UPDATE notices SET created_at = ? WHERE created_at = ?", (first, was))

    @property
    def last_title(self) -> str:
        return str(self.mail.messages[-1]["Subject"])


@pytest.fixture
def mail() -> Iterator[SmtpServer]:
    with running_smtp() as server:
        yield server


def test_each_gap_brings_one_mail_and_no_round_between_brings_another(tmp_path: Path, mail: SmtpServer) -> None:
    table = {"store": {"data_dir": "data"}, "device": {"docker": "none"}, "sources": [], "notify": {"urls": [mail.url]}}
    reminded = Reminded(Scene(tmp_path, None, table), mail)
    note = reminded.scene.data_dir / "owed" / "7.json"
    note.parent.mkdir(parents=True)
    note.write_text("{")  # nobody can say what is owed: it stays so, and costs no attempt to start it
    assert [reminded.round(), reminded.round()] == [1, 0], "at once"
    for step in STEPS:
        reminded.down_for(step - MOMENT)
        assert reminded.round() == 0, f"not before {step}"
        reminded.down_for(step + MOMENT)
        assert [reminded.round(), reminded.round()] == [1, 0], f"after {step}"
        assert "file:7.json is still down" in reminded.last_title
    note.unlink()
    reminded.down_for(timedelta(days=9))
    assert reminded.round(code=0) == 0, "what is not owed is not reminded of"


def test_a_service_that_is_gone_is_told_until_it_is_back_and_a_kill_loses_no_mail(
    clean_engine: PrivateDaemon, tmp_path: Path, mail: SmtpServer
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    scene.table["notify"] = {"urls": [mail.url]}
    reminded, client = Reminded(scene, mail), clean_engine.client()
    running = scene.started("trial", "run", IMAGE)
    scene.wait_until(lambda: stage_now(scene) == "ready", seconds=120)
    running.kill()
    running.communicate()
    client.containers.get(ASSISTANT).remove()
    image = client.images.get("local/assistant:1")
    content = list(image.save(named=True))
    client.images.remove(str(image.id), force=True)

    reminded.killed_round("before")
    assert mail.messages == []
    assert reminded.round() == 1, "written before the kill, and told by the next round"
    assert "container:assistant is still down" in reminded.last_title
    assert "watcher restore" in text_of(mail.messages[-1])
    reminded.down_for(STEPS[0] + MOMENT)
    reminded.killed_round("after")
    assert len(mail.messages) == 2, "the reminder"
    assert reminded.round() == 1, "whether the channel had it was not written down: once more rather than never"
    assert reminded.round() == 0

    client.images.load(b"".join(content))
    assert reminded.round(code=0) == 1, "the all-clear"
    assert "down" not in reminded.last_title
    assert "container:assistant" in text_of(mail.messages[-1])
    reminded.down_for(timedelta(days=3))
    assert reminded.round(code=0) == 0, "no more reminders"
    scene.wait_until(scene.assistant_is_healthy)
    scene.assert_all_is_as_before()
