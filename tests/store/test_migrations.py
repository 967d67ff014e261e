"""The migrations, the schema of a new database and the constant agree; nothing is lost on the way to a newer one."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from tests.store.examples import NOON, candidate, notice
from watcher.config.place import shipped
from watcher.errors import StoreError
from watcher.model.budget import Budget
from watcher.model.facts import FactKind, SourceState, Traffic
from watcher.model.notice import NoticeKind
from watcher.model.trial import Overlay
from watcher.model.verdict import BugState, ProbeReading
from watcher.store import appearances, candidates, database, facts, migrate, outbox, trials
from watcher.store.database import open_store

REVISIONS = tuple(script.revision for script in ScriptDirectory.from_config(migrate.alembic_config()).walk_revisions())
ALL = tuple(NoticeKind)
OVERLAY = Overlay(
    "torch", "torch-2.14.0-cp310-cp310-linux_aarch64.whl", "2.14.0", "sha256:cc", "https://x/t.whl", "jp6"
)
CANDIDATE_OF_0002 = (
    '{"engine":"vllm","image":"example/vllm:f1","digest":"sha256:bb","fingerprint":"f1","source":"","compatible":false,'
    '"reasons":[],"due":false,"waiting_for":null,"version":null,"published_at":null,"first_seen":null,"baseline":false,'
    '"skipped":false,"id":1}'
)
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{down}"


def upgrade() -> None:
    with op.batch_alter_table("notices") as table:
        table.add_column(sa.Column("extra", sa.Text()))
    {then}
"""


