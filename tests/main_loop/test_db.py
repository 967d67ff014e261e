"""`db upgrade`, `db backup`, `db prune` as whole programs."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.places import CHECKOUT
from tests.real.disk import fill as fill_disk
from tests.real.disk import may_mount, small_disk
from tests.store.earlier_rows import read_rows, rows_of, write_rows
from tests.store.examples import NOON, all_facts, begun, known, notice
from tests.store.test_migrations import migrated
from watcher.model.facts import SourceState
from watcher.store import database, facts, outbox, trials
from watcher.store.database import open_store

WRITES_ON = """
import sys
from pathlib import Path
from watcher.store import trials
from watcher.store.database import open_store

store = open_store(Path(sys.argv[1]))
for number in range(100_000):
    with store.transaction() as tx:
        trials.set_meta(tx, "first", str(number))
        trials.set_meta(tx, "ballast", str(number) * 100)
        trials.set_meta(tx, "second", str(number))
    print(number, flush=True)
"""


def watcher(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    config = folder / "config.toml"
    config.write_text('sources = []\n[store]\ndata_dir = "data"\n[device]\ndocker = "none"\n')
    (folder / "data").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "watcher", "--config", str(config), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)


def fill(folder: Path) -> None:
    store = open_store(folder / "data")
    with store.transaction() as tx:
        facts.save_look(tx, SourceState("torch", "simple-index"), [known()], [])
        trials.new_trial(tx, begun())
        outbox.enqueue(tx, notice("kept"))
    store.close()


def test_upgrade_brings_an_old_database_up_to_date_and_names_the_copy(tmp_path: Path) -> None:
    watcher(tmp_path, "config", "check")
    migrated(tmp_path / "data", "0001")
    done = watcher(tmp_path, "db", "upgrade")
    assert done.returncode == 0, done.stderr
    copy = tmp_path / "data" / f"watcher.db.before-{database.REVISION}"
    assert f"from revision 0001 to {database.REVISION}" in done.stdout
    assert str(copy) in done.stdout
    assert database.read_revision(copy) == "0001"
    assert "up to date" in watcher(tmp_path, "db", "upgrade").stdout


@pytest.mark.skipif(not may_mount(), reason="only root may mount a small file system")
@pytest.mark.parametrize("room", ["none for the copy", "for the copy only"])
def test_a_disk_that_is_full_before_or_in_a_migration_leaves_the_old_database(tmp_path: Path, room: str) -> None:
    with small_disk(tmp_path / "data", 16_000_000) as data:
        path = migrated(data, "0001")
        write_rows(path, "0001")
        _add_facts(path)
        size = path.stat().st_size
        filler = fill_disk(data, leave=size // 2 if room == "none for the copy" else size + 200_000)
        done = watcher(tmp_path, "db", "upgrade")
        assert done.returncode == 1, done.stdout
        assert "the disk is full; make room where data_dir is" in done.stderr
        assert "Traceback" not in done.stderr
        assert _kept(path) == ("0001", rows_of("0001")["trials"])
        copy = data / f"watcher.db.before-{database.REVISION}"
        assert copy.exists() == (room == "for the copy only")
        if copy.exists():
            assert _kept(copy) == ("0001", rows_of("0001")["trials"])
        assert [*data.glob("*.partial*")] == []
        filler.unlink()
        assert f"from revision 0001 to {database.REVISION}" in watcher(tmp_path, "db", "upgrade").stdout
        assert _kept(path) == (database.REVISION, rows_of("0001")["trials"])


def _add_facts(path: Path) -> None:
    """Add as many as the index on their versions needs megabytes for."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO facts SELECT 'torch', 'k' || i, kind, name, hex(randomblob(500)), digest, url, published_at,"
            " yanked, prerelease, detail, first_seen, missed, withdrawn, baseline FROM facts, n WHERE key = name"
        )
    connection.close()


