"""Killed, locked, full, read-only, damaged: nothing committed is lost, and a sentence says what to do."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.disk import fill, may_mount, small_disk
from tests.store.examples import NOON, all_facts, known, wheel
from watcher.errors import OtherRevision, StoreError
from watcher.model.facts import SourceState
from watcher.store import database, facts, trials
from watcher.store.database import Store, open_store, open_store_readonly
from watcher.store.migrate import migrate

STATE = SourceState("torch", "simple-index")

KILLED_HALFWAY = """
import sys, time
from pathlib import Path
from watcher.store import trials
from watcher.store.database import open_store

store = open_store(Path(sys.argv[1]))
for number in range(5):
    with store.transaction() as tx:
        trials.set_meta(tx, f"kept-{number}", "x" * 100_000)
with store.transaction() as tx:
    trials.set_meta(tx, "half", "x" * 5_000_000)
    print("halfway", flush=True)
    time.sleep(60)
"""

NO_ROOM = """
import resource, sys
from pathlib import Path
from watcher.errors import StoreError
from watcher.store import trials
from watcher.store.database import open_store

store = open_store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    with store.transaction() as tx:
        trials.set_meta(tx, "big", "x" * 3_000_000)
except StoreError as error:
    print(error)
with store.transaction() as tx:
    print(trials.get_meta(tx, "small"), trials.get_meta(tx, "big"))
"""

OPENED_AT_ONCE = """
import sys
from pathlib import Path
from watcher.store import trials
from watcher.store.database import open_store

sys.stdin.readline()
store = open_store(Path(sys.argv[1]))
with store.transaction() as tx:
    trials.set_meta(tx, sys.argv[2], "here")
"""


INTERRUPTED_AT_THE_END = """
import sqlite3, sys
from pathlib import Path
from watcher.store.database import open_store

class Interrupted(sqlite3.Connection):
    def close(self):
        raise KeyboardInterrupt

connect = sqlite3.connect
sqlite3.connect = lambda *place, **options: connect(*place, factory=Interrupted, **options)
store = open_store(Path(sys.argv[1]))
try:
    store.close()
except KeyboardInterrupt:
    print("interrupted")
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=CHECKOUT,
    )


def test_a_writer_killed_in_a_transaction_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    with started(KILLED_HALFWAY, str(tmp_path)) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "halfway\n"
        writer.send_signal(signal.SIGKILL)
    store = open_store(tmp_path)
    with store.transaction() as tx:
        assert [len(trials.get_meta(tx, f"kept-{number}") or "") for number in range(5)] == [100_000] * 5
        assert trials.get_meta(tx, "half") is None
        trials.set_meta(tx, "after", "writable")
        assert tx.value("PRAGMA integrity_check") == "ok"
    store.close()


def test_several_processes_may_make_the_database_at_once(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(4)]
    writers = [started(OPENED_AT_ONCE, str(tmp_path / "new"), name) for name in names]
    said = [writer.communicate("go\n")[0] for writer in writers]
    assert said == [""] * 4
    store = open_store(tmp_path / "new")
    with store.transaction() as tx:
        assert [trials.get_meta(tx, name) for name in names] == ["here"] * 4
    store.close()


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    with suppress(ZeroDivisionError), store.transaction() as tx:
        facts.save_look(tx, STATE, [known()], [])
        raise ZeroDivisionError
    with store.transaction() as tx:
        assert all_facts(tx) == ()


def test_a_transaction_that_raises_gives_the_lock_back_while_it_is_still_being_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    impatient = open_store(tmp_path)
    rows = []
    with suppress(ZeroDivisionError), store.transaction() as tx:
        facts.save_look(tx, STATE, [known(wheel(f"{number}")) for number in range(1200)], [])
        rows.append(tx.each("SELECT key FROM facts"))
        next(rows[0])
        raise ZeroDivisionError
    with impatient.transaction() as tx:
        trials.set_meta(tx, "after", "x")
    impatient.close()


def test_what_is_read_one_by_one_ends_with_its_transaction(store: Store) -> None:
    with store.transaction() as tx:
        facts.save_look(tx, STATE, [known(wheel(f"{number}")) for number in range(1200)], [])
    with store.reading() as reading:
        rows = reading.each("SELECT key FROM facts")
        assert len([next(rows) for _ in range(700)]) == 700
    with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        list(rows)
    with pytest.raises(sqlite3.ProgrammingError, match="the transaction has ended"):
        trials.get_meta(reading, "a")


