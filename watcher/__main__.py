"""Entry point: answers `healthcheck` before anything heavy is imported."""

import sys
from pathlib import Path


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:]
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
