"""Entry point: answers `healthcheck` before anything heavy is imported."""

import sys
import time
from pathlib import Path

FRESH_SECONDS = 300


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:]
    if arguments[-1:] == ["healthcheck"] and len(arguments) in (1, 3):
        return check_heartbeat(Path(arguments[1]) if arguments[0] == "--config" else None)
    from watcher.cli import run_command_line

    return run_command_line(arguments)


def check_heartbeat(config: Path | None) -> int:
    """Return 0 when the service touched its heartbeat within five minutes."""
    from watcher.config.place import read_data_dir

    heartbeat = read_data_dir(config) / "heartbeat"
    try:
        age = time.time() - heartbeat.stat().st_mtime
    except OSError:
        print(f"unhealthy: there is no {heartbeat}; is `watcher run` running?")
        return 1
    if age > FRESH_SECONDS:
        print(f"unhealthy: {heartbeat} was last touched {age:.0f} seconds ago")
        return 1
    print(f"healthy: the service was alive {max(0, age):.0f} seconds ago")
    return 0


if __name__ == "__main__":
    sys.exit(main())
