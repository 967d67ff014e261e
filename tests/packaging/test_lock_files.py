"""The lock files install the same versions everywhere and name no place to get them from."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.places import CHECKOUT

LOCKS = [CHECKOUT / f"requirements{part}.lock" for part in ("", "-dev", "-build", "-devpi", "-bench")]
_PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def _pins(lock: Path) -> dict[str, str]:
    return {name: version for name, version, _ in _PIN.findall(lock.read_text())}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_holds_pins_with_hashes_and_nothing_else(lock: Path) -> None:
    assert _PIN.sub("", lock.read_text()) == ""
    assert len(_pins(lock)) >= 5


@pytest.mark.parametrize("lock", LOCKS[:2], ids=lambda lock: lock.name)
def test_compiled_packages_have_hashes_for_several_platforms(lock: Path) -> None:
    """One file would be one platform's; wheels for x86-64 and aarch64 and the source archive make three or more."""
    hashes = {name: found.count("sha256") for name, _, found in _PIN.findall(lock.read_text())}
    assert all(hashes[name] >= 10 for name in ("pydantic-core", "cryptography", "markupsafe", "sqlalchemy"))


def test_the_lock_files_agree_and_hold_every_dependency() -> None:
    import tomllib

    runtime, dev, build = (_pins(lock) for lock in LOCKS[:3])
    assert {name for name, version in (runtime | build).items() if dev.get(name) != version} == set()
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    for line in project["project"]["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(runtime[requirement.name.lower()]), line
