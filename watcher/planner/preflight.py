"""What speaks against a trial before anything is touched, and whether freed memory is back. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from watcher.config.settings import Preflight
from watcher.model.device import DeviceFacts, ThermalZone
from watcher.model.text import printable, span
from watcher.planner.boot import QUARANTINE

CLOCK_WAIT = timedelta(minutes=10)
COOLING = timedelta(minutes=15)
FREEING = timedelta(minutes=30)
MAKING_ROOM = timedelta(hours=6)
MARGIN_CELSIUS = 5.0
"""A trial heats the device: it begins only so far below the point at which the device slows itself down."""
_SLOWS_DOWN = ("passive", "hot")
_LOWEST_LIMIT = 50.0
"""A trip point below this is not set, or is about the fan."""
_FIRST_SANE_YEAR = 2025
_QUIET_LOOKS = 3
_CHANGE = 0.01
_WORTH_TELLING = 500_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the device's facts.

    Attributes:
        runtime: what the engine would be run by.
        free_disk: bytes where images are kept; None when that cannot be seen.
        displaced, gpu_users: containers that would stop; those that may use the GPU now.
        starts_engine: question 2 is asked, so that the engine's memory has to be there.
    """

    now: datetime
    runtime: str
    free_disk: int | None = None
    displaced: tuple[str, ...] = ()
    gpu_users: tuple[str, ...] = ()
    starts_engine: bool = True
    quarantined: bool = False

    @property
    def others(self) -> tuple[str, ...]:
        """Return who keeps using the GPU during the trial."""
        return tuple(printable(name, 80) for name in self.gpu_users if name not in self.displaced)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason against a trial. `retry_at` is None where no time cures it, but somebody has to change something."""

    reason: str
    retry_at: datetime | None = None
    lifted_by_force: bool = False


def refusals(facts: DeviceFacts, limits: Preflight, known: Known) -> tuple[Refusal, ...]:
    """Return everything that speaks against a trial now. What could not be read speaks against nothing."""
    return (
        *_clock(known),
        *_runtime(facts, known),
        *_heat(facts, limits, known),
        *_memory(facts, limits, known),
        *_disk(limits, known),
        *_quarantine(known),
    )


def retry_at(refusals: Iterable[Refusal]) -> datetime | None:
    """Return the first time at which none of them may hold any more; None when a person has to act."""
    times = [refusal.retry_at for refusal in refusals]
    return max((time for time in times if time is not None), default=None) if None not in times else None


def _clock(known: Known) -> Iterator[Refusal]:
    if known.now.year < _FIRST_SANE_YEAR:
        yield Refusal(f"the clock is not set: it says {known.now:%Y-%m-%d}", known.now + CLOCK_WAIT)


def _runtime(facts: DeviceFacts, known: Known) -> Iterator[Refusal]:
    if facts.runtimes and known.runtime not in facts.runtimes:
        yield Refusal(
            f"Docker has no runtime {known.runtime!r}, only {', '.join(facts.runtimes)}: install the NVIDIA container"
            " toolkit, or set device.runtime"
        )


def _heat(facts: DeviceFacts, limits: Preflight, known: Known) -> Iterator[Refusal]:
    """Yield the zone that is furthest above its limit: the operator's, else the one of its own trip points."""
    hot = [(zone.celsius - limit, zone.name, zone.celsius, limit) for zone, limit in _limited(facts, limits)]
    above, name, celsius, limit = max(hot, default=(0.0, "", 0.0, 0.0))
    if above > 0:
        reason = f"the device is too hot: {printable(name, 40)} has {celsius:g} °C, a trial begins below {limit:g} °C"
        yield Refusal(reason, known.now + COOLING, lifted_by_force=True)


def _limited(facts: DeviceFacts, limits: Preflight) -> Iterator[tuple[ThermalZone, float]]:
    for zone in facts.thermal_zones:
        limit = limits.max_celsius if limits.max_celsius is not None else own_limit(zone)
        if limit is not None:
            yield zone, limit


def own_limit(zone: ThermalZone) -> float | None:
    """Return where a trial may begin at most, by the zone's own trip points; None when it has none that count."""
    points = [point.celsius for point in zone.trip_points if point.kind in _SLOWS_DOWN]
    lowest = min((celsius for celsius in points if celsius >= _LOWEST_LIMIT), default=None)
    return None if lowest is None else lowest - MARGIN_CELSIUS


