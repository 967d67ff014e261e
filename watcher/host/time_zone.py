"""The device's time zone, as Debian and systemd write it down; a container has its own, which is seldom it."""

from contextlib import suppress
from pathlib import Path

from watcher.config.values import is_time_zone

_FOLDER = "/zoneinfo/"


def device_zone(root: Path) -> str | None:
    """Return the zone's name, such as `Europe/Berlin`, of the device whose files are below `root`; None if not told."""
    with suppress(OSError):  # not followed: the link leads to the device's own files
        name = str((root / "etc/localtime").readlink()).partition(_FOLDER)[2]
        if is_time_zone(name):
            return name
    with suppress(OSError, UnicodeDecodeError):
        name = (root / "etc/timezone").read_text(encoding="utf-8").strip()
        if is_time_zone(name):
            return name
    return None
