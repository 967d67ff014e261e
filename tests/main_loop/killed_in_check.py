"""Run the program and let it be killed in the middle of a check: `killed_in_check.py N ARGUMENT…`.

It dies before the N-th thing (from 1) that it would tell the database: a row that is written and a commit count.
"""

import os
import signal
import sqlite3
import sys
from typing import Any

from watcher.cli import run_command_line


def main() -> int:
    left = int(sys.argv[1])

    def dies(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*place: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = opened(*place, **options)
        connection.set_trace_callback(dies)
        return connection

    opened, sqlite3.connect = sqlite3.connect, connect  # type: ignore[assignment]
    return run_command_line(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
