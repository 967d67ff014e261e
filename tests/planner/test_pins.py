"""What a dependent's pin says: as much as is known of the one build that it names."""

import pytest

from tests.planner.worlds import NOW
from watcher.model.verdict import BugState, StaticReading, StaticRecord
from watcher.planner.pins import resolved

P, F, U = BugState.PRESENT, BugState.FIXED, BugState.UNKNOWN


def build(version: str, state: BugState) -> StaticRecord:
    reading = StaticReading(version, "wheel", state, "read")
    return StaticRecord("torch", "torch", f"torch-{version}.whl", version, f"sha256:{version}", reading, NOW)


def dependent(pin: str | None) -> StaticRecord:
    reading = StaticReading("vllm", "wheel", U, "asks", pin=pin)
    return StaticRecord("vllm", "vllm", "vllm-1.whl", "1", "sha256:vllm", reading, NOW)


BUILDS = (build("2.12.1", P), build("2.13.0", P), build("2.14.0", F), build("2.15.0", F))


@pytest.mark.parametrize(
    ("pin", "state"),
    [
        ("==2.13.0", P),
        ("==2.14.0", F),
        ("==2.14.0+cu130", F),
        ("==2.14.0,<2.15", F),
        ("==2.14.0,>=2.15", U),  # allows nothing
        ("==2.11.0", U),  # was never read
        (">=2.14", U),  # also allows builds that nobody listed
        ("==2.14.*", U),
        ("not a specifier", U),
    ],
)
def test_only_a_pin_on_one_version_says_something(pin: str, state: BugState) -> None:
    *_, record = resolved([*BUILDS, dependent(pin)], "torch")
    assert record.reading.state is state
    assert record.reading.reason.startswith(f"asks for torch{pin}, ")


def test_a_build_without_the_library_says_nothing() -> None:
    *_, record = resolved([build("2.14.0", U), build("2.14.0", F), dependent("==2.14.0")], "torch")
    assert record.reading.state is F


def test_builds_of_one_version_that_differ_leave_it_open() -> None:
    *_, record = resolved([build("2.14.0", P), build("2.14.0", F), dependent("==2.14.0")], "torch")
    assert record.reading.state is U


def test_what_has_no_pin_stays_as_it_was_read() -> None:
    assert resolved([*BUILDS, dependent(None)], "torch") == (*BUILDS, dependent(None))
