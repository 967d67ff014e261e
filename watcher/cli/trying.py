"""trial run, show, log, and restore: what touches the device."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.cli.watching import Json


def add_to(app: typer.Typer) -> None:
    trial = typer.Typer(
        help="Try one thing by hand, and look at what was tried.", no_args_is_help=True, rich_markup_mode=None
    )
    trial.command("run")(trial_run)
    trial.command("show")(trial_show)
    trial.command("log")(trial_log)
    trial.command("kit")(trial_kit)
    app.add_typer(trial, name="trial")
    app.command("restore")(restore)


def trial_run(
    context: typer.Context,
    image: Annotated[str | None, typer.Argument(help="What to try; the newest compatible candidate otherwise.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="Id of the engine.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="Only this profile.")] = None,
    repeats: Annotated[int | None, typer.Option("--repeats", min=1, help="Starts of the same profile.")] = None,
    soak: Annotated[str | None, typer.Option("--soak", help="Watch a working engine for so long, such as 1h.")] = None,
    level: Annotated[
        Literal["minimum", "target", "stretch"] | None,
        typer.Option(
            "--level", help="Acceptance level whose open criteria the report names; stretch ends the engine once, too."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave an engine that works running until `watcher restore`.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what was tried; in spite of heat and memory.")] = False,
    allow_image: Annotated[
        bool, typer.Option("--allow-image", help="Also from a repository that is not configured.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="0 works, 10 bug present, 11 fails, 125 no verdict.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Try one thing now. What it displaces runs again at the end, whatever happens; with --keep after `restore`."""
    from watcher.cli.owing import owed_comes_first, paid_first
    from watcher.cli.watching import duration_option
    from watcher.errors import RestoreFailed

    call: Call = context.obj
    soaked = duration_option(soak) if soak else None
    if down := paid_first(call):
        services = "; ".join(f"{report.service}: {report.message}" for report in down)
        raise RestoreFailed("nothing is tried while a service of an earlier trial is down", services=services)
    with owed_comes_first(call):
        from watcher.cli import by_hand  # what cannot be loaded keeps nothing down

        asked = by_hand.Asked(
            image=image,
            engine=engine,
            profile=profile,
            repeats=repeats,
            soak=soaked,
            level=level,
            keep=keep,
            force=force,
            allow_image=allow_image,
        )
        return by_hand.run_trial(call, asked, exit_code, as_json)


def trial_show(
    context: typer.Context, number: Annotated[int, typer.Argument(metavar="ID")], as_json: Json = False
) -> int:
    """Show one trial with its evidence."""
    from watcher.cli.views import show_trial
    from watcher.jobs.plan import answer_now
    from watcher.jobs.trial_details import kept_metrics
    from watcher.model import documents

    with context.obj.means() as means:
        trial = _found(means, number)
        answer = answer_now(means, means.device())
        metrics = kept_metrics(trial, means.data_dir)
    if as_json:
        answered = documents.answer_document(answer)
        show_json({"schema": "watcher/trial/1", "trial": documents.trial_document(trial), "answer": answered})
    else:
        show_trial(trial)
        for kept in metrics:
            show(f"       metrics of start {kept.start}: {kept.path}, {kept.size} bytes")
    return exits.DONE


def trial_log(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    start: Annotated[
        int | None, typer.Option("--start", min=0, help="Which start; the deciding one otherwise.")
    ] = None,
) -> int:
    """Print the full engine log of a trial."""
    from watcher.errors import ConfigError
    from watcher.trial.engine_log import read_log

    with context.obj.means() as means:
        trial = _found(means, number)
        data_dir = means.data_dir
    if not trial.starts:
        raise ConfigError(f"trial {number} started no engine", outcome=trial.outcome)
    chosen = start if start is not None else trial.deciding_start
    index = len(trial.starts) - 1 if chosen is None else chosen
    if index >= len(trial.starts):
        raise ConfigError(f"trial {number} has starts 0 to {len(trial.starts) - 1}")
    log = trial.starts[index].log
    if log is None or not (data_dir / log).exists():
        raise ConfigError("that start left no log", file=log)
    for piece in read_log(data_dir / log):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return exits.DONE


def trial_kit(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
) -> int:
    """Write what is needed next: a compose file of what works, a report of what does not, or what is waited for."""
    from watcher.jobs.kit import write_kit
    from watcher.jobs.plan import answer_now

    with context.obj.means() as means:
        paths = write_kit(means, _found(means, number), answer_now(means, means.device()), out)
    for path in paths:
        show(str(path))
    return exits.DONE


def _found(means: Any, number: int) -> Any:
    from watcher.errors import ConfigError
    from watcher.store import trials

    with means.store.reading() as tx:
        trial = trials.trial(tx, number)
    if trial is None:
        raise ConfigError(f"there is no trial {number}; `watcher trials` lists them")
    return trial


def restore(context: typer.Context, as_json: Json = False) -> int:
    """Put back whatever is owed; ends a running trial first. Needs no database and no configuration beyond data_dir."""
    from watcher.cli import restoring

    return restoring.restore(context.obj, as_json)
