"""doctor: what works, and what to do about the rest."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json

if TYPE_CHECKING:
    from watcher.jobs.doctor import Check

_SIGNS = {"ok": "ok", "attention": "!", "broken": "BROKEN"}


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")] = False,
) -> int:
    """Say what works and what to do: configuration, database, Docker, device, disk, services, sources, channels."""
    from watcher.jobs.doctor import Health

    checks = _checks(context.obj)
    if as_json:
        show_json({"schema": "watcher/doctor/1", "doctor": [_document(check) for check in checks]})
    else:
        for check in checks:
            show(f"{_SIGNS[check.state.value]:>6}  {check.area:<13}  {check.message}")
            if check.remedy and check.state is not Health.WELL:
                show(f"{'':>6}  {'':<13}  to do: {check.remedy}")
    broken = {check.area for check in checks if check.state is Health.BROKEN}
    codes = [exits.STILL_DOWN] if "owed" in broken else []
    return exits.loudest([*codes, exits.MUST_CHANGE if broken - {"owed"} else exits.DONE])


def _checks(call: Call) -> "tuple[Check, ...]":
    """Return the checks; without a configuration or a database that can be read, that is what there is to say."""
    from watcher.app import open_means
    from watcher.cli.views import counted
    from watcher.errors import ConfigError, StoreError
    from watcher.jobs.doctor import Check, Health, examine
    from watcher.ports import Lines

    try:
        settings = call.settings()
    except ConfigError as error:
        faults = [Check("configuration", Health.BROKEN, fault) for fault in (str(error), *error.faults)]
        return tuple(faults)
    where = str(settings.origin) if settings.origin else "built-in defaults"
    well = Check("configuration", Health.WELL, f"{where}: {counted(len(settings.sources), 'source')}")
    try:
        with open_means(settings, Lines(call.say)) as means:
            return (well, *examine(means))
    except StoreError as error:
        return (well, Check("database", Health.BROKEN, str(error)))


def _document(check: "Check") -> dict[str, Any]:
    return {
        "area": check.area,
        "state": check.state.value,
        "message": check.message,
        "remedy": check.remedy or None,
    }
