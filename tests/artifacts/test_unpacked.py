"""A wheel as a tar archive: what pip would lay down, and nothing that a stranger smuggles in."""

import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.artifacts.builders import FIXED, LIBRARY, saved, torch_wheel, wheel
from watcher.artifacts import unpacked as module
from watcher.artifacts.unpacked import unpacked, unpacked_bytes
from watcher.errors import CannotStart


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(unpacked(path)))) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_all_that_is_installed_lies_where_python_looks_for_it(tmp_path: Path) -> None:
    path = saved(tmp_path, torch_wheel(FIXED, "2.14.0"))
    with zipfile.ZipFile(path) as archive:
        assert read(path) == {name: archive.read(name) for name in archive.namelist()}
        assert unpacked_bytes(path) == sum(entry.file_size for entry in archive.infolist())
    with tarfile.open(fileobj=io.BytesIO(b"".join(unpacked(path)))) as tar:
        entries = {entry.name: entry for entry in tar}
    assert entries["torch"].isdir()
    assert entries["torch/lib"].mode == 0o755, "an image's own user can read it"
    assert entries[LIBRARY].mode & 0o444


def test_libraries_of_a_data_folder_lie_at_the_root_and_scripts_nowhere(tmp_path: Path) -> None:
    members = {"x-1.data/platlib/torch/a.py": b"a", "x-1.data/scripts/run": b"b", f"torch/{'d' * 150}/c.py": b"c"}
    assert read(saved(tmp_path, wheel(members))) == {"torch/a.py": b"a", f"torch/{'d' * 150}/c.py": b"c"}


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "torch/../../etc/passwd"])
def test_a_member_that_would_lie_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotStart, match="would lie outside"):
        list(unpacked(saved(tmp_path, wheel({name: b"x"}))))


def test_a_member_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="far more than it holds"):
        list(unpacked(saved(tmp_path, wheel({"torch/bomb": bytes(10_000_000)}))))


def test_more_than_any_wheel_has_reason_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, torch_wheel(FIXED))
    monkeypatch.setattr(module, "MAX_UNPACKED", 1000)
    with pytest.raises(CannotStart, match="more than any wheel has reason to"):
        list(unpacked(path))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.integers(0, 3000))
def test_whatever_is_damaged_it_is_an_archive_or_the_wheels_own_fault(
    tmp_path: Path, at: int, byte: int, cut: int
) -> None:
    content = bytearray(wheel({"torch/__init__.py": b"x" * 500, "torch/version.py": b"__version__ = '1'"}))
    content[at % len(content)] = byte
    with contextlib.suppress(CannotStart):
        read(saved(tmp_path, bytes(content[: len(content) - cut])))
