"""What speaks against a trial, and when freed memory is back."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.worlds import NOW, orin
from watcher.config.settings import Preflight
from watcher.model.device import DeviceFacts, FreeBlocks, ThermalZone, TripPoint
from watcher.planner.boot import QUARANTINE
from watcher.planner.preflight import (
    COOLING,
    FREEING,
    MAKING_ROOM,
    MARGIN_CELSIUS,
    Known,
    condition,
    is_settled,
    not_settled,
    own_limit,
    refusals,
    retry_at,
)

GB = 10**9
ORIN = replace(
    orin(),
    memory_total=16 * GB,
    memory_available=3 * GB,
    runtimes=("nvidia", "runc"),
    thermal_zones=(
        ThermalZone("cpu-thermal", 62.5, (TripPoint("passive", 99.0), TripPoint("critical", 104.5))),
        ThermalZone("tj-thermal", 63.0, (TripPoint("active", 51.0), TripPoint("critical", 70.0))),
    ),
)
KNOWN = Known(now=NOW, runtime="nvidia", free_disk=50 * GB, displaced=("assistant",), gpu_users=("assistant",))
NO_LIMITS = Preflight()


def heated(celsius: float, *points: TripPoint) -> DeviceFacts:
    return replace(ORIN, thermal_zones=(*ORIN.thermal_zones, ThermalZone("gpu-thermal", celsius, points)))


PASSIVE = TripPoint("passive", 90.0)
CASES: list[tuple[str, DeviceFacts, Preflight, Known, str | None, datetime | None, bool]] = [
    ("a quiet device", ORIN, NO_LIMITS, KNOWN, None, None, False),
    (
        "nothing could be read",
        orin(None, None, None),
        Preflight(min_memory=GB, max_celsius=1.0),
        replace(KNOWN, free_disk=None),
        None,
        None,
        False,
    ),
    (
        "no clock",
        ORIN,
        NO_LIMITS,
        replace(KNOWN, now=NOW.replace(year=1970)),
        "the clock is not set: it says 1970-11-23",
        NOW.replace(year=1970) + timedelta(minutes=10),
        False,
    ),
    (
        "no runtime",
        replace(ORIN, runtimes=("runc",)),
        NO_LIMITS,
        KNOWN,
        "Docker has no runtime 'nvidia', only runc",
        None,
        False,
    ),
    ("the engine was not asked", replace(ORIN, runtimes=()), NO_LIMITS, KNOWN, None, None, False),
    (
        "above the operator's limit",
        ORIN,
        Preflight(max_celsius=62.0),
        KNOWN,
        "tj-thermal has 63 °C, a trial begins below 62 °C",
        NOW + COOLING,
        True,
    ),
    (
        "the operator's limit goes before the device's own",
        heated(95, PASSIVE),
        Preflight(max_celsius=98.0),
        KNOWN,
        None,
        None,
        False,
    ),
    (
        "near its own trip point",
        heated(86, PASSIVE),
        NO_LIMITS,
        KNOWN,
        "gpu-thermal has 86 °C, a trial begins below 85 °C",
        NOW + COOLING,
        True,
    ),
    ("just below it", heated(85, PASSIVE), NO_LIMITS, KNOWN, None, None, False),
    (
        "hot counts too",
        heated(100, TripPoint("hot", 103.0)),
        NO_LIMITS,
        KNOWN,
        "gpu-thermal has 100 °C",
        NOW + COOLING,
        True,
    ),
    (
        "what switches the fan on is no limit",
        heated(60, TripPoint("active", 50.0)),
        NO_LIMITS,
        KNOWN,
        None,
        None,
        False,
    ),
    (
        "what switches the device off is no limit",
        heated(100, TripPoint("critical", 100.5)),
        NO_LIMITS,
        KNOWN,
        None,
        None,
        False,
    ),
    ("a trip point that is not set", heated(45, TripPoint("passive", 0.0)), NO_LIMITS, KNOWN, None, None, False),
    (
        "more than there is in all",
        ORIN,
        Preflight(min_memory=17 * GB),
        KNOWN,
        "min_memory asks for 17.0 GB, the device has 16.0 GB",
        None,
        True,
    ),
    (
        "a service will free memory, nobody knows how much",
        ORIN,
        Preflight(min_memory=15 * GB),
        KNOWN,
        None,
        None,
        False,
    ),
    (
        "nobody makes room",
        ORIN,
        Preflight(min_memory=4 * GB),
        replace(KNOWN, displaced=()),
        "4.0 GB that min_memory asks for are available, and no service is displaced for it (assistant may use the GPU",
        NOW + FREEING,
        True,
    ),
    (
        "no engine is started",
        ORIN,
        Preflight(min_memory=17 * GB),
        replace(KNOWN, starts_engine=False),
        None,
        None,
        False,
    ),
    ("another GPU user alone", ORIN, NO_LIMITS, replace(KNOWN, gpu_users=("assistant", "camera")), None, None, False),
    (
        "no room on the disk",
        ORIN,
        Preflight(min_disk=51 * GB),
        KNOWN,
        "50.0 GB of the 51.0 GB that min_disk asks for",
        NOW + MAKING_ROOM,
        False,
    ),
    (
        "a disk that cannot be seen",
        ORIN,
        Preflight(min_disk=51 * GB),
        replace(KNOWN, free_disk=None),
        None,
        None,
        False,
    ),
    ("quarantine", ORIN, NO_LIMITS, replace(KNOWN, quarantined=True), QUARANTINE, None, True),
]


@pytest.mark.parametrize(
    ("facts", "limits", "known", "reason", "again", "forcible"),
    [row[1:] for row in CASES],
    ids=[row[0] for row in CASES],
)
def test_one_thing_speaks_against_a_trial_or_nothing(
    facts: DeviceFacts, limits: Preflight, known: Known, reason: str | None, again: datetime | None, forcible: bool
) -> None:
    found = refusals(facts, limits, known)
    assert len(found) == (reason is not None), found
    for refusal in found:
        assert reason is not None
        assert reason in refusal.reason
        assert (refusal.retry_at, refusal.lifted_by_force) == (again, forcible)


def test_all_is_said_at_once_with_the_first_time_at_which_nothing_of_it_may_hold() -> None:
    limits = Preflight(max_celsius=50.0, min_disk=60 * GB)
    found = refusals(ORIN, limits, KNOWN)
    assert [one.reason.partition(":")[0] for one in found] == ["the device is too hot", "the disk has too little room"]
    assert retry_at(found) == NOW + MAKING_ROOM
    assert retry_at(refusals(ORIN, limits, replace(KNOWN, quarantined=True))) is None, "no time cures that"
    assert retry_at(()) is None


POINTS = st.lists(st.builds(TripPoint, st.sampled_from(["active", "passive", "hot", "critical"]), st.floats(-40, 150)))


@given(POINTS)
def test_the_own_limit_lies_below_every_point_at_which_the_device_slows_down(points: list[TripPoint]) -> None:
    limit = own_limit(ThermalZone("z", 20.0, tuple(points)))
    that_count = [one.celsius for one in points if one.kind in ("passive", "hot") and one.celsius >= 50]
    assert limit == (min(that_count) - MARGIN_CELSIUS if that_count else None)


# --- settle -----------------------------------------------------------------------------------------------------------


def looks(*available: float, nvmap: tuple[float, ...] = ()) -> list[DeviceFacts]:
    held: tuple[float | None, ...] = nvmap or (None,) * len(available)
    return [
        replace(ORIN, memory_available=round(a * GB), nvmap_used=None if n is None else round(n * GB))
        for a, n in zip(available, held, strict=True)
    ]


@pytest.mark.parametrize(
    ("settled", "seen", "needed"),
    [
        (False, looks(9.0), None),
        (False, looks(9.0, 9.0), None),
        (True, looks(9.0, 9.0, 9.0), None),
        (False, looks(3.0, 6.0, 9.0), None),
        (False, looks(9.0, 9.0, 9.2), None),
        (True, looks(3.0, 9.0, 9.01, 9.02), None),
        (True, looks(9.0, 8.0, 7.0), None),  # others take some: that is no memory coming back
        (False, looks(9.0, 9.0, 9.0), 10 * GB),
        (True, looks(9.0, 9.0, 9.0), 9 * GB),
        (False, looks(9.0, 9.0, 9.0, nvmap=(4.0, 3.0, 2.0)), None),
        (True, looks(9.0, 9.0, 9.0, nvmap=(4.0, 4.0, 4.0)), None),
    ],
)
def test_memory_is_back_when_it_came_to_rest_and_is_enough(
    settled: bool, seen: list[DeviceFacts], needed: int | None
) -> None:
    assert is_settled(seen, needed) is settled


def test_a_device_that_tells_nothing_is_not_waited_for() -> None:
    assert is_settled([orin()], 10 * GB)


def test_memory_that_is_not_there_is_told_with_figures_and_with_who_may_hold_it() -> None:
    (now,) = looks(5.1, nvmap=(4.2,))
    short = "memory did not come back: 5.1 GB of the 9.0 GB that min_memory asks for are available"
    assert not_settled(now, 9 * GB, KNOWN) == f"{short}; NvMap still holds 4.2 GB: reboot the device"
    others = replace(KNOWN, gpu_users=("assistant", "camera"))
    assert not_settled(now, 9 * GB, others) == f"{short} (camera may use the GPU too)"
    (without_nvmap,) = looks(5.1)
    assert not_settled(without_nvmap, 9 * GB, KNOWN) == short
    assert not_settled(without_nvmap, None, KNOWN) == "memory did not come to rest: 5.1 GB are available"


def test_the_condition_of_a_device_is_one_bounded_line_of_what_was_read() -> None:
    assert condition(orin()) == "nothing could be read"
    facts = replace(
        ORIN,
        swap_total=8 * GB,
        swap_free=7 * GB,
        nvmap_used=4 * GB,
        cma_total=GB // 2,
        cma_free=GB // 4,
        free_blocks=FreeBlocks(12, 4 * 2**20),
        power_mode="MAXN_SUPER",
        uptime=timedelta(hours=3, minutes=2),
    )
    assert condition(facts) == (
        "3.0 of 16.0 GB available, 7.0 of 8.0 GB of swap free, 4.0 GB held by NvMap, 0.2 of 0.5 GB of CMA free,"
        " largest free blocks 12 × 4 MiB, 63 °C at tj-thermal, power mode MAXN_SUPER, up for 3 h 2 min"
    )
    hostile = ThermalZone("\x1b[31m" * 5000, 140.0)
    line = condition(replace(facts, thermal_zones=(hostile,), power_mode="x" * 5000))
    assert len(line) < 400
    assert "\x1b" not in line