def _kept(path: Path) -> tuple[str | None, dict[str, str | int | float | None]]:
    """Return the revision of a whole database, and its one trial."""
    rows = {"trials": rows_of("0001")["trials"]}
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (2001,)
    connection.close()
    (trial,) = read_rows(path, rows)["trials"]
    return database.read_revision(path), trial


def test_a_database_of_a_newer_watcher_is_left_as_it_is(tmp_path: Path) -> None:
    watcher(tmp_path, "config", "check")
    fill(tmp_path)
    with sqlite3.connect(tmp_path / "data" / "watcher.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '7777'")
    connection.close()
    done = watcher(tmp_path, "db", "upgrade")
    assert done.returncode == 1
    assert "written by a newer watcher; install that again" in done.stderr
    assert watcher(tmp_path, "db", "backup", str(tmp_path / "copy.db")).returncode == 0, "it can be copied all the same"
    assert database.read_revision(tmp_path / "copy.db") == "7777"


def test_a_backup_put_in_place_is_the_database_as_it_was(tmp_path: Path) -> None:
    watcher(tmp_path, "config", "check")
    fill(tmp_path)
    copy = tmp_path / "copy.db"
    assert watcher(tmp_path, "db", "backup", str(copy)).returncode == 0
    data = tmp_path / "data"
    for path in data.glob("watcher.db*"):
        path.unlink()
    copy.rename(data / "watcher.db")
    store = open_store(data)
    with store.transaction() as tx:
        assert all_facts(tx) == (("torch", known()),)
        assert [one.bug_id for one in trials.trials(tx)] == ["cuda-allocator"]
        assert outbox.written_at(tx, "kept") == NOON
    store.close()


def test_a_backup_is_of_one_moment_while_another_process_writes(tmp_path: Path) -> None:
    watcher(tmp_path, "config", "check")
    command = [sys.executable, "-c", WRITES_ON, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        done = watcher(tmp_path, "db", "backup", str(tmp_path / "copy.db"))
        writer.kill()
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "copy.db") as connection:
        values = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert values["first"] == values["second"]
    assert values["ballast"] == values["first"] * 100


def test_a_backup_that_has_no_room_leaves_the_older_one(tmp_path: Path) -> None:
    watcher(tmp_path, "config", "check")
    fill(tmp_path)
    copy = tmp_path / "copy.db"
    copy.write_text("the older one")
    program = "ulimit -f 20; exec " + f"{sys.executable} -m watcher --config {tmp_path}/config.toml db backup {copy}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 1, done.stderr
    assert copy.read_text() == "the older one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "copy.db", "data"]


def test_a_backup_needs_a_database_and_a_file_name(tmp_path: Path) -> None:
    missing = watcher(tmp_path, "db", "backup", str(tmp_path / "copy.db"))
    assert (missing.returncode, "there is no database yet" in missing.stderr) == (1, True)
    fill(tmp_path)
    for wrong in (tmp_path, tmp_path / "none" / "copy.db", tmp_path / "data" / "watcher.db"):
        done = watcher(tmp_path, "db", "backup", str(wrong))
        assert done.returncode == 2, done.stderr
    assert watcher(tmp_path, "status").returncode == 0


def test_prune_says_what_went_and_gives_the_room_back(tmp_path: Path) -> None:
    watcher(tmp_path, "config", "check")
    fill(tmp_path)
    store = open_store(tmp_path / "data")
    with store.transaction() as tx:
        trials.set_meta(tx, "ballast", "x" * 5_000_000)
    with store.transaction() as tx:
        trials.set_meta(tx, "ballast", None)
    store.close()
    log = tmp_path / "data" / "logs" / "trial-9" / "start-0.log.gz"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"12345")
    os.utime(log, (time.time() - 10**8, time.time() - 10**8))
    before = (tmp_path / "data" / "watcher.db").stat().st_size
    done = watcher(tmp_path, "db", "prune")
    assert done.returncode == 0, done.stderr
    assert "logs removed: 1, 5 bytes" in done.stdout
    assert (tmp_path / "data" / "watcher.db").stat().st_size < before - 4_000_000
    assert not log.exists()
