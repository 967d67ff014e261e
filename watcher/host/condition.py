"""How the device is at the moment: memory, heat, power. Read from its files; what they say wrongly is not known."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from watcher.model.device import FreeBlocks, ThermalZone, TripPoint

_MOST_BYTES = 256 * 1024
"""Of one file; the longest of these, meminfo, has two kilobytes."""
_MOST_ZONES = 64
_MOST_TRIP_POINTS = 32
_MOST_ORDERS = 32
_LONGEST_NAME = 40
_PLAUSIBLE_CELSIUS = (-40.0, 150.0)
"""A switched-off sensor reads far below freezing."""
_MEMINFO = re.compile(r"^(\w+): +(\d{1,15}) kB$", re.MULTILINE | re.ASCII)
_MILLIDEGREES = re.compile(r"-?\d{1,7}", re.ASCII)
_ZONE_OF_MEMORY = re.compile(r"^Node +\d+, +zone +\S+((?: +\d{1,9})+) *$", re.MULTILINE | re.ASCII)
_MODE = re.compile(r"\bpmode:0*(\d{1,4})\b", re.ASCII)
_MODE_NAME = re.compile(r"^\s*<\s*POWER_MODEL\s+ID=0*(\d{1,4})\s+NAME=([\w.+-]{1,40})\s*>", re.MULTILINE | re.ASCII)
_UPTIME = re.compile(r"\d{1,10}(?=\.\d)", re.ASCII)


def read_text(root: Path, name: str) -> str | None:
    """Return a file's text without blanks and NUL at its ends, None when there is none."""
    try:
        with (root / name).open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").strip("\0 \t\r\n") or None
    except OSError:
        return None


def parse_meminfo(text: str) -> dict[str, int]:
    """Return the amounts of `proc/meminfo` in bytes."""
    return {name: int(amount) * 1024 for name, amount in _MEMINFO.findall(text)}


def parse_buddyinfo(text: str, page_bytes: int = os.sysconf("SC_PAGE_SIZE")) -> FreeBlocks | None:
    """Return the largest free blocks of `proc/buddyinfo`, over all zones: column n counts blocks of 2ⁿ pages."""
    free: dict[int, int] = {}
    for counts in _ZONE_OF_MEMORY.findall(text):
        for order, count in enumerate(islice(counts.split(), _MOST_ORDERS)):
            free[order] = free.get(order, 0) + int(count)
    top = max((order for order, count in free.items() if count), default=None)
    return None if top is None else FreeBlocks(free[top], page_bytes << top)


def parse_uptime(text: str) -> timedelta | None:
    match = _UPTIME.match(text)
    return timedelta(seconds=int(match[0])) if match else None


def parse_power_mode(status: str, modes: str) -> str | None:
    """Return the name of the mode that nvpmodel noted in its status file, as its list of modes calls it."""
    noted = _MODE.search(status)
    return dict(_MODE_NAME.findall(modes)).get(noted[1]) if noted else None


def read_power_mode(root: Path) -> str | None:
    status, modes = read_text(root, "var/lib/nvpmodel/status"), read_text(root, _modes_file(root))
    return parse_power_mode(status or "", modes or "")


def _modes_file(root: Path) -> str:
    """Return where the list of modes is: the link from `etc` is absolute, and would lead out of `root`."""
    name = "etc/nvpmodel.conf"
    try:
        return str((root / name).readlink()).lstrip("/") if (root / name).is_symlink() else name
    except OSError:
        return name


def read_thermal_zones(root: Path) -> tuple[ThermalZone, ...]:
    """Return the zones whose sensor says something plausible, each with the trip points that do."""
    folders = islice((root / "sys/class/thermal").glob("thermal_zone*"), _MOST_ZONES)
    return tuple(zone for folder in sorted(folders) if (zone := _thermal_zone(folder)) is not None)


def _thermal_zone(folder: Path) -> ThermalZone | None:
    celsius = parse_celsius(read_text(folder, "temp") or "")
    name = (read_text(folder, "type") or folder.name)[:_LONGEST_NAME]
    return None if celsius is None else ThermalZone(name, celsius, tuple(_trip_points(folder)))


def _trip_points(folder: Path) -> Iterator[TripPoint]:
    for number in range(_MOST_TRIP_POINTS):
        kind, told = (read_text(folder, f"trip_point_{number}_{what}") for what in ("type", "temp"))
        celsius = parse_celsius(told or "")
        if kind is not None and celsius is not None:
            yield TripPoint(kind[:_LONGEST_NAME], celsius)


def parse_celsius(text: str) -> float | None:
    """Return the degrees of a sensor's thousandths; None for what no device can have."""
    low, high = _PLAUSIBLE_CELSIUS
    degrees = int(text) / 1000 if _MILLIDEGREES.fullmatch(text) else low
    return degrees if low < degrees < high else None
