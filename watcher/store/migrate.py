"""Bring the schema to the newest revision; imported only when it is not there yet."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, create_engine, event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from watcher.config.place import shipped
from watcher.errors import StoreError
from watcher.store.database import BUSY_SECONDS, REVISION, copy_before, copy_database, read_revision

# it prints a traceback of what interrupts the closing of a connection, and raises that all the same
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())


def migrate(path: Path, target: str = "head") -> None:
    """Run the missing migrations in one transaction, after a copy of what was there.

    Raises StoreError when a newer watcher wrote the database, or when the copy could not be made; and sqlite3.Error.
    """
    with _transaction(path) as connection:  # holds the lock: another process may have been faster
        found = read_revision(path)
        if found == REVISION and target == "head":
            return
        _refuse_the_unknown(found)
        if found is not None:
            copy_database(path, copy_before(path))
        command.upgrade(alembic_config(connection), target)
        _check_keys(connection)


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head_revision() -> str | None:
    """Return the newest revision that the shipped migrations know."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def _refuse_the_unknown(revision: str | None) -> None:
    if revision is None:
        return
    try:
        ScriptDirectory.from_config(alembic_config()).get_revision(revision)
    except CommandError:
        sentence = "the database was written by a newer watcher; install that again, or put back the copy from before"
        raise StoreError(sentence, found=revision, known=REVISION) from None


def _check_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"a migration left {len(broken)} rows without what they point to")


@contextmanager
def _transaction(path: Path) -> Iterator[Connection]:
    """Lend a transaction that holds the lock from its beginning; what SQLite tells is raised as it told it."""
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:  # noqa: ARG001  SQLAlchemy's form
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "PRAGMA foreign_keys = OFF"
        )  # a table is changed by making it anew; they are checked at the end

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            yield connection
    except exc.DBAPIError as error:
        raise (error.orig or error) from error
    finally:
        engine.dispose()
