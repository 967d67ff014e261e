"""What the bytes of a wheel say: by the texts in its library, never by its version."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.artifacts.builders import (
    FIXED,
    KIN,
    LIBRARY,
    PRESENT,
    VERSION,
    WARNING,
    assertion,
    library,
    saved,
    torch_wheel,
    wheel,
)
from watcher.artifacts.inspect import read_static, strings_holding
from watcher.artifacts.wheel import WheelFile
from watcher.config.bugs import BugSettings
from watcher.model.verdict import BugState, StaticReading


def reading_of(content: bytes, folder: Path, bug: BugSettings) -> StaticReading:
    return read_static(WheelFile(saved(folder, content)), bug)


def test_the_assert_in_the_library_is_the_bug(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(torch_wheel(PRESENT), tmp_path, bug)
    assert reading.state is BugState.PRESENT
    assert [row.text for row in reading.evidence] == [assertion(1377), assertion(1392), assertion(1407)]
    assert {row.member for row in reading.evidence} == {LIBRARY}
    assert reading.torch == "2.13.0+cu130"
    assert reading.copies == (LIBRARY,)
    assert (reading.kind, reading.target) == ("wheel", str(next(tmp_path.iterdir())))
    assert 0 < reading.bytes_read < 2 * len(PRESENT)


def test_the_text_that_replaced_it_is_the_fix(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(torch_wheel(FIXED, "2.14.0+cu130"), tmp_path, bug)
    assert reading.state is BugState.FIXED
    assert len(reading.evidence) == 2
    assert all(WARNING in row.text for row in reading.evidence)
    assert reading.torch == "2.14.0+cu130"


@pytest.mark.parametrize("version", ["2.5.0a0+872d972e41.nv24.08", "2.14.0"])
def test_the_version_decides_nothing(version: str, tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(torch_wheel(PRESENT, version), tmp_path, bug)
    assert (reading.state, reading.torch) == (BugState.PRESENT, version)


def test_the_same_macro_in_another_file_is_not_this_bug(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(torch_wheel(library(KIN, "CUDACachingAllocator.cpp")), tmp_path, bug)
    assert reading.state is BugState.UNKNOWN
    assert "neither" in reading.reason
    assert reading.evidence == ()


def test_a_library_with_both_texts_is_left_to_the_probe(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(torch_wheel(library(assertion(900), WARNING)), tmp_path, bug)
    assert reading.state is BugState.UNKNOWN
    assert "probe" in reading.reason
    assert len(reading.evidence) == 2


def test_a_cpu_build_says_nothing(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(torch_wheel(None, "2.9.1+cpu"), tmp_path, bug)
    assert (reading.state, reading.torch) == (BugState.UNKNOWN, "2.9.1+cpu")
    assert "CPU" in reading.reason


def test_a_wheel_without_torch_says_so(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(wheel({"notorch/version.py": b"__version__ = '1'\n"}), tmp_path, bug)
    assert (reading.state, reading.torch) == (BugState.UNKNOWN, None)
    assert reading.reason == "there is no torch inside"


def test_two_copies_that_differ_are_both_named(tmp_path: Path, bug: BugSettings) -> None:
    content = wheel({LIBRARY: PRESENT, f"vendored/{LIBRARY}": FIXED})
    reading = reading_of(content, tmp_path, bug)
    assert reading.state is BugState.UNKNOWN
    assert reading.copies == (LIBRARY, f"vendored/{LIBRARY}")
    assert f"vendored/{LIBRARY} holds the text which replaced" in reading.reason
    assert {row.member for row in reading.evidence} == set(reading.copies)


def test_two_copies_that_agree_are_one_answer(tmp_path: Path, bug: BugSettings) -> None:
    reading = reading_of(wheel({LIBRARY: FIXED, f"vendored/{LIBRARY}": FIXED}), tmp_path, bug)
    assert reading.state is BugState.FIXED
    assert "2 copies" in reading.reason


def test_without_a_version_file_the_metadata_tells_the_version(tmp_path: Path, bug: BugSettings) -> None:
    members = {
        LIBRARY: PRESENT,
        "other-1.dist-info/METADATA": b"Version: 1\n",
        "torch-2.7.0.dist-info/METADATA": b"Name: torch\r\nVersion: 2.7.0+cu126\r\n\r\nVersion: 9\r\n",
    }
    assert reading_of(wheel(members), tmp_path, bug).torch == "2.7.0+cu126"


@pytest.mark.parametrize(
    "line",
    ["__version__ = '2.13.0+cu130'", '__version__: str = "2.13.0+cu130"', "__all__ = []\n__version__='2.13.0+cu130'"],
)
def test_the_version_line_is_read_as_torch_ever_wrote_it(line: str, tmp_path: Path, bug: BugSettings) -> None:
    content = wheel({LIBRARY: PRESENT, VERSION: f"from typing import Optional\n{line}\n".encode()})
    assert reading_of(content, tmp_path, bug).torch == "2.13.0+cu130"


def test_a_version_with_other_characters_is_not_believed(tmp_path: Path, bug: BugSettings) -> None:
    content = wheel({LIBRARY: PRESENT, VERSION: b"__version__ = '2.13.0\x1b[31m'\n"})
    assert reading_of(content, tmp_path, bug).torch is None


def test_all_texts_must_stand_in_one_string() -> None:
    data = b"\0NVML_SUCCESS == r INTERNAL ASSERT FAILED\0CUDACachingAllocator.cpp\0"
    texts = ("NVML_SUCCESS", "INTERNAL ASSERT FAILED", "CUDACachingAllocator.cpp")
    assert strings_holding(data, texts) == ()
    assert strings_holding(data.replace(b"\0", b" "), texts) == (data.replace(b"\0", b" ").decode().strip(),)


def test_searching_a_library_of_60_megabytes_takes_a_moment() -> None:
    noise = random.Random(3).randbytes(20_000_000)
    data = noise + assertion(1).encode() + b"\0" + b"CUDACachingAllocator.cpp " * 800_000 + noise
    began = time.process_time()
    found = strings_holding(data, ("NVML_SUCCESS", "INTERNAL ASSERT FAILED", "CUDACachingAllocator.cpp"))
    assert time.process_time() - began < 1.0
    assert len(found) == 1
    assert "CUDACachingAllocator.cpp" in found[0]


@given(
    before=st.binary(max_size=60),
    after=st.binary(max_size=60),
    texts=st.lists(st.text("abcXYZ ._", min_size=1, max_size=8), min_size=1, max_size=3),
)
def test_whatever_surrounds_it_a_string_with_all_texts_is_found(before: bytes, after: bytes, texts: list[str]) -> None:
    data = before + b"\0" + "-".join(texts).encode() + b"\0" + after
    assert any(all(text in string for text in map(str.strip, texts)) for string in strings_holding(data, tuple(texts)))