def test_a_lock_that_is_not_given_back_is_told_after_the_wait(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    impatient = open_store(tmp_path)
    message = "held by another process; wait until that ends"
    with store.transaction(), pytest.raises(StoreError, match=message), impatient.transaction():
        pass
    with impatient.transaction() as tx:
        trials.set_meta(tx, "after", "x")
    impatient.close()


def test_a_reader_is_not_held_up_by_a_writer(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    reader = open_store_readonly(tmp_path)
    with store.transaction() as writing, reader.transaction() as reading:
        trials.set_meta(writing, "new", "x")
        assert trials.get_meta(reading, "new") is None
    reader.close()


def test_reading_sees_one_state_while_another_process_writes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    other = open_store(tmp_path)
    with other.reading() as reading:
        with store.transaction() as writing:
            assert trials.get_meta(reading, "new") is None
            trials.set_meta(writing, "new", "x")
        assert trials.get_meta(reading, "new") is None
    with store.transaction(), other.reading() as reading:
        assert trials.get_meta(reading, "new") == "x"
    other.close()


def test_an_interruption_while_the_database_is_closed_is_one_and_no_complaint(tmp_path: Path) -> None:
    with started(INTERRUPTED_AT_THE_END, str(tmp_path)) as process:
        assert process.communicate()[0] == "interrupted\n"


def test_a_full_disk_stops_the_write_and_leaves_the_old_content_readable(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.transaction() as tx:
        trials.set_meta(tx, "small", "kept")
    store.close()
    with started(NO_ROOM, str(tmp_path)) as writer:
        said = writer.communicate()[0].splitlines()
    assert "disk" in said[0], said
    assert "IntegrityError" not in said[0]
    assert said[1:] == ["kept None"]


@pytest.mark.skipif(not may_mount(), reason="only root may mount a small file system; the test above limits the file")
def test_a_disk_without_a_free_byte_is_said_so_and_still_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        store = open_store(disk)
        with store.transaction() as tx:
            trials.set_meta(tx, "small", "kept")
        with pytest.raises(StoreError, match="the disk is full; make room"), store.transaction() as tx:
            trials.set_meta(tx, "big", "x" * 3_000_000)
        store.close()
        filler = fill(disk)
        reader = open_store_readonly(disk)
        with reader.transaction() as tx:
            assert trials.get_meta(tx, "small") == "kept"
        with pytest.raises(StoreError), reader.transaction() as tx:
            trials.set_meta(tx, "more", "x")
        reader.close()
        filler.unlink()
        again = open_store(disk)
        with again.transaction() as tx:
            assert trials.get_meta(tx, "small") == "kept"
        again.close()


@pytest.mark.skipif(not may_mount(), reason="only root may mount a small file system")
def test_on_a_full_disk_a_database_that_nobody_else_has_open_is_read(tmp_path: Path) -> None:
    """There is no index of the write-ahead log then, and no room to make one."""
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        store = open_store(disk)
        with store.transaction() as tx:
            trials.set_meta(tx, "small", "kept")
        store.close()
        fill(disk)
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "watcher.db"]
        reader = open_store_readonly(disk)
        with reader.reading() as tx:
            assert trials.get_meta(tx, "small") == "kept"
        reader.close()


def test_a_damaged_database_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "watcher.db").write_bytes(b"this is no database, " * 1000)
    with pytest.raises(StoreError, match="is damaged; put a backup in its place, or move it away"):
        open_store(tmp_path)


def test_pages_that_were_overwritten_are_told_as_damage(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.transaction() as tx:
        facts.save_look(tx, STATE, [known(wheel(str(number))) for number in range(500)], [])
    store.close()
    size = store.path.stat().st_size
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        read_everything(tmp_path)


def read_everything(folder: Path) -> None:
    broken = open_store(folder)
    with broken.transaction() as tx:
        all_facts(tx)


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="data_dir could not be created"):
        open_store(tmp_path / "file" / "data")


def test_reading_without_a_database_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database yet; `watcher check-now` makes one"):
        open_store_readonly(tmp_path)


def test_reading_a_database_of_another_release_says_how_to_bring_it_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    sqlite3.connect(path).close()
    migrate(path, "0001")
    with pytest.raises(OtherRevision, match=r"another revision; `watcher check-now` brings it up.*found=0001"):
        open_store_readonly(tmp_path)


def test_a_backup_is_one_whole_file(store: Store, tmp_path: Path) -> None:
    with store.transaction() as tx:
        trials.set_meta(tx, "a", "kept")
    store.backup(tmp_path / "copy.db")
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT value FROM meta").fetchall() == [("kept",)]
    copy.close()
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.db"]


def test_a_backup_that_cannot_be_written_is_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        store.backup(tmp_path / "missing" / "copy.db")


def test_commits_reach_the_disk_and_readers_are_free(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.value("PRAGMA journal_mode") == "wal"
        assert tx.value("PRAGMA synchronous") == 2  # FULL
        assert tx.value("PRAGMA foreign_keys") == 1


def test_opening_a_current_database_needs_no_alembic(tmp_path: Path) -> None:
    """A fresh one is made without it too: the first check has to be quick."""
    program = (
        "import sys; from pathlib import Path; from watcher.store.database import open_store\n"
        "open_store(Path(sys.argv[1])); open_store(Path(sys.argv[1])); print('alembic' in sys.modules)"
    )
    with started(program, str(tmp_path)) as process:
        assert process.communicate()[0] == "False\n"


def test_stored_times_need_a_zone(store: Store) -> None:
    with pytest.raises(ValueError, match="needs a time zone"), store.transaction() as tx:
        facts.save_holds(tx, {"a": NOON.replace(tzinfo=None)})
