"""config check, config show, config init, notify test, demo, healthcheck: the operator's own business."""

from pathlib import Path
from typing import Annotated, Any

import typer

from watcher.cli import exits, initializing
from watcher.cli.call import Call, show


def add_to(app: typer.Typer) -> None:
    config = typer.Typer(
        help="The configuration: check it, show it, begin one.", no_args_is_help=True, rich_markup_mode=None
    )
    config.command("check")(config_check)
    config.command("show")(config_show)
    initializing.add_to(config)
    app.add_typer(config, name="config")
    notify = typer.Typer(help="The channels.", no_args_is_help=True, rich_markup_mode=None)
    notify.command("test")(notify_test)
    app.add_typer(notify, name="notify")
    app.command("healthcheck")(healthcheck)
    app.command("demo")(demo)


def config_check(context: typer.Context) -> int:
    """Report every fault of the configuration with its place."""
    from watcher.cli.views import counted
    from watcher.errors import ConfigError
    from watcher.host.services_check import service_faults
    from watcher.notify.send import check_url
    from watcher.planner.window import window_text

    call: Call = context.obj
    settings = call.settings()
    faults = [
        f"notify.urls.{index}: {fault}"
        for index, url in enumerate(settings.notify.urls)
        if (fault := check_url(url.get_secret_value()))
    ]
    faults += service_faults(settings.device, settings.trial.displace or ())
    if faults:
        raise ConfigError("the configuration has faults", tuple(faults), file=_origin(settings.origin))
    watched, told = counted(len(settings.sources), "source"), counted(len(settings.notify.urls), "channel")
    show(f"{_origin(settings.origin)}: well; {watched}, {told}")
    if missing := settings.auto_missing:
        show(f"automatic trials are off; they need {', '.join(missing)}")
    else:
        show(f"automatic trials are on: {window_text(settings.schedule.window, settings.schedule.zone)}")
    return exits.DONE


def config_show(context: typer.Context) -> int:
    """Print the merged configuration, secrets masked."""
    import tomli_w

    from watcher.fetch.logins import without_logins

    settings = context.obj.settings()
    table = settings.model_dump(mode="json", exclude={"bug", "bug_section", "suite", "origin", "window_named"})
    table["bug"] = settings.bug_section.model_dump(mode="json")
    table["schedule"]["window"] = _window_text(settings.schedule.window)
    print(tomli_w.dumps(without_logins(_without_none(table), instead="**********@")), end="")
    return exits.DONE


def notify_test(context: typer.Context) -> int:
    """Send a test message through every channel."""
    from watcher.errors import ConfigError, NotifyFailed
    from watcher.notify.message import compose_test
    from watcher.notify.send import build_notifiers

    call: Call = context.obj
    settings = call.settings()
    notifiers = build_notifiers([url.get_secret_value() for url in settings.notify.urls])
    if not notifiers:
        raise ConfigError("no channel is configured; set notify.urls in config.toml")
    failed = 0
    for notifier in notifiers:
        try:
            notifier.send(compose_test(settings.device.name))
            show(f"{notifier.channel}  delivered")
        except NotifyFailed as error:
            failed += 1
            call.complain(f"{notifier.channel}  {error}")
    return exits.UNEXPECTED if failed else exits.DONE


def healthcheck(context: typer.Context) -> int:
    """Exit 0 when the service touched its heartbeat within five minutes."""
    from watcher.config.place import read_data_dir
    from watcher.jobs.heartbeat import heartbeat_trouble

    trouble = heartbeat_trouble(read_data_dir(context.obj.config))
    show(f"unhealthy: {trouble}" if trouble else "healthy")
    return exits.UNEXPECTED if trouble else exits.DONE


def demo(
    docker: Annotated[bool, typer.Option("--docker", help="Use a real container engine for the trials.")] = False,
    base: Annotated[
        str, typer.Option("--base", help="With --docker: a local image that has python3.")
    ] = "python:3-slim",
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where to keep the demo's data.")] = None,
) -> int:
    """Play the whole loop on this machine, without a device and without the internet."""
    from watcher.demo.story import run_demo

    return run_demo(show, docker=docker, base=base, data_dir=data_dir)


def _origin(origin: Path | None) -> str:
    return str(origin) if origin else "built-in defaults"


def _window_text(window: Any) -> str:
    return "any" if window is None else f"{window[0]:%H:%M}-{window[1]:%H:%M}"


def _without_none(value: Any) -> Any:
    """TOML has no null: what is not set is left out."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
