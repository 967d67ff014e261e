"""Damaged and hostile wheels are one clear error; nothing in them can fill the memory."""

import io
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from tests.artifacts.builders import LIBRARY, PRESENT, saved, torch_wheel, wheel
from watcher.artifacts.wheel import WheelFile
from watcher.errors import HostError


def read_all(content: bytes, folder: Path) -> list[tuple[str, bytes]]:
    return list(WheelFile(saved(folder, content)).members((LIBRARY,)))


def test_only_whole_path_components_match(tmp_path: Path) -> None:
    content = wheel({LIBRARY: b"1", f"a/{LIBRARY}": b"2", f"my{LIBRARY}": b"3", f"{LIBRARY}/x": b"4"})
    assert read_all(content, tmp_path) == [(LIBRARY, b"1"), (f"a/{LIBRARY}", b"2")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_both_methods_of_wheels_are_read(method: int, tmp_path: Path) -> None:
    assert read_all(wheel({LIBRARY: PRESENT}, method), tmp_path) == [(LIBRARY, PRESENT)]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(method: int, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="compressed in a way"):
        read_all(wheel({LIBRARY: PRESENT}, method), tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = wheel({LIBRARY: bytes(64 * 2**20)})
    tracemalloc.start()
    with pytest.raises(HostError, match="unpacks to far more"):
        read_all(bomb, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


def test_a_bomb_that_lies_about_its_size_does_not_unpack_further(tmp_path: Path) -> None:
    bomb = wheel({LIBRARY: bytes(64 * 2**20)})
    told = struct.pack("<L", 64 * 2**20)
    tracemalloc.start()
    with pytest.raises(HostError, match="damaged"):
        read_all(bomb.replace(told, struct.pack("<L", 1000)), tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


def test_a_member_larger_than_any_library_is_refused(tmp_path: Path) -> None:
    content = bytearray(wheel({LIBRARY: PRESENT}))
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<LL", 300_000_000, 300_000_000)
    with pytest.raises(HostError, match="larger than allowed"):
        read_all(bytes(content), tmp_path)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_wheel_cut_off_is_an_error(part: float, tmp_path: Path) -> None:
    content = torch_wheel(PRESENT)
    with pytest.raises(HostError, match="zip directory"):
        read_all(content[: int(len(content) * part)], tmp_path)


def test_a_damaged_library_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    content = bytearray(wheel({LIBRARY: PRESENT}))
    content[2000] ^= 0xFF
    with pytest.raises(HostError, match="a member of the wheel is damaged"):
        read_all(bytes(content), tmp_path)


def test_an_encrypted_member_is_an_error(tmp_path: Path) -> None:
    content = bytearray(wheel({LIBRARY: PRESENT}))
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(HostError, match="damaged"):
        read_all(bytes(content), tmp_path)


def test_no_damage_whatever_raises_anything_else(tmp_path: Path) -> None:
    """Flip bytes all over a small wheel, its directory above all: the answer is the content or our own error."""
    whole = wheel({LIBRARY: PRESENT[:3000], "torch/version.py": b"__version__ = '1'\n"})
    dice, errors = random.Random(5), 0
    for _ in range(1500):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            content[dice.choice((dice.randrange(len(content)), -1 - dice.randrange(250)))] = dice.randrange(256)
        try:
            assert {path for path, _ in read_all(bytes(content), tmp_path)} <= {LIBRARY}
        except HostError:
            errors += 1
    assert errors > 500


def test_a_wheel_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot be read.*missing\.whl"):
        list(WheelFile(tmp_path / "missing.whl").members((LIBRARY,)))


def test_a_zip_directory_in_zip64_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open(LIBRARY, "w", force_zip64=True) as member:
        member.write(PRESENT)
    assert read_all(out.getvalue(), tmp_path) == [(LIBRARY, PRESENT)]
