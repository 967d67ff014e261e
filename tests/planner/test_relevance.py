"""Pitfall 11: each event says whether it helps this device, and claims nothing that was not read."""

from dataclasses import replace

import pytest

from tests.planner.worlds import NOW, candidate, digest, oci, orin, vllm
from tests.test_answer import JP6, RELEASES, SBSA, bug, image, wheel
from watcher.answer import open_ledger
from watcher.model.facts import Event, EventKind, Fact, FactKind
from watcher.model.trial import Candidate
from watcher.model.verdict import BugState, StaticReading, StaticRecord
from watcher.planner.ledger import Ledger
from watcher.planner.relevance import relevance

SOURCES = (JP6, SBSA, RELEASES, oci())
FIXED, BROKEN = wheel("2.14.0", BugState.FIXED, index="sbsa"), wheel("2.10.0", BugState.PRESENT)
PINNED = StaticReading("v", "wheel", BugState.UNKNOWN, "", pin="==2.14.0")
PIN = StaticRecord("pins", "vllm", "vllm-0.33.0.whl", "0.33.0", "sha256:v", PINNED, NOW)


def ledger(
    *candidates: Candidate, statics: tuple[StaticRecord, ...] = (FIXED, BROKEN, PIN), l4t: str = "36.4.4"
) -> Ledger:
    return open_ledger(
        device=orin(l4t), bug=bug(), engine=vllm(), candidates=candidates, statics=statics, sources=SOURCES
    )


def event(source: str, fact: Fact, kind: EventKind = EventKind.NEW) -> Event:
    return Event(source, kind, fact, NOW)


def fact_of(record: StaticRecord) -> Fact:
    return Fact(FactKind.WHEEL, record.name, record.version, record.digest)


def test_pitfall_11_a_wheel_with_the_fix_for_another_jetpack_says_both() -> None:
    said = relevance(event("sbsa", fact_of(FIXED)), ledger())
    assert said == "carries the fix; not for this device: needs CUDA 13 and L4T r39; this device runs r36.4.4"
    assert relevance(event("sbsa", fact_of(FIXED)), ledger(l4t="39.2.0")) == "carries the fix"
    assert relevance(event("jp6", fact_of(BROKEN)), ledger()) == "carries the bug"


def test_a_release_says_what_it_asks_for() -> None:
    release = event("vllm-releases", Fact(FactKind.RELEASE, "v0.33.0", "0.33.0"))
    assert relevance(release, ledger()) == "asks for torch==2.14.0, which carries the fix"
    assert relevance(event("vllm-releases", Fact(FactKind.RELEASE, "v0.34.0", "0.34.0")), ledger()) is None


def test_indexes_that_differ_leave_a_release_open() -> None:
    other = replace(PIN, source="jp6", reading=replace(PINNED, pin="==2.10.0"))
    release = event("vllm-releases", Fact(FactKind.RELEASE, "v0.33.0", "0.33.0"))
    assert relevance(release, ledger(statics=(FIXED, BROKEN, PIN, other))) is None


def test_a_wheel_is_known_by_its_content_and_not_by_its_name() -> None:
    rebuilt = replace(fact_of(BROKEN), digest="sha256:other")
    assert relevance(event("jp6", rebuilt, EventKind.REBUILT), ledger()) is None
    read = replace(BROKEN, digest="sha256:other", reading=replace(BROKEN.reading, state=BugState.FIXED))
    assert relevance(event("jp6", rebuilt, EventKind.REBUILT), ledger(statics=(BROKEN, read))) == "carries the fix"


def test_an_image_is_not_known_until_its_bytes_are_read() -> None:
    new = candidate("0.33.0-r36.4")
    shown = event("dustynv-vllm", Fact(FactKind.IMAGE, "0.33.0-r36.4", "0.33.0", digest("0.33.0-r36.4")))
    assert "once its bytes are read" in str(relevance(shown, ledger(new)))
    assert relevance(shown, ledger(new, statics=(image(new, BugState.FIXED),))) == "carries the fix"
    barred = replace(new, compatible=False, reasons=("needs L4T r38.2; this device runs r36.4.4",))
    assert relevance(shown, ledger(barred)) == "not for this device: needs L4T r38.2; this device runs r36.4.4"
    other = event("dustynv-vllm", Fact(FactKind.IMAGE, "v1", "1", detail={"_architectures": "amd64"}))
    assert relevance(other, ledger()) == "not for this device: has no image for arm64, only for amd64"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("36.5.0-20260115194252", "newer than what this device runs"),
        ("36.4.3-20250107174145", "not newer than what this device runs"),
        ("38.4.0-20251230160601", "not for this device's board"),
        ("39.2.0-20260601141651", "newer than what this device runs"),
    ],
)
def test_an_l4t_is_held_against_the_devices_own(version: str, said: str) -> None:
    deb = event("l4t", Fact(FactKind.DEB, "nvidia-l4t-core r36.5", version))
    assert relevance(deb, ledger()) == said


def test_a_jetpack_is_held_against_the_device_by_its_dist() -> None:
    def said(dist: str) -> str | None:
        return relevance(event("l4t", Fact(FactKind.DEB, f"nvidia-jetpack {dist}", "7.2+b1")), ledger())

    assert (said("r39.2"), said("r36.4"), said("r38.4")) == (
        "newer than what this device runs",
        "not newer than what this device runs",
        "not for this device's board",
    )


def test_of_what_was_withdrawn_nothing_is_said() -> None:
    assert relevance(event("jp6", fact_of(BROKEN), EventKind.WITHDRAWN), ledger()) is None
