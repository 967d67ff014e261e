"""Run the program and let it be killed just before the effect of one stage: `killed_at.py STAGE[:N] ARGUMENT…`.

The N-th time (from 1) that the stage is written down, the row is committed and the process dies; a death after the
effect of a stage is one before the effect of the next.
"""

import os
import signal
import sys

from watcher.cli import run_command_line
from watcher.jobs.try_next import StoredNotebook
from watcher.model.trial import Stage, Trial


def main() -> int:
    name, _, times = sys.argv[1].partition(":")
    stage, left = Stage(name), int(times or 1)
    step = StoredNotebook.step

    def dies(notebook: StoredNotebook, trial: Trial) -> None:
        nonlocal left
        step(notebook, trial)
        left -= trial.stage is stage
        if trial.stage is stage and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    StoredNotebook.step = dies  # type: ignore[method-assign, assignment]
    return run_command_line(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
