"""The device: what it is, and the state that makes a trial comparable."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a trial ran on. A changed `boot_id` alone makes nothing due."""

    l4t: str | None = None
    driver: str | None = None
    boot_id: str | None = None

    @property
    def key(self) -> str:
        """Return the part that decides whether a trial is still valid."""
        return f"l4t={self.l4t or '?'} driver={self.driver or '?'}"


@dataclass(frozen=True, slots=True)
class TripPoint:
    """A temperature at which the device acts by itself; `kind` as in the kernel: `active`, `passive`, `hot`, …"""

    kind: str
    celsius: float


@dataclass(frozen=True, slots=True)
class ThermalZone:
    name: str
    celsius: float
    trip_points: tuple[TripPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class FreeBlocks:
    """The largest free blocks of physical memory: so many of so many bytes, as `lfb NxM` of tegrastats."""

    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What can be known of the device without starting anything. What could not be read is None, or empty.

    Attributes:
        l4t: as in `36.4.4`; None when this is not a Jetson or the file could not be read.
        model: text of the device tree, None off a Jetson.
        jetpack: a label derived from `l4t`; None when the L4T is not in our table.
        memory_total, memory_available: bytes, of `MemTotal` and `MemAvailable`.
        swap_total, swap_free, cma_total, cma_free: bytes.
        nvmap_used: bytes that GPU programs hold, or held and never gave back; None on Thor and off a Jetson.
        power_mode: its name as in `MAXN_SUPER`; the same number means another mode on another board.
        uptime: since the device was started.
        runtimes: names of the Docker runtimes, empty when the engine was not asked.
        architecture: in Docker's words (`arm64`).
    """

    name: str
    state: DeviceState
    model: str | None = None
    jetpack: str | None = None
    architecture: str = "arm64"
    memory_total: int | None = None
    memory_available: int | None = None
    swap_total: int | None = None
    swap_free: int | None = None
    nvmap_used: int | None = None
    cma_total: int | None = None
    cma_free: int | None = None
    free_blocks: FreeBlocks | None = None
    thermal_zones: tuple[ThermalZone, ...] = ()
    power_mode: str | None = None
    uptime: timedelta | None = None
    runtimes: tuple[str, ...] = ()

    @property
    def hottest(self) -> ThermalZone | None:
        return max(self.thermal_zones, key=lambda zone: zone.celsius, default=None)
