"""What tests build once and keep in the cache."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


def once(folder: Path, build: Callable[[Path], None]) -> None:
    """Build the folder unless an earlier build of it came to its end; processes wait for each other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.parent / f"{folder.name}.done"
        if done.exists() and folder.exists():
            return
        done.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        build(folder)
        done.touch()
