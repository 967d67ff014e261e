"""inspect and classify: what bytes and logs say, without touching anything."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show, show_bold, show_json
from watcher.cli.watching import Json

_PIECE = 1 << 20


def add_to(app: typer.Typer) -> None:
    app.command("inspect")(inspect)
    app.command("classify")(classify)


def inspect(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A wheel (path or URL), or an image in the container engine.")],
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the whole wheel where the host has no ranges.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Say from the bytes alone whether a build carries the bug."""
    from watcher.app import build_host
    from watcher.artifacts.inspect import read_static
    from watcher.artifacts.target import open_target
    from watcher.fetch.client import Fetcher, HostHolds
    from watcher.host.clock import SystemClock
    from watcher.model.documents import static_document

    call: Call = context.obj
    settings = call.settings()
    fetcher = Fetcher(timeout=timedelta(minutes=30 if download else 5), holds=HostHolds({}, SystemClock()))
    reader = open_target(target, download=download, host=build_host(settings), fetcher=fetcher)
    reading = read_static(reader, settings.bug)
    if as_json:
        show_json(static_document(reading, settings.bug.id))
        return exits.DONE
    show_bold(call, f"{settings.bug.id}: {reading.state.value}")
    show(f"  {reading.reason}")
    show(f"  {settings.bug.component} {reading.torch or 'not found'}, {reading.bytes_read} bytes read")
    for row in reading.evidence:
        show(f"  {row.member}: {row.text}")
    return exits.DONE


def classify(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A log; standard input otherwise.")] = None,
    as_json: Json = False,
) -> int:
    """Say what failed in an engine's log, and whether the bug shows in it."""
    from watcher.errors import ConfigError
    from watcher.model.documents import log_document
    from watcher.verdict.classes import next_step
    from watcher.verdict.scan import scan

    call: Call = context.obj
    settings = call.settings()
    try:
        if file is None or str(file) == "-":
            reading = scan(_pieces(sys.stdin.buffer))
        else:
            with file.open("rb") as log:
                reading = scan(_pieces(log))
    except OSError as error:
        raise ConfigError("the log could not be read", file=str(file), error=error.strerror) from None
    deciding = reading.deciding
    step = next_step(reading.failure_class, deciding.detail if deciding else None)
    if as_json:
        show_json(log_document(reading, settings.bug.id, step))
        return exits.DONE
    show_bold(call, f"{reading.failure_class.value}; bug {settings.bug.id}: {reading.bug.value}")
    for finding in reading.findings:
        show(f"  line {finding.line}{' (decides)' if finding.decides else ''}: {finding.text}")
    show(f"  next: {step}")
    return exits.DONE


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
