"""Open the database, keep its schema current, and turn SQLite's troubles into sentences that say what to do."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from watcher.errors import OtherRevision, StoreError
from watcher.store.transaction import Reading, Transaction

REVISION = "0006"
"""The newest migration; a test holds it equal to alembic's head, so that opening need not import alembic."""
FILE_NAME = "watcher.db"
BUSY_SECONDS = 10.0
_WORTH_COMPACTING = 0.2
"""Share of empty pages: rewriting the file takes as much room again meanwhile, and they are used again anyway."""
_SCHEMA = Path(__file__).with_name("schema.sql")
Lent = TypeVar("Lent", bound=Reading)

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


class Store:
    """The open database of one `data_dir`; safe between threads.

    Args:
        connect: opens a connection; those that are not used wait in `idle`.
        begin: what begins a transaction that may write.
    """

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        idle: sqlite3.Connection,
        begin: str = "BEGIN IMMEDIATE",  # it takes the lock at once: none fails halfway for want of it
    ) -> None:
        self.path = path
        self._connect = connect
        self._idle = [idle]
        self._begin = begin

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Lend a transaction that may write: one at a time over all processes, kept whole or not at all.

        Raises StoreError, and then nothing of it is stored.
        """
        with self._lent(Transaction, self._begin) as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Lend a transaction that only reads: it sees one state of the database, and neither waits nor makes wait.

        Raises StoreError.
        """
        with self._lent(Reading, "BEGIN") as tx:
            yield tx

    @contextmanager
    def _lent(self, kind: type[Lent], begin: str) -> Iterator[Lent]:
        with store_errors(self.path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            tx = kind(connection)
            try:
                connection.execute(begin)
                yield tx
                tx.end()
                connection.execute("COMMIT")
            except BaseException:
                tx.end()
                with suppress(sqlite3.Error):  # told is what went wrong before; closing gives the lock back as well
                    connection.rollback()
                connection.close()
                raise
            self._idle.append(connection)

    def backup(self, target: Path) -> None:
        """Write a whole, consistent copy; `target` appears only once it is complete. Raises StoreError."""
        backup_database(self.path, target)

    def compact(self) -> int:
        """Give back to the disk what dropped rows left empty, where it is worth it; return how many bytes.

        Raises StoreError, and then the database is as it was.
        """
        with store_errors(self.path), closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
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
        while self._idle:
            self._idle.pop().close()


def open_store(data_dir: Path) -> Store:
    """Open the database, made or migrated where needed (a copy is kept before a migration). Raises StoreError."""
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("data_dir could not be created", path=str(data_dir), reason=error.strerror) from error

    def connect() -> sqlite3.Connection:
        return _connection(str(path))

    with store_errors(path):
        with _closed_on_error(connect()) as connection:
            _ensure_wal(connection)
            revision = _revision_of(connection) or _make_schema(connection)
            if revision != REVISION:
                from watcher.store.migrate import migrate

                migrate(path)
        return Store(path, connect, connection)


def open_store_readonly(data_dir: Path) -> Store:
    """Open an existing database to read it as it stands, writing nothing, not even on a full or read-only disk.

    Raises StoreError where there is none, and OtherRevision where it has another one.
    """
    path = data_dir / FILE_NAME
    if not path.is_file():
        raise StoreError("there is no database yet; `watcher check-now` makes one", path=str(path))
    with store_errors(path):
        for mode in ("mode=ro", "immutable=1"):  # a full disk has no room for the index of the write-ahead log

            def connect(mode: str = mode) -> sqlite3.Connection:
                return _connection(f"file:{_quoted(path)}?{mode}", uri=True)

            try:
                with _closed_on_error(connect()) as connection:
                    revision = _revision_of(connection)
            except sqlite3.OperationalError:
                continue
            if revision == REVISION:
                return Store(path, connect, connection, begin="BEGIN")
            connection.close()
            sentence = "the database has another revision; `watcher check-now` brings it up to date"
            raise OtherRevision(sentence, found=revision, known=REVISION)
    raise StoreError(_SENTENCES[sqlite3.SQLITE_CANTOPEN], path=str(path))


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite reports of disk, locks and files into StoreError; a broken rule of the schema is our bug."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise _store_error(error, path) from error


def _store_error(error: sqlite3.DatabaseError, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    sentence = _SENTENCES.get(code & 0xFF, _OTHERWISE) if isinstance(code, int) else _OTHERWISE
    return StoreError(sentence, path=str(path), reason=str(error))


def _connection(place: str, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        place,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # the driver begins nothing by itself
        check_same_thread=False,  # it is used by one at a time
        uri=uri,
    )
    with _closed_on_error(connection):
        connection.execute("PRAGMA synchronous = FULL")  # reads the file: what is wrong with it is seen here
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _ensure_wal(connection: sqlite3.Connection) -> None:
    """Make sure the file keeps a write-ahead log: readers are never held up, and a killed writer leaves no trace."""
    end = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # SQLite does not wait where another process does the same just now
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)


def _make_schema(connection: sqlite3.Connection) -> str:
    """Make a new database as the migrations would (a test compares), in a tenth of the time; return its revision."""
    connection.execute("BEGIN IMMEDIATE")
    if (revision := _revision_of(connection)) is None:  # another process may have been faster
        for statement in _SCHEMA.read_text(encoding="utf-8").split(";\n"):
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision := REVISION,))
    connection.execute("COMMIT")
    return revision


def read_revision(path: Path) -> str | None:
    """Return the revision of the schema, None for a database without one."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        return _revision_of(connection)


def _revision_of(connection: sqlite3.Connection) -> str | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


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
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as copy:
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


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))
