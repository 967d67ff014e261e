"""Entry point: answers `healthcheck` before anything heavy is imported."""

import gc
import signal
import sys
from pathlib import Path

COLLECT_AFTER = 200_000
"""Imports make this many objects and no garbage: Python's 700 would search them again and again, a tenth of a check."""


def main() -> int:
    """Run the command line and return its exit code."""
    gc.set_threshold(COLLECT_AFTER)
    try:
        return _run(sys.argv[1:])
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):  # it ends already, and with the code that it has earned
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()  # the process ends: else its last act is to search all of it for garbage, a third of a check


def _run(arguments: list[str]) -> int:
    if arguments == ["healthcheck"]:
        return _healthcheck(None)
    if len(arguments) == 3 and arguments[0] in ("--config", "-c") and arguments[2] == "healthcheck":
        return _healthcheck(Path(arguments[1]))
    from watcher.cli import run_command_line

    return run_command_line(arguments)


def _healthcheck(config: Path | None) -> int:
    from watcher.config.place import read_data_dir
    from watcher.jobs.heartbeat import heartbeat_trouble

    trouble = heartbeat_trouble(read_data_dir(config))
    print(f"unhealthy: {trouble}" if trouble else "healthy")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
