"""The units for the host: systemd understands each line, and they leave the watcher little that it could do."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.places import CHECKOUT

FOLDER = CHECKOUT / "deploy" / "systemd"
UNITS = sorted(FOLDER.rglob("*.service"))
PROGRAM = "/opt/watcher/bin/watcher"


def analysed(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", *arguments]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}  # an account's manager wants one
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def installed(unit: Path, folder: Path) -> Path:
    """Return a copy whose program is there: systemd looks for it."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return copy


def test_service_and_restore_are_there_for_the_machine_and_for_an_account() -> None:
    names = {str(unit.relative_to(FOLDER)) for unit in UNITS}
    assert names == {
        "watcher.service", "watcher-restore.service", "user/watcher.service", "user/watcher-restore.service",
    }  # fmt: skip
    assert all(PROGRAM in unit.read_text() for unit in UNITS)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.relative_to(FOLDER)))
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    scope = ["--user"] if unit.parent.name == "user" else []
    done = analysed(tmp_path, "verify", "--man=no", *scope, str(installed(unit, tmp_path)))
    told = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, told) == (0, []), done.stderr


@pytest.mark.parametrize(("name", "most"), [("watcher.service", 20), ("watcher-restore.service", 30)])
def test_systemd_finds_little_exposure(name: str, most: int, tmp_path: Path) -> None:
    """`most` is in tenths of systemd's own scale, on which an ordinary service has 96 of 100."""
    unit = installed(FOLDER / name, tmp_path)
    done = analysed(tmp_path, "security", "--offline=true", f"--threshold={most}", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_restore_comes_before_the_service_and_after_docker() -> None:
    restore = (FOLDER / "watcher-restore.service").read_text()
    service = (FOLDER / "watcher.service").read_text()
    assert "After=network-online.target docker.service\n" in restore
    assert "Before=watcher.service\n" in restore
    assert "watcher-restore.service" in service.partition("After=")[2].partition("\n")[0]
