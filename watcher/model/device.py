"""The device: what it is, and the state that makes a trial comparable."""

from dataclasses import dataclass


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
class DeviceFacts:
    """What can be known of the device without starting anything.

    Attributes:
        l4t: as in `36.4.4`; None when this is not a Jetson or the file could not be read.
        model: text of the device tree, None off a Jetson.
        jetpack: a label derived from `l4t`; None when the L4T is not in our table.
        memory_total, memory_available: bytes, of `MemTotal` and `MemAvailable`.
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
    celsius: float | None = None
    runtimes: tuple[str, ...] = ()
