"""Insert or change rows by their primary key, thousands at a time; rows that stay equal are not written."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Table, or_
from sqlalchemy.dialects.sqlite import Insert, insert

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
    keys = tuple(by) or tuple(column.name for column in table.primary_key.columns)
    changing = tuple(name for name in rows[0] if name not in keys and name not in kept)
    tx.execute(_statement(table, keys, changing), list(rows))


@cache
def _statement(table: Table, keys: tuple[str, ...], changing: tuple[str, ...]) -> Insert:
    """Return the statement; putting it together takes longer than running it."""
    statement = insert(table)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=keys,
        set_={name: new[name] for name in changing},
        where=or_(*(table.c[name].is_distinct_from(new[name]) for name in changing)),
    )


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
