"""The commands: arguments → one call → print → exit code. Each imports what it needs when it is called."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_FLAGS = ("-q", "--quiet", "-v", "--verbose", "--no-color")


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; one that was interrupted ends the process here and now."""
    from watcher.cli.exits import INTERRUPTED

    # asked to end by whatever signal: the same way out, and the same exit code
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = _way_back(arguments)
        if code is None:
            code = _run(arguments)
    except KeyboardInterrupt:  # before there was a command to end: the program was still being loaded
        code = INTERRUPTED
    if code == INTERRUPTED:
        sys.stdout.flush()
        os._exit(code)  # threads that wait for an upstream would hold up the end for a minute
    return code


def _way_back(arguments: Sequence[str]) -> int | None:
    """Run `restore`, and what comes before `run`, with nothing loaded that they do without; None: go on."""
    words = [word for word in arguments if word not in _FLAGS]
    config = Path(words[1]) if len(words) > 2 and words[0] in ("--config", "-c") else None
    match words[2:] if config else words:
        case ["restore", *rest] if rest in ([], ["--json"]):
            from watcher.cli.call import Call
            from watcher.cli.restoring import restore

            return restore(Call(config, quiet=not {"-q", "--quiet"}.isdisjoint(arguments)), as_json=bool(rest))
        case ["run"]:
            from watcher.cli.restoring import pay_before_the_service

            pay_before_the_service(config)
    return None


def _run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error of ours becomes a line that says what to do."""
    import typer

    from watcher.cli.exits import DONE, INTERRUPTED, MUST_CHANGE, UNEXPECTED
    from watcher.cli.program import build_program
    from watcher.errors import ConfigError, RestoreFailed, WatcherError

    try:
        code = build_program().main(args=list(arguments), prog_name="watcher", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except typer.Exit as leave:
        return leave.exit_code
    except typer.TyperException as error:  # a wrong call
        show = getattr(error, "show", None)  # with the usage line; not every error of typer's has it
        show() if show else _complain(str(error))
        return MUST_CHANGE
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ConfigError as error:
        _complain(str(error), *(f"  {fault}" for fault in error.faults))
        return MUST_CHANGE
    except RestoreFailed as error:
        _complain(str(error))
        return 5
    except WatcherError as error:
        _complain(str(error))
        return UNEXPECTED
    except BrokenPipeError:
        return DONE


def _complain(*lines: str) -> None:
    from watcher.model.text import printable

    for line in lines:
        indent = line[: len(line) - len(line.lstrip(" "))]
        print(indent + printable(line, 2000), file=sys.stderr)
