"""Units of systemd whose program is a known engine's: of the machine, and of the account that asks."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from watcher.config.adopt import engine_of
from watcher.config.engines import EngineSettings
from watcher.errors import HostError
from watcher.host.systemctl import Systemctl, why_no_systemd
from watcher.host.unit_services import UnitServices
from watcher.model.survey import RunningService

_ARGV = re.compile(r"argv\[\]=(.*?) ;")
_OURS = ("watcher.service", "watcher-restore.service")


def running_units(presets: Mapping[str, EngineSettings]) -> tuple[tuple[RunningService, ...], str | None]:
    """Return the units that run, and a sentence where they could not be listed."""
    if (why := why_no_systemd()) is not None:
        return (), why
    found: list[RunningService] = []
    trouble = None
    for kind, user_id in (("systemd", None), ("systemd-user", os.geteuid())):
        try:
            found += _of_manager(kind, Systemctl(user_id), presets)
        except HostError as error:
            trouble = f"{kind} units could not be listed ({error.fields.get('cause') or error.message})"
    return tuple(found), trouble


def _of_manager(kind: str, manager: Systemctl, presets: Mapping[str, EngineSettings]) -> Iterator[RunningService]:
    for unit, command in manager.running().items():
        argv = _ARGV.search(command)
        words = tuple(argv[1].split()) if argv else ()
        service = RunningService(service=f"{kind}:{unit}", origin=f"unit {unit}", command=words)
        if unit not in _OURS and engine_of(service, presets):
            yield replace(service, refusal=_refusal(service.service))


def _refusal(service: str) -> str | None:
    try:
        UnitServices().examine(service)
    except HostError as error:
        return str(error)
    return None
