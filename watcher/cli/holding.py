"""skip and pause: what a person holds back from automatic trials."""

from typing import Annotated

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show


def add_to(app: typer.Typer) -> None:
    app.command("skip")(skip)
    app.command("pause")(pause)


def skip(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="The candidate's id, as `watcher status` shows it.")],
    undo: Annotated[bool, typer.Option("--undo", help="Take it in again.")] = False,
) -> int:
    """Leave one candidate out of automatic trials; what is tried by hand is named by hand."""
    from watcher.errors import ConfigError
    from watcher.jobs.hold import skip_candidate

    call: Call = context.obj
    with call.means() as means:
        candidate = skip_candidate(means, number, not undo)
    if candidate is None:
        raise ConfigError(f"there is no candidate {number}; `watcher status` lists what waits with its id")
    show(f"{candidate.id}  {candidate.image}  {'is taken in again' if undo else 'is left out of automatic trials'}")
    return exits.DONE


def pause(
    context: typer.Context,
    duration: Annotated[str, typer.Argument(metavar="DURATION|off", help="How long, such as 7d; `off` ends it.")],
) -> int:
    """Start no automatic trials for a while; sources are looked at all the same."""
    from watcher.cli.watching import duration_option
    from watcher.jobs.hold import pause_trials

    span = None if duration == "off" else duration_option(duration)
    if span is not None and not span:
        raise typer.BadParameter("a pause takes some time, such as 7d; `off` ends one")
    call: Call = context.obj
    with call.means() as means:
        until = pause_trials(means, span)
    show(f"no automatic trials until {until:%Y-%m-%d %H:%M} UTC" if until else "automatic trials are not paused")
    return exits.DONE
