"""check-now, run, status, events, trials, sources: what is watched and what came of it."""

from datetime import timedelta
from typing import Annotated

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]


def add_to(app: typer.Typer) -> None:
    app.command("check-now")(check_now)
    app.command("run")(run)
    app.command("status")(status)
    app.command("events")(events)
    app.command("trials")(trials)
    listed = typer.Typer(help=sources.__doc__, invoke_without_command=True, rich_markup_mode=None)
    listed.callback()(sources)
    listed.command("test")(sources_test)
    app.add_typer(listed, name="sources")


def check_now(
    context: typer.Context,
    source: Annotated[list[str] | None, typer.Argument(help="Names of sources; none means all.")] = None,
    no_trial: Annotated[bool, typer.Option("--no-trial", help="Look and plan, try nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A failure that was told already counts again.")] = False,
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
    as_json: Json = False,
) -> int:
    """Look at all or the named sources now, try what is due, tell, and say where things stand."""
    from watcher.cli.owing import owed_comes_first, paid_first

    call: Call = context.obj.as_service() if scheduled else context.obj
    down = paid_first(call)
    with owed_comes_first(call):
        from watcher.cli import rounds  # what cannot be loaded keeps nothing down

        return rounds.check_now(call, tuple(source or ()), no_trial or bool(down), strict, scheduled, as_json)


def run(context: typer.Context) -> int:
    """Watch on the schedule until told to stop."""
    import sys

    from watcher.errors import ConfigError, HostError
    from watcher.jobs.pay import still_down
    from watcher.jobs.serve_page import served_page
    from watcher.jobs.service import Service

    call: Call = context.obj.as_service()
    try:
        settings = call.settings()
        settings.store.data_dir.mkdir(parents=True, exist_ok=True)
    except (ConfigError, OSError) as error:
        from watcher.cli.owing import owed_comes_first

        with owed_comes_first(call):  # `pay_before_the_service` did what could be done
            if isinstance(error, OSError):
                raise HostError("the data folder cannot be written", cause=str(error)) from None
            raise
    command = [sys.executable, "-m", "watcher"]
    if settings.origin is not None:
        command += ["--config", str(settings.origin)]
    turn = min([settings.schedule.every, *(source.every for source in settings.sources if source.every)])
    service = Service(
        round_command=[*command, "check-now", "--scheduled"],
        turn=turn,
        jitter=settings.schedule.jitter,
        data_dir=settings.store.data_dir,
        say=call.say,
        is_any_down=lambda: bool(still_down(settings.store.data_dir)),
    )
    with served_page(settings.page, settings.store.data_dir, call.complain):
        return service.serve()


def status(context: typer.Context, as_json: Json = False) -> int:
    """Say where things stand: the answer, what it waits for, sources, trials, and what is owed."""
    from watcher.cli import rounds

    return rounds.status(context.obj, as_json)


def events(
    context: typer.Context,
    since: Annotated[str, typer.Option("--since", help="How far back, such as 7d or 12h.")] = "30d",
    as_json: Json = False,
) -> int:
    """List what changed upstream, newest last."""
    from watcher.cli.views import show_events
    from watcher.jobs.plan import meanings
    from watcher.model.documents import event_document
    from watcher.store import facts as fact_store

    span = duration_option(since)
    with context.obj.means() as means:
        with means.store.reading() as tx:
            found = fact_store.events_since(tx, means.clock.now() - span)
        found = meanings(means, means.device(), found)
    if as_json:
        show_json({"schema": "watcher/events/1", "events": [event_document(event) for event in found]})
    else:
        show_events(found)
        if not found:
            show(f"nothing changed in the last {since}")
    return exits.DONE


def duration_option(text: str) -> timedelta:
    """Return the span of an option such as `7d`. Raises the usage error."""
    from watcher.config.values import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def trials(context: typer.Context, as_json: Json = False) -> int:
    """List the trials, newest first."""
    from watcher.cli.views import show_trial_line
    from watcher.model.documents import trial_document
    from watcher.store import trials as trial_store

    with context.obj.means() as means, means.store.reading() as tx:
        found = trial_store.trials(tx)
    if as_json:
        show_json({"schema": "watcher/trials/1", "trials": [trial_document(trial) for trial in found]})
        return exits.DONE
    for trial in found:
        show_trial_line(trial)
    if not found:
        show("nothing was tried yet")
    return exits.DONE


def sources(context: typer.Context, as_json: Json = False) -> int:
    """List what is watched, how each source does, and which build carries the fix."""
    if context.invoked_subcommand is not None:
        return exits.DONE
    from watcher.cli.sources import sources as list_sources

    return list_sources(context.obj, as_json)


def sources_test(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The source's name in the configuration.")],
    as_json: Json = False,
) -> int:
    """Look at one source once, without its cursor, and show what was read; nothing is stored."""
    from watcher.cli.one_look import look_once

    is_asked_before = context.parent is not None and context.parent.params.get("as_json") is True
    return look_once(context.obj, name, as_json or is_asked_before)
