"""The service's sign of life: a file that it touches each minute. Standard library alone: the check runs often."""

import time
from pathlib import Path

HEARTBEAT = "heartbeat"
FRESH_SECONDS = 300


def beat(data_dir: Path) -> None:
    (data_dir / HEARTBEAT).touch()


def heartbeat_trouble(data_dir: Path) -> str | None:
    """Return why the service does not count as alive, None when it touched its heartbeat within five minutes."""
    try:
        age = time.time() - (data_dir / HEARTBEAT).stat().st_mtime
    except OSError:
        return f"there is no {data_dir / HEARTBEAT}; is `watcher run` running?"
    return None if age <= FRESH_SECONDS else f"{data_dir / HEARTBEAT} was last touched {age:.0f} seconds ago"
