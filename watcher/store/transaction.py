"""An open transaction: queries as SQL text, and the few statements that write."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from watcher.store.values import stored

Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Sequence[Any] | Mapping[str, Any]
"""What a query's `?` or `:name` stand for; moments and words are given as they are."""
_AT_ONCE = 500
"""How many rows are fetched together; one by one they take longer."""


class Reading:
    """A transaction that reads: it sees one state of the database. It is for the functions of this package only.

    All methods raise sqlite3.ProgrammingError once it has ended.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._lent = connection
        self._open: list[sqlite3.Cursor] = []
        self._has_ended = False

    def rows(self, query: str, values: Values = ()) -> list[Row]:
        return self._asked(query, values).fetchall()

    def each(self, query: str, values: Values = ()) -> Iterator[Row]:
        """Yield rows as they are asked for, so that nobody holds them all."""
        cursor = self._asked(query, values)
        self._open.append(cursor)
        return (row for rows in iter(lambda: cursor.fetchmany(_AT_ONCE), []) for row in rows)

    def value(self, query: str, values: Values = ()) -> Any:
        """Return the first column of the first row; None where there is no row."""
        row = self._asked(query, values).fetchone()
        return None if row is None else row[0]

    def end(self) -> None:
        """Let nothing be read any more, also of what was begun: it would go on holding the state that it saw."""
        self._has_ended = True
        for cursor in self._open:
            cursor.close()

    def _asked(self, query: str, values: Values) -> sqlite3.Cursor:
        return self._connection.execute(query, _bound(values))

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._has_ended:
            raise sqlite3.ProgrammingError("the transaction has ended")
        return self._lent


class Transaction(Reading):
    """A transaction that may write: one at a time over all processes, kept whole or not at all."""

    def change(self, statement: str, values: Values = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._asked(statement, values).rowcount

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Add rows, which have the same columns all, and return their ids."""
        added = (self._asked(_insertion(table, tuple(row)), tuple(row.values())) for row in rows)
        return [one.lastrowid or 0 for one in added]

    def insert_new(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add rows but for those whose key is there, and return how many were added."""
        if not rows:
            return 0
        statement = f"{_insertion(table, tuple(rows[0]))} ON CONFLICT DO NOTHING"
        return self._connection.executemany(statement, [_bound(tuple(row.values())) for row in rows]).rowcount

    def upsert(
        self,
        table: str,
        rows: Sequence[Mapping[str, Any]],
        by: tuple[str, ...],
        kept: tuple[str, ...] = (),
        filled: tuple[str, ...] = (),
    ) -> None:
        """Add rows, or change those with the same `by`, a unique key; a row that stays equal is not written.

        Args:
            rows: with the same columns all.
            kept: columns that a row which is there keeps.
            filled: columns that it keeps unless they are NULL.
        """
        if rows:
            statement = _upsertion(table, tuple(rows[0]), by, kept, filled)
            self._connection.executemany(statement, [_bound(tuple(row.values())) for row in rows])

    def update(self, table: str, row_id: int, row: Mapping[str, Any]) -> int:
        """Change columns of the row with this id, and return how many rows that were."""
        columns = ", ".join(f'"{name}" = ?' for name in row)
        return self.change(f"UPDATE {table} SET {columns} WHERE id = ?", (*row.values(), row_id))


def _bound(values: Values) -> Values:
    if isinstance(values, Mapping):
        return {name: stored(value) for name, value in values.items()}
    return [stored(value) for value in values]


@cache
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"


@cache
def _upsertion(
    table: str, columns: tuple[str, ...], by: tuple[str, ...], kept: tuple[str, ...], filled: tuple[str, ...]
) -> str:
    new = {name: f'excluded."{name}"' for name in columns if name not in (*by, *kept)}
    new |= {name: f'coalesce({table}."{name}", excluded."{name}")' for name in filled}
    changes = ", ".join(f'"{name}" = {value}' for name, value in new.items())
    differs = " OR ".join(f'{table}."{name}" IS NOT {value}' for name, value in new.items())
    return f"{_insertion(table, columns)} ON CONFLICT ({', '.join(by)}) DO UPDATE SET {changes} WHERE {differs}"
