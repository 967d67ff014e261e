"""Run the program and let it be killed in the middle of a check: `killed_in_check.py N ARGUMENT…`.

It dies before the N-th thing (from 1) that it would tell the database: statements and commits count.
"""

import os
import signal
import sys

from sqlalchemy import Engine, event

from watcher.cli import run_command_line


def main() -> int:
    left = int(sys.argv[1])

    def dies(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", dies)
    event.listen(Engine, "commit", dies)
    return run_command_line(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
