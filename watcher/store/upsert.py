"""Insert or change rows by their primary key, thousands at a time; rows that stay equal are not written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Table, or_
from sqlalchemy.dialects.sqlite import insert

from watcher.store.database import Transaction

CHUNK = 500
"""How many values one statement names; old builds of SQLite take 999."""
Item = TypeVar("Item")


def upsert(
    tx: Transaction,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    by: Sequence[str] = (),
    kept: Sequence[str] = (),
) -> None:
    """Write `rows`, found again by the columns `by` (else the primary key); one that is there keeps its `kept`."""
    if not rows:
        return
    keys = set(by) or {column.name for column in table.primary_key.columns}
    statement = insert(table)
    changing: list[Column[Any]] = [
        column
        for column in table.columns
        if column.name in rows[0] and column.name not in keys and column.name not in kept
    ]
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=sorted(keys),
        set_={column.name: new[column.name] for column in changing},
        where=or_(*(column.is_distinct_from(new[column.name]) for column in changing)),
    )
    tx.execute(statement, list(rows))


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
