"""The tree of commands and the global options."""

from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main

from watcher import __version__
from watcher.cli import configuring, examining, holding, reading, storing, trying, watching
from watcher.cli.call import Call


def build_program() -> Any:
    """Return the command to run; typer's own error pages and help markup stay off, they cost start-up time."""
    app = typer.Typer(
        name="watcher",
        help="Watches for an upstream fix, tries it on this device, says whether the bug is gone.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_globals)
    for part in (watching, trying, holding, reading, examining, configuring, storing):
        part.add_to(app)
    return typer.main.get_command(app)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"watcher {__version__}")
        raise typer.Exit


def _globals(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only trouble.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours; NO_COLOR does the same.")] = False,
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    context.obj = Call(config=config, verbose=verbose, quiet=quiet, color=not no_color)
