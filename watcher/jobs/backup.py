"""Copy the database while others use it, without migrating it."""

from pathlib import Path

from watcher.errors import ConfigError, StoreError
from watcher.store.database import FILE_NAME, backup_database


def back_up(data_dir: Path, target: Path) -> int:
    """Write a checked copy of the database to `target` and return its bytes.

    Raises ConfigError where nothing can be written there, StoreError where nothing is to copy, or no room, or damage.
    """
    source = data_dir / FILE_NAME
    if not source.is_file():
        raise StoreError("there is no database yet; `watcher check-now` makes one", path=str(source))
    target = target.absolute()
    if not target.parent.is_dir() or target.is_dir():
        raise ConfigError("the backup needs the name of a file in a folder that exists", file=str(target))
    if target.name.startswith(FILE_NAME) and target.parent.resolve() == data_dir.resolve():
        raise ConfigError("the database's own files cannot be the backup", file=str(target))
    backup_database(source, target)
    return target.stat().st_size
