"""Open the database, keep its schema current, and turn SQLite's troubles into sentences that say what to do."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from watcher.errors import OtherRevision, StoreError
from watcher.store.tables import metadata

REVISION = "0006"
"""The newest migration; a test holds it equal to alembic's head, so that opening need not import alembic."""
FILE_NAME = "watcher.db"
BUSY_SECONDS = 10.0
_WORTH_COMPACTING = 0.2
"""Share of empty pages: rewriting the file takes as much room again meanwhile, and they are used again anyway."""
_VERSION_TABLE = """
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
""".strip()

Transaction: TypeAlias = Connection
"""The open transaction, handed to the functions of this package; nobody else calls its methods."""

_LOCKED = "the database is held by another process; wait until that ends, or end it if it hangs"
_SENTENCES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: "the disk is full; make room where data_dir is, what was stored before is not lost",
    sqlite3.SQLITE_IOERR: "the disk failed while the database was used; look for free space and at the system's log",
    sqlite3.SQLITE_READONLY: "the database may not be written; give data_dir and its files to the watcher's user",
    sqlite3.SQLITE_CANTOPEN: "the database could not be opened; look at the owner of data_dir and at free space",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; put a backup in its place, or move it away to begin anew",
    sqlite3.SQLITE_NOTADB: "the database is damaged; put a backup in its place, or move it away to begin anew",
}
_OTHERWISE = "the database could not be read or written; `watcher doctor` says more"

# it prints a traceback of what interrupts the closing of a connection, and raises that all the same
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())


class Store:
    """The open database of one `data_dir`; safe between threads."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Lend a transaction that may write: one at a time over all processes, kept whole or not at all.

        Raises StoreError, and then nothing of it is stored.
        """
        with store_errors(self.path), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Lend a transaction that only reads: it sees one state of the database, and neither waits nor makes wait.

        Raises StoreError.
        """
        with store_errors(self.path), self._engine.execution_options(begin="BEGIN").begin() as connection:
            yield connection

    def backup(self, target: Path) -> None:
        """Write a whole, consistent copy; `target` appears only once it is complete. Raises StoreError."""
        backup_database(self.path, target)

    def compact(self) -> int:
        """Give back to the disk what dropped rows left empty, where it is worth it; return how many bytes.

        Raises StoreError, and then the database is as it was.
        """
        with store_errors(self.path), _closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
            pages, empty, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            if empty < pages * _WORTH_COMPACTING:
                return 0
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return int((pages - connection.execute("PRAGMA page_count").fetchone()[0]) * size)

    def close(self) -> None:
        self._engine.dispose()


def open_store(data_dir: Path) -> Store:
    """Open the database, made or migrated where needed (a copy is kept before a migration). Raises StoreError."""
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("data_dir could not be created", path=str(data_dir), reason=error.strerror) from error
    with store_errors(path):
        _ensure_wal(path)
        engine = writing_engine(path)
        revision = read_revision(path) or _make_schema(path, engine)
        if revision != REVISION:
            from watcher.store.migrate import migrate

            migrate(path)
        return Store(path, engine)


def _make_schema(path: Path, engine: Engine) -> str | None:
    """Make a new database from the tables: what the migrations give (a test compares), in a tenth of the time."""
    with engine.begin() as connection:  # holds the lock: another process may have been faster
        if found := read_revision(path):
            return found
        metadata.create_all(connection)
        connection.exec_driver_sql(_VERSION_TABLE)
        connection.exec_driver_sql("INSERT INTO alembic_version (version_num) VALUES (?)", (REVISION,))
        return REVISION


def open_store_readonly(data_dir: Path) -> Store:
    """Open an existing database to read it as it stands, writing nothing, not even on a full or read-only disk.

    Raises StoreError where there is none, and OtherRevision where it has another one.
    """
    path = data_dir / FILE_NAME
    if not path.is_file():
        raise StoreError("there is no database yet; `watcher check-now` makes one", path=str(path))
    with store_errors(path):
        for mode in ("mode=ro", "immutable=1"):  # a full disk has no room for the index of the write-ahead log
            engine = reading_engine(path, mode)
            try:
                revision = _revision_of(engine)
            except exc.OperationalError:
                engine.dispose()
                continue
            if revision == REVISION:
                return Store(path, engine)
            engine.dispose()
            sentence = "the database has another revision; `watcher check-now` brings it up to date"
            raise OtherRevision(sentence, found=revision, known=REVISION)
    raise StoreError(_SENTENCES[sqlite3.SQLITE_CANTOPEN], path=str(path))


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite reports of disk, locks and files into StoreError; a broken rule of the schema is our bug."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.DatabaseError as error:
        raise _store_error(error.orig, path) from error
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise _store_error(error, path) from error


def _store_error(error: BaseException | None, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    sentence = _SENTENCES.get(code & 0xFF, _OTHERWISE) if isinstance(code, int) else _OTHERWISE
    return StoreError(sentence, path=str(path), reason=str(error))


def _ensure_wal(path: Path) -> None:
    """Make sure the file keeps a write-ahead log: readers are never held up, and a killed writer leaves no trace."""
    with _closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")


def read_revision(path: Path) -> str | None:
    """Return the revision of the schema, None for a database without one."""
    with _closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else None


def _revision_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def copy_before(path: Path) -> Path:
    """Return where the copy of a database is kept that this version migrated."""
    return path.with_name(f"{path.name}.before-{REVISION}")


def backup_database(path: Path, target: Path) -> None:
    """Write a whole, consistent copy; `target` appears only once it is complete. Raises StoreError."""
    try:
        with store_errors(path):
            copy_database(path, target)
    except StoreError as error:
        if "reason" in error.fields and error.message == _SENTENCES[sqlite3.SQLITE_FULL]:
            raise StoreError("the disk is full where the backup goes", path=str(target)) from error
        raise


def copy_database(path: Path, target: Path) -> None:
    """Copy what is committed to `target`, by way of a neighbour that is renamed when it is whole."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        _remove_database(partial)
        with _closing(sqlite3.connect(path)) as source, _closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, easy to carry away
            _refuse_damage(copy, path)
        partial.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreError("the backup could not be written", path=str(target), reason=error.strerror) from error
    finally:
        _remove_database(partial)


def _remove_database(path: Path) -> None:
    """Remove a file and what SQLite keeps beside it: where the disk was full it leaves that, and it takes up room."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def _refuse_damage(copy: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError where the copy is damaged: then so is the database, and nobody should rely on either."""
    (told,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if told != "ok":
        raise StoreError(_SENTENCES[sqlite3.SQLITE_CORRUPT], path=str(path), reason=told)


def _sync(folder: Path) -> None:
    """Force a rename to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def writing_engine(path: Path, foreign_keys: bool = True) -> Engine:
    """Return an engine whose transactions begin by taking the lock: none fails halfway for want of it."""
    return _engine(f"sqlite:///{path}", foreign_keys, begin="BEGIN IMMEDIATE")


def reading_engine(path: Path, mode: str) -> Engine:
    return _engine(f"sqlite:///file:{_quoted(path)}?{mode}&uri=true", foreign_keys=True, begin="BEGIN")


def _engine(url: str, foreign_keys: bool, begin: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:  # noqa: ARG001  SQLAlchemy's form
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", begin))

    return engine


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()
