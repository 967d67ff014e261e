"""config init: looks at the device and writes the first config.toml."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli import exits
from watcher.cli.call import Call, show

if TYPE_CHECKING:
    from watcher.config.settings import DeviceSection
    from watcher.model.survey import RunningService

_IMAGE = "upstream-watcher"
_ON_THE_HOST = (
    'docker run --rm -u "$(id -u):$(id -g)" --group-add "$(stat -c %g /var/run/docker.sock)" '
    "-v /var/run/docker.sock:/var/run/docker.sock -v /:/host:ro -e WATCHER_DEVICE__ROOT=/host -e HOME "
    f'-v "$PWD:$PWD" -w "$PWD" {_IMAGE} config init'
)
_NOT_FROM_HERE = (
    "a container does not see the device's services, models and files; run this line on the device itself, in the "
    "folder where config.toml is to be"
)


def add_to(config: typer.Typer) -> None:
    config.command("init")(config_init)


def config_init(
    context: typer.Context,
    from_compose: Annotated[
        Path | None, typer.Option("--from-compose", metavar="FILE", help="Take over a service of this compose file.")
    ] = None,
    service: Annotated[str | None, typer.Option("--service", metavar="NAME", help="Which of its services.")] = None,
) -> int:
    """Look at this device and write an annotated config.toml for it; where one is, print it instead."""
    from watcher.errors import ConfigError
    from watcher.host.survey import is_inside_a_container

    call: Call = context.obj
    if service is not None and from_compose is None:
        raise ConfigError("--service names one of a compose file: give it with --from-compose")
    device = _device()
    is_inside = is_inside_a_container(device.docker)
    if is_inside and not _sees_the_device(device):
        raise ConfigError(_NOT_FROM_HERE, (_line_for_the_host(from_compose, service),))
    text = _text(device, _chosen(from_compose, service), is_inside)
    return _hand_over(call, text)


def _text(device: "DeviceSection", chosen: "RunningService | None", is_inside: bool) -> str:
    from watcher.config.draft import draft
    from watcher.config.first_plan import first_plan
    from watcher.config.load import read_presets
    from watcher.config.place import shipped
    from watcher.host.survey import missing_sources, take_survey

    presets = read_presets()
    survey, chosen = take_survey(device, presets, Path(os.environ.get("HOME", "/")), chosen)
    services = [*survey.services, *([chosen] if chosen else [])]
    plan = first_plan(survey, presets, chosen, missing_sources(device.root, services))
    # in a container the image says where the device's files are
    root = Path("/") if is_inside else device.root
    return draft(survey, plan, shipped("config.toml").read_text(encoding="utf-8"), root)


def _chosen(file: Path | None, name: str | None) -> "RunningService | None":
    from watcher.config.compose import read_compose

    return None if file is None else read_compose(file, name)


def _device() -> "DeviceSection":
    """Return where to look: as the environment says, else at this machine."""
    import socket

    from watcher.config.place import DOCKER_SOCKET, NO_DOCKER
    from watcher.config.settings import DeviceSection

    root = Path(os.environ.get("WATCHER_DEVICE__ROOT") or "/")
    given = os.environ.get("WATCHER_DEVICE__DOCKER") or os.environ.get("DOCKER_HOST")
    docker = given or (f"unix://{DOCKER_SOCKET}" if DOCKER_SOCKET.exists() else NO_DOCKER)
    if not docker.startswith(("unix://", "tcp://", "http://", "https://")):
        docker = NO_DOCKER
    try:
        name = (root / "etc/hostname").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        name = ""
    return DeviceSection(name=name or socket.gethostname(), docker=docker, root=root)


def _sees_the_device(device: "DeviceSection") -> bool:
    """Return whether the whole device is seen from a container, as the line for the host arranges it."""
    return device.root != Path("/") and (device.root / "etc/os-release").exists()


def _line_for_the_host(file: Path | None, service: str | None) -> str:
    from shlex import quote

    more = [f"--from-compose {quote(str(file))}"] if file else []
    more += [f"--service {quote(service)}"] if service else []
    return " ".join([_ON_THE_HOST, *more])


def _hand_over(call: Call, text: str) -> int:
    """Write the file where there is none, else print the text and say so."""
    place = call.config or Path(os.environ.get("WATCHER_CONFIG") or "config.toml")
    try:
        _write_new(place, text)
    except FileExistsError:
        print(text, end="")
        call.complain(f"{place} is there and stays as it is; above is what this device would get")
        call.complain("move it away, or name another place: watcher --config OTHER.toml config init")
        return exits.MUST_CHANGE
    except OSError as error:
        print(text, end="")
        call.complain(f"{place} could not be written ({error.strerror}); above is what would stand in it")
        return exits.MUST_CHANGE
    show(f"{place} is written; read it, then `watcher config check`")
    return exits.DONE


def _write_new(place: Path, text: str) -> None:
    """Write the whole file or nothing. Raises FileExistsError where something is already."""
    if os.path.lexists(place):
        raise FileExistsError(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, place)  # unlike a rename it never takes the place of another file
    finally:
        part.unlink(missing_ok=True)