def schema(path: Path) -> set[tuple[str, str]]:
    """Return names and SQL of everything in the file, spaces and quotes aside, columns in any order."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {(name, normalised(sql)) for name, sql in rows}


def normalised(sql: str) -> str:
    head, _, inside = sql.replace(" (", "(").partition("(")
    parts = sorted(" ".join(part.split()) for part in inside.rstrip(")\n ").replace('"', "").split(","))
    return " ".join(head.split()) + "|".join(parts)


def migrated(folder: Path, revision: str) -> Path:
    """Return a database that the migrations alone made, at `revision`."""
    path = folder / database.FILE_NAME
    sqlite3.connect(path).close()
    migrate.migrate(path, revision)
    return path


def test_the_constant_is_the_newest_migration() -> None:
    assert migrate.head_revision() == database.REVISION


def test_a_new_database_is_what_the_migrations_would_have_made(tmp_path: Path) -> None:
    (tmp_path / "walked").mkdir()
    open_store(tmp_path / "made").close()
    assert schema(tmp_path / "made" / "watcher.db") == schema(migrated(tmp_path / "walked", "head"))


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_schema_is_brought_up_to_date(tmp_path: Path, revision: str) -> None:
    migrated(tmp_path, revision)
    store = open_store(tmp_path)
    with store.transaction() as tx:
        assert outbox.enqueue(tx, notice("a"))
    store.close()
    assert database.read_revision(store.path) == database.REVISION
    assert store.path.with_name(f"watcher.db.before-{database.REVISION}").exists() is (revision != database.REVISION)


def test_what_0001_remembered_of_a_source_is_there_in_0002(tmp_path: Path) -> None:
    with sqlite3.connect(migrated(tmp_path, "0001")) as connection:
        connection.execute(
            "INSERT INTO sources (name, kind, cursor, last_ok, failures, told, requests, not_modified, bytes)"
            " VALUES ('torch', 'simple-index', '{}', '2026-11-02T12:00:00.000000+00:00', 2, 0, 5, 1, 99)"
        )
        connection.execute("INSERT INTO holds VALUES ('a.example', '2026-11-02T12:00:00.000000+00:00')")
    connection.close()
    store = open_store(tmp_path)
    with store.transaction() as tx:
        before = SourceState("torch", "simple-index", "{}", last_ok=NOON, failures=2, traffic=Traffic(5, 1, 99))
        assert facts.source_states(tx) == {"torch": before}
        assert facts.holds(tx) == {"a.example": NOON}
        assert facts.budgets(tx) == ()
        facts.save_source_state(tx, replace(before, moved_to_host="new.example"))
        facts.save_budgets(tx, [Budget("a.example", 60, 57, NOON, NOON)])
    store.close()


def test_the_candidates_of_0002_have_no_overlay_in_0003(tmp_path: Path) -> None:
    before, laid = candidate(), replace(candidate("f2"), overlay=OVERLAY)
    with sqlite3.connect(migrated(tmp_path, "0002")) as connection:
        connection.execute(
            "INSERT INTO candidates (engine, fingerprint, image, digest, source, compatible, reasons, due, first_seen,"
            " baseline, skipped) VALUES (?, ?, ?, ?, '', 0, '[]', 0, '2026-11-02T12:00:00.000000+00:00', 0, 0)",
            (before.engine, before.fingerprint, before.image, before.digest),
        )
        connection.execute(
            "INSERT INTO trials (candidate_id, candidate, device_state, bug_id, started_at, stage, bug, bring_up,"
            " reason, starts, evidence, basis, displaced, owed, by_hand, setup) VALUES (1, ?, ?, 'cuda-allocator',"
            " '2026-11-02T12:00:00.000000+00:00', 'done', 'unknown', 'untried', '', '[]', '[]', '[]', '[]',"
            " '[]', 0, '')",
            (CANDIDATE_OF_0002, '{"l4t": "36.4.4", "driver": null, "boot_id": null}'),
        )
    connection.close()
    store = open_store(tmp_path)
    with store.transaction() as tx:
        (read,) = candidates.candidates(tx)
        assert read == replace(before, id=1)
        (trial,) = trials.trials(tx)
        assert (trial.candidate.image, trial.candidate.overlay) == (before.image, None)
        (kept,) = candidates.upsert_candidates(tx, [laid])
        assert kept.overlay == OVERLAY
    store.close()


def test_the_trials_of_0003_are_of_no_version_of_the_signatures_in_0004(tmp_path: Path) -> None:
    with sqlite3.connect(migrated(tmp_path, "0003")) as connection:
        connection.execute(
            "INSERT INTO candidates (engine, fingerprint, image, source, compatible, reasons, due, baseline, skipped)"
            " VALUES ('vllm', 'f1', 'example/vllm:f1', '', 0, '[]', 0, 0, 0)"
        )
        connection.execute(
            "INSERT INTO trials (candidate_id, candidate, device_state, bug_id, started_at, stage, bug, bring_up,"
            " reason, starts, evidence, basis, displaced, owed, by_hand, setup) VALUES (1, ?, ?, 'cuda-allocator',"
            " '2026-11-02T12:00:00.000000+00:00', 'done', 'unknown', 'untried', '', '[]', '[]', '[]', '[]',"
            " '[]', 0, '')",
            (CANDIDATE_OF_0002, '{"l4t": "36.4.4", "driver": null, "boot_id": null}'),
        )
    connection.close()
    store = open_store(tmp_path)
    probe = ProbeReading(BugState.FIXED, True, "clean")
    with store.transaction() as tx:
        (trial,) = trials.trials(tx)
        assert (trial.signatures, trial.probe) == (None, None)
        trials.record_trial(tx, replace(trial, signatures="abc", probe=probe), NOON)
        assert trials.trial(tx, 1) == replace(trial, signatures="abc", probe=probe)
    store.close()


def test_when_things_of_0005_appeared_and_where_they_ran_is_known_in_0006(tmp_path: Path) -> None:
    with sqlite3.connect(migrated(tmp_path, "0005")) as connection:
        connection.execute(
            "INSERT INTO sources (name, kind, failures, told, requests, not_modified, bytes)"
            " VALUES ('torch', 'simple-index', 0, 0, 0, 0, 0)"
        )
        first, second = "2026-11-02T12:00:00.000000+00:00", "2026-11-03T12:00:00.000000+00:00"
        rows = (("dated", first, second, 0, 0), ("early", None, second, 0, 1), ("seen", None, second, 1, 0))
        for name, published_at, first_seen, prerelease, baseline in rows:
            connection.execute(
                "INSERT INTO facts (source, key, kind, name, url, published_at, yanked, prerelease, detail, first_seen,"
                " missed, withdrawn, baseline) VALUES ('torch', ?, 'wheel', ?, '', ?, 0, ?, '{}', ?, 0, 0, ?)",
                (name, name, published_at, prerelease, first_seen, baseline),
            )
        connection.execute(
            "INSERT INTO candidates (engine, fingerprint, image, source, compatible, reasons, due, baseline, skipped)"
            " VALUES ('vllm', 'f1', 'example/vllm:f1', '', 0, '[]', 0, 0, 0)"
        )
        for outcome in ("bench", "verdict"):
            connection.execute(
                "INSERT INTO trials (candidate_id, candidate, device_state, bug_id, started_at, stage, outcome, bug,"
                " bring_up, reason, starts, evidence, basis, displaced, owed, by_hand, setup) VALUES (1, ?, ?,"
                " 'cuda-allocator', ?, 'done', ?, 'fixed', 'works', '', '[]', '[]', '[]', '[]', '[]', 0, '')",
                (CANDIDATE_OF_0002, '{"l4t": "36.4.4", "driver": null, "boot_id": "b"}', first, outcome),
            )
    connection.close()
    store = open_store(tmp_path)
    with store.transaction() as tx:
        last = appearances.last_appearances(tx, frozenset({FactKind.WHEEL}))
        assert last == {"torch": appearances.Last(NOON + timedelta(days=1), NOON)}
        assert len([*appearances.dated_facts(tx, "torch", NOON)]) == 2
        sql = "SELECT ended_at, l4t, driver, boot_id FROM trials"
        assert tx.rows(sql) == [(first, "36.4.4", None, "b")] * 2
    store.close()


def with_next_migration(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str = "") -> None:
    """Let this watcher be the next release: it ships one migration more."""
    scripts = folder / "migrations"
    shutil.copytree(shipped("migrations"), scripts)
    (scripts / "versions" / "9999_next.py").write_text(NEXT.format(down=database.REVISION, then=then or "pass"))
    monkeypatch.setattr(migrate, "shipped", lambda name: scripts)
    for module in (database, migrate):
        monkeypatch.setattr(module, "REVISION", "9999")


def test_a_migration_keeps_the_rows_and_a_copy_from_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    with_next_migration(tmp_path, monkeypatch)
    store = open_store(tmp_path)
    with store.transaction() as tx:
        assert [one.key for one in outbox.pending(tx, "mail", ALL, NOON)] == ["kept"]
        assert tx.rows("SELECT extra FROM notices") == [(None,)]
        assert tx.value("SELECT count(*) FROM deliveries") == 1, "a table made anew lost its rows"
    store.close()
    copy = sqlite3.connect(tmp_path / "watcher.db.before-9999")
    assert copy.execute("SELECT key FROM notices").fetchall() == [("kept",)]
    assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[0],)]
    copy.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    before = schema(tmp_path / "watcher.db")
    with monkeypatch.context() as patch:
        with_next_migration(tmp_path, patch, then="raise RuntimeError('half way')")
        with pytest.raises(RuntimeError, match="half way"):
            open_store(tmp_path)
    assert schema(tmp_path / "watcher.db") == before
    open_store(tmp_path).close()


def test_a_migration_that_orphans_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    with_next_migration(tmp_path, monkeypatch, then='op.execute("DELETE FROM notices")')
    with pytest.raises(RuntimeError, match="left 1 rows without what they point to"):
        open_store(tmp_path)


def test_a_database_of_a_newer_watcher_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path)
    with sqlite3.connect(tmp_path / "watcher.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '7777'")
    connection.close()
    with pytest.raises(StoreError, match=r"written by a newer watcher; install that again.*found=7777"):
        open_store(tmp_path)


def fill(folder: Path) -> None:
    store = open_store(folder)
    with store.transaction() as tx:
        outbox.enqueue(tx, notice("kept"))
        (waiting,) = outbox.pending(tx, "mail", ALL, NOON)
        outbox.postpone(tx, "mail", [waiting.id], NOON.replace(year=2025))
    store.close()
