"""db upgrade, db backup, db prune: the database of `data_dir`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show

if TYPE_CHECKING:
    from watcher.jobs.retain import Retained


def add_to(app: typer.Typer) -> None:
    database = typer.Typer(
        help="The database: bring it up to date, copy it, drop what is old.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    database.command("upgrade")(upgrade)
    database.command("backup")(backup)
    database.command("prune")(prune)
    app.add_typer(database, name="db")


def upgrade(context: typer.Context) -> int:
    """Bring the database to this version's schema, after a copy of it; other commands do so by themselves."""
    from watcher.store.database import FILE_NAME, REVISION, copy_before, open_store, read_revision, store_errors

    call: Call = context.obj
    data_dir = call.settings().store.data_dir
    path = data_dir / FILE_NAME
    with store_errors(path):
        before = read_revision(path) if path.is_file() else None
    open_store(data_dir).close()
    if before == REVISION:
        show(f"{path}: up to date, revision {REVISION}")
    elif before is None:
        show(f"{path}: made, revision {REVISION}")
    else:
        show(f"{path}: brought from revision {before} to {REVISION}; as it was before: {copy_before(path)}")
    return exits.DONE


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; an older one is replaced.")],
) -> int:
    """Copy the database to a file, whole and checked, whatever else uses it meanwhile."""
    from watcher.jobs.backup import back_up

    call: Call = context.obj
    size = back_up(call.settings().store.data_dir, file)
    show(f"{file}: {size} bytes")
    return exits.DONE


def prune(context: typer.Context) -> int:
    """Drop what is old now: events, stages, delivered notices, logs that no verdict stands on, old copies."""
    from watcher.jobs.retain import retain

    call: Call = context.obj
    with call.means() as means:
        gone = retain(means)
        freed = means.store.compact()
    for line in _said(gone, freed):
        show(line)
    return exits.DONE


def _said(gone: "Retained", freed: int) -> list[str]:
    rows = gone.rows
    return [
        f"rows dropped: {rows.events} events, {rows.journal} stages, {rows.notices} notices",
        f"logs removed: {gone.logs}, {gone.log_bytes} bytes",
        f"copies of the database removed: {gone.copies}",
        f"the database is {freed} bytes smaller",
    ]
