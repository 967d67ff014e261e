"""From every earlier schema, with rows in every table, to today's; cut off or out of room on the way, too."""

import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.store.earlier_rows import WHEEL, columns_of, read_rows, rows_of, write_rows
from tests.store.examples import HOUR, NOON, all_facts
from tests.store.test_migrations import REVISIONS, migrated, schema, with_next_migration
from tests.store.test_troubles import started
from watcher.model.notice import NoticeKind
from watcher.store import candidates, database, facts, outbox, statics, trials
from watcher.store.database import Store, open_store

STOPPED_HALFWAY = """
import sys
from pathlib import Path
import pytest
from tests.store.test_migrations import with_next_migration
from watcher.store.database import open_store

folder, then = Path(sys.argv[1]), sys.argv[2]
with_next_migration(folder / "next", pytest.MonkeyPatch(), then)
open_store(folder)
"""
MUCH = "op.execute(\"INSERT INTO meta VALUES ('ballast', hex(zeroblob(8000000)))\")"
"""More than SQLite keeps in memory: it lies in the write-ahead log before the migration ends."""
WAIT = "import sys; print('halfway', flush=True); sys.stdin.read()"


def filled(folder: Path, revision: str) -> Path:
    path = migrated(folder, revision)
    write_rows(path, revision)
    return path


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_rows_are_in_every_table_and_column_of_the_schema(tmp_path: Path, revision: str) -> None:
    """A migration that adds a table or a column has to say in `earlier_rows` what its release writes there."""
    assert columns_of(migrated(tmp_path, revision)) == {table: set(row) for table, row in rows_of(revision).items()}


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_an_earlier_release_kept_is_read_by_this_one(tmp_path: Path, revision: str) -> None:
    path = filled(tmp_path, revision)
    store = open_store(tmp_path)
    assert database.read_revision(path) == database.REVISION
    assert_kept(path, revision)
    assert_readable(store, revision)
    store.close()


def assert_kept(path: Path, revision: str) -> None:
    rows = rows_of(revision)
    assert read_rows(path, rows) == {table: [row] for table, row in rows.items()}


def assert_readable(store: Store, revision: str) -> None:
    """Let each reader of the store meet the row that it is for."""
    with store.transaction() as tx:
        ((source, fact),) = all_facts(tx)
        assert (source, fact.fact.name, fact.fact.detail, fact.baseline) == ("torch", WHEEL, {"size": "9"}, True)
        state = facts.source_states(tx)["torch"]
        assert state.error is not None
        assert (state.failures, state.traffic.bytes, state.error.retry_after) == (2, 99, 60)
        assert state.moved_to_host == ("new.example" if revision >= "0002" else None)
        assert facts.holds(tx) == {"a.example": NOON + HOUR}
        assert [one.remaining for one in facts.budgets(tx)] == ([57] if revision >= "0002" else [])
        assert [(event.id, event.fact) for event in facts.events_since(tx)] == [(7, fact.fact)]
        assert [one.reading.torch for one in statics.static_records(tx)] == ["2.14.0"]
        (candidate,) = candidates.candidates(tx)
        assert (candidate.id, candidate.image) == (1, "example/vllm:f1")
        assert (candidate.overlay is not None) == (revision >= "0003")
        (trial,) = trials.trials(tx)
        assert (trial.id, trial.reason, trial.away_seconds, trial.candidate.id) == (3, "the assert", 212.5, 1)
        assert trial.acceptance is not None
        assert trial.acceptance.phrases is not None
        assert (trial.acceptance.phrases.text[:8], trial.starts[0].profile) == ("30 of 32", "default")
        assert [one.service for one in trial.owed] == ["container:assistant"]
        assert (trial.signatures, trial.probe is not None) == (("abc", True) if revision >= "0004" else (None, False))
        assert [one.at for one in trials.journal_of(tx, 3)] == [NOON + HOUR]
        assert trials.get_meta(tx, "paused-until") is not None
        assert [one.key for one in outbox.pending(tx, "mail", [NoticeKind.NEWS], NOON + 2 * HOUR)] == ["kept"]
        assert outbox.pending(tx, "mail", [NoticeKind.NEWS], NOON) == (), "it was postponed"


def test_a_process_killed_in_a_migration_leaves_the_old_schema_and_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = database.REVISION
    path = filled(tmp_path, revision)
    before = schema(path)
    with started(STOPPED_HALFWAY, str(tmp_path), f"{MUCH}; {WAIT}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        assert path.with_name(f"{path.name}-wal").stat().st_size > 8_000_000, "it had begun to write"
        process.send_signal(signal.SIGKILL)
    copy = path.with_name("watcher.db.before-9999")
    for left in (copy, path):
        assert_whole(left)
        assert_kept(left, revision)
        assert schema(left) == before
        assert database.read_revision(left) == revision
    shutil.rmtree(tmp_path / "next")
    with_next_migration(tmp_path / "next", monkeypatch)
    store = open_store(tmp_path)
    with store.transaction() as tx:
        assert tx.rows("SELECT key, extra FROM notices") == [("kept", None)]
        assert trials.get_meta(tx, "ballast") is None
    assert_readable(store, revision)
    store.close()
    assert database.read_revision(path) == "9999"


def assert_whole(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
