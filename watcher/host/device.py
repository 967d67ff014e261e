"""What can be known of the device from its files, without starting anything. Off a Jetson most of it is None."""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from watcher.config.settings import DeviceSection
from watcher.host.condition import (
    parse_buddyinfo,
    parse_meminfo,
    parse_uptime,
    read_power_mode,
    read_text,
    read_thermal_zones,
)
from watcher.model.device import DeviceFacts, DeviceState

JETPACK = {
    "35.4.1": "5.1.2",
    "35.6.1": "5.1.5",
    "35.6.2": "5.1.5",
    "35.6.4": "5.1.6",
    "36.2": "6.0 DP",
    "36.2.0": "6.0 DP",
    "36.3": "6.0",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.2": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "36.5.2": "6.2.3",
    "38.2.0": "7.0",
    "38.2.1": "7.0",
    "38.2.2": "7.0",
    "38.4.0": "7.1",
    "39.2.0": "7.2",
    "39.2.1": "7.2.1",
}
"""L4T to JetPack, from NVIDIA's release pages: a label only, tables in the wild differ. Decide on L4T."""

_RELEASE = re.compile(r"^# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)")
_DRIVER = re.compile(r"\b(\d{3,}\.\d+(?:\.\d+)*)\b")
_CORE_PACKAGE = "nvidia-l4t-core"
_FIELD = re.compile(r"^(Package|Status|Version): *(.*?) *$", re.MULTILINE)


def read_device(section: DeviceSection, runtimes: Iterable[str] = ()) -> DeviceFacts:
    """Return the facts below `section.root`; what cannot be read is None, what the operator wrote wins."""
    root = section.root
    l4t = section.l4t or read_l4t(root)
    memory = parse_meminfo(read_text(root, "proc/meminfo") or "")
    return DeviceFacts(
        name=section.name,
        state=DeviceState(l4t=l4t, driver=section.driver or _driver(root), boot_id=read_text(root, _BOOT_ID)),
        model=read_text(root, "proc/device-tree/model"),
        jetpack=jetpack_of(l4t),
        architecture=section.architecture,
        memory_total=memory.get("MemTotal"),
        memory_available=memory.get("MemAvailable"),
        swap_total=memory.get("SwapTotal"),
        swap_free=memory.get("SwapFree"),
        nvmap_used=memory.get("NvMapMemUsed"),
        cma_total=memory.get("CmaTotal"),
        cma_free=memory.get("CmaFree"),
        free_blocks=parse_buddyinfo(read_text(root, "proc/buddyinfo") or ""),
        thermal_zones=read_thermal_zones(root),
        power_mode=read_power_mode(root),
        uptime=parse_uptime(read_text(root, "proc/uptime") or ""),
        runtimes=tuple(runtimes),
    )


_BOOT_ID = "proc/sys/kernel/random/boot_id"


def jetpack_of(l4t: str | None) -> str | None:
    """Return the JetPack label of an L4T release, None for one that is not in the table."""
    return JETPACK.get(l4t) if l4t else None


def read_l4t(root: Path) -> str | None:
    """Return the installed L4T as in `36.4.7`. The package knows better than the release file, which may lag."""
    return _packaged_l4t(root / "var/lib/dpkg/status") or parse_release(read_text(root, "etc/nv_tegra_release") or "")


def parse_release(text: str) -> str | None:
    """Return the L4T of a release file; only the first line counts, and its date is written in several ways."""
    match = _RELEASE.match(text)
    return f"{match[1]}.{match[2]}" if match else None


def _packaged_l4t(status: Path) -> str | None:
    try:
        stamp = status.stat()
        return _core_version(status, stamp.st_mtime_ns, stamp.st_size)
    except OSError:
        return None


@lru_cache(maxsize=4)
def _core_version(status: Path, _changed: int, _bytes: int) -> str | None:
    """Return the version of the installed core package; read once per change, the file may have 10 MB."""
    text = status.read_text(encoding="utf-8", errors="replace")
    for paragraph in text.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph)) if _CORE_PACKAGE in paragraph else {}
        if fields.get("Package") == _CORE_PACKAGE and fields.get("Status") == "install ok installed":
            return fields.get("Version", "").partition("-")[0] or None
    return None


def _driver(root: Path) -> str | None:
    told = read_text(root, "proc/driver/nvidia/version") or ""
    match = _DRIVER.search(told.partition("\n")[0])
    return match[1] if match else read_text(root, "sys/module/nvidia/version")
