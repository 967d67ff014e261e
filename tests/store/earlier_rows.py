"""Rows in every table, as each release wrote them: plain values, for today's classes know today's columns only."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Row: TypeAlias = Mapping[str, str | int | float | None]
Tables: TypeAlias = Mapping[str, Row]

NOON, LATER = "2026-11-02T12:00:00.000000+00:00", "2026-11-02T13:00:00.000000+00:00"
WHEEL = "torch-2.14.0-cp310-cp310-linux_aarch64.whl"
FACT = (
    f'{{"kind":"wheel","name":"{WHEEL}","version":"2.14.0","digest":"sha256:aa","url":"http://127.0.0.1/{WHEEL}",'
    '"published_at":"2026-11-02T12:00:00Z","yanked":false,"prerelease":false,"detail":{"size":"9"}}'
)
CANDIDATE = (
    '{"engine":"vllm","image":"example/vllm:f1","digest":"sha256:bb","fingerprint":"f1","source":"tags",'
    '"compatible":true,"reasons":[],"due":false,"waiting_for":null,"version":"0.33.0","published_at":null,'
    '"first_seen":"2026-11-02T12:00:00Z","baseline":false,"skipped":false,"id":1}'
)
READING = (
    '{"target":"t","kind":"wheel","state":"fixed","reason":"seen","torch":"2.14.0",'
    '"evidence":[{"member":"torch/lib/x.so","text":"text"}],"bytes_read":9,"copies":["x"]}'
)
START = (
    '[{"profile":"default","stage":"ready","bring_up":"fails","failure_class":"allocator-nvml-assert","exit_code":1,'
    '"log":"logs/trial-1/start-0.log.gz"}]'
)

FIRST: Tables = {
    "sources": {
        "name": "torch", "kind": "simple-index", "cursor": "{}", "baseline_at": NOON, "last_look": LATER,
        "last_ok": NOON, "last_change": NOON, "failures": 2, "told": 1,
        "error": '{"type":"SourceUnavailable","message":"503","retry_after":60}', "requests": 5, "not_modified": 1,
        "bytes": 99,
    },
    "facts": {
        "source": "torch", "key": WHEEL, "kind": "wheel", "name": WHEEL, "version": "2.14.0", "digest": "sha256:aa",
        "url": f"http://127.0.0.1/{WHEEL}", "published_at": NOON, "yanked": 0, "prerelease": 0,
        "detail": '{"size": "9"}', "first_seen": NOON, "missed": 1, "withdrawn": 0, "baseline": 1,
    },
    "events": {
        "id": 7, "source": "torch", "kind": "new", "fact": FACT, "seen_at": NOON, "previous_digest": "sha256:00",
    },
    "holds": {"host": "a.example", "until": LATER},
    "statics": {
        "digest": "sha256:aa", "component": "torch", "source": "torch", "name": WHEEL, "version": "2.14.0",
        "reading": READING, "at": NOON,
    },
    "candidates": {
        "id": 1, "engine": "vllm", "fingerprint": "f1", "image": "example/vllm:f1", "digest": "sha256:bb",
        "source": "tags", "compatible": 1, "reasons": "[]", "due": 0, "waiting_for": None, "version": "0.33.0",
        "published_at": None, "first_seen": NOON, "baseline": 0, "skipped": 0,
    },
    "trials": {
        "id": 3, "candidate_id": 1, "candidate": CANDIDATE,
        "device_state": '{"l4t":"36.4.4","driver":"540.4.0","boot_id":"boot"}', "bug_id": "cuda-allocator",
        "started_at": NOON, "finished_at": LATER, "stage": "done", "outcome": "verdict", "retry_at": None,
        "failed_stage": "ready", "bug": "present", "bring_up": "fails", "failure_class": "allocator-nvml-assert",
        "reason": "the assert", "starts": START, "deciding_start": 0,
        "evidence": '[{"rung":"bring-up","text":"INTERNAL ASSERT","signature":"nvml-assert","line":12}]',
        "basis": '["bring-up"]', "acceptance": '{"completion":true,"phrases":{"passed":30,"total":32}}',
        "displaced": '["container:assistant"]', "away_seconds": 212.5,
        "owed": '[{"service":"container:assistant","state":"down","message":"gone"}]', "by_hand": 1, "setup": "abc",
    },
    "journal": {"id": 1, "trial_id": 3, "old_stage": "restore", "new_stage": "done", "reason": "", "at": LATER},
    "meta": {"key": "paused-until", "value": LATER},
    "notices": {
        "id": 4, "kind": "news", "key": "kept", "topic": "news", "subjects": '["7"]', "created_at": NOON,
    },
    "channels": {"channel": "mail", "kind": "news", "since": NOON},
    "deliveries": {"notice_id": 4, "channel": "mail", "attempts": 3, "next_at": LATER, "delivered_at": None},
}  # fmt: skip

ADDED: Mapping[str, Tables] = {
    "0002": {
        "budgets": {"host": "a.example", "limit": 60, "remaining": 57, "resets_at": LATER, "seen_at": NOON},
        "sources": {"moved_to_host": "new.example", "newest": WHEEL, "newest_at": NOON},
    },
    "0003": {
        "candidates": {
            "overlay": '{"component":"torch","name":"t.whl","version":"2.14.0","digest":"sha256:cc",'
            '"url":"https://x/t.whl","source":"jp6"}'
        },
    },
    "0004": {
        "trials": {"signatures": "abc", "probe": '{"state":"fixed","trap_set":true,"reason":"clean"}'},
    },
}


def rows_of(revision: str) -> dict[str, dict[str, str | int | float | None]]:
    """Return a row for each table, with all columns that a person or an upstream fills at this revision."""
    rows = {table: dict(row) for table, row in FIRST.items()}
    for added, tables in ADDED.items():
        if added <= revision:
            for table, row in tables.items():
                rows.setdefault(table, {}).update(row)
    return rows


def write_rows(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as connection:
        for table, row in rows_of(revision).items():
            names, places = ", ".join(f'"{name}"' for name in row), ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(row.values()))
    connection.close()


def read_rows(path: Path, like: Mapping[str, Row]) -> dict[str, list[dict[str, str | int | float | None]]]:
    """Return all rows of the tables that `like` names, with the columns that it names."""
    found = {}
    with sqlite3.connect(path) as connection:
        for table, row in like.items():
            names = ", ".join(f'"{name}"' for name in row)
            rows = connection.execute(f"SELECT {names} FROM {table}").fetchall()
            found[table] = [dict(zip(row, values, strict=True)) for values in rows]
    connection.close()
    return found


def tables_in(connection: sqlite3.Connection) -> set[str]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {str(name) for (name,) in names} - {"alembic_version"}


def columns_of(path: Path) -> dict[str, set[str]]:
    """Return the columns of each table that somebody writes: those that follow from others are left out."""
    with sqlite3.connect(path) as connection:
        found = {
            table: {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in tables_in(connection)
        }
    connection.close()
    return found