def _memory(facts: DeviceFacts, limits: Preflight, known: Known) -> Iterator[Refusal]:
    """Yield only what is sure: how much a displaced service will free is not known beforehand."""
    needed, total, available = limits.min_memory, facts.memory_total, facts.memory_available
    if needed is None or not known.starts_engine:
        return
    if total is not None and total < needed:
        reason = f"min_memory asks for {gb(needed)}, the device has {gb(total)} in all"
        yield Refusal(reason, lifted_by_force=True)
    elif available is not None and available < needed and not known.displaced:
        reason = f"memory is short: {gb(available)} of the {gb(needed)} that min_memory asks for are available, and"
        yield Refusal(f"{reason} no service is displaced for it{_told_others(known)}", known.now + FREEING, True)


def _disk(limits: Preflight, known: Known) -> Iterator[Refusal]:
    needed, free = limits.min_disk, known.free_disk
    if needed is not None and free is not None and free < needed:
        reason = f"the disk has too little room: {gb(free)} of the {gb(needed)} that min_disk asks for are free"
        yield Refusal(reason, known.now + MAKING_ROOM)


def _quarantine(known: Known) -> Iterator[Refusal]:
    if known.quarantined:
        yield Refusal(QUARANTINE, lifted_by_force=True)


def _told_others(known: Known) -> str:
    return f" ({', '.join(known.others)} may use the GPU too)" if known.others else ""


def is_settled(looks: Sequence[DeviceFacts], needed: int | None) -> bool:
    """Return whether memory came to rest, and enough of it is there. A device that does not tell is not waited for."""
    last = looks[-1].memory_available
    if last is None:
        return True
    recent = looks[-_QUIET_LOOKS:]
    is_quiet = len(recent) == _QUIET_LOOKS and not any(_moves(*pair) for pair in pairwise(recent))
    return is_quiet and (needed is None or last >= needed)


def _moves(before: DeviceFacts, after: DeviceFacts) -> bool:
    """Return whether memory was still coming back between two looks."""
    grew = (after.memory_available or 0) - (before.memory_available or 0)
    fell = (before.nvmap_used or 0) - (after.nvmap_used or 0)
    return grew > _CHANGE * (before.memory_available or 0) or fell > _CHANGE * (before.nvmap_used or 0)


def not_settled(facts: DeviceFacts, needed: int | None, known: Known) -> str:
    """Return what to say of a device whose memory was not there at the end of `settle`."""
    available, held = facts.memory_available or 0, facts.nvmap_used or 0
    if needed is None or available >= needed:
        said = f"memory did not come to rest: {gb(available)} are available"
    else:
        said = f"memory did not come back: {gb(available)} of the {gb(needed)} that min_memory asks for are available"
    if known.others:
        return said + _told_others(known)
    return said + (f"; NvMap still holds {gb(held)}: reboot the device" if held > _WORTH_TELLING else "")


def condition(facts: DeviceFacts) -> str:
    """Return how the device stands in one bounded line: what was read of it, nothing else."""
    blocks, hottest = facts.free_blocks, facts.hottest
    parts = [
        _of(facts.memory_available, facts.memory_total, "available"),
        _of(facts.swap_free, facts.swap_total, "of swap free"),
        None if facts.nvmap_used is None else f"{gb(facts.nvmap_used)} held by NvMap",
        _of(facts.cma_free, facts.cma_total, "of CMA free"),
        None if blocks is None else f"largest free blocks {blocks.count} × {blocks.bytes / 2**20:g} MiB",
        None if hottest is None else f"{hottest.celsius:g} °C at {printable(hottest.name, 40)}",
        None if facts.power_mode is None else f"power mode {printable(facts.power_mode, 40)}",
        None if facts.uptime is None else f"up for {span(facts.uptime)}",
    ]
    return ", ".join(part for part in parts if part) or "nothing could be read"


def _of(free: int | None, total: int | None, what: str) -> str | None:
    if free is None:
        return None
    return f"{gb(free)} {what}" if total is None else f"{free / 1e9:.1f} of {gb(total)} {what}"


def gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
