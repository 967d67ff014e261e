"""A real apt repository: packages by `dpkg-deb`, indexes by `apt-ftparchive`, served from loopback."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.web import Web, running_web, tree

_SUFFIXES = {".gz": ["gzip", "-9nk"], ".xz": ["xz", "-k"]}


@dataclass
class AptRepository:
    """A served repository; `folder` may be changed by hand for trouble."""

    folder: Path
    web: Web

    @property
    def url(self) -> str:
        return self.web.url

    def publish(
        self,
        dist: str,
        debs: dict[str, tuple[str, ...]],
        forms: tuple[str, ...] = (".gz", ".xz", ""),
        content: str = "an empty package",
    ) -> None:
        """Add versions of packages to a dist and write its indexes anew; `forms` of Packages are kept and listed."""
        pool = self.folder / "pool" / dist
        for package, versions in debs.items():
            for version in versions:
                build_deb(pool, package, version, content)
        self.index(dist, forms)

    def deb(self, dist: str, package: str, version: str) -> Path:
        return self.folder / "pool" / dist / f"{package}_{version}_arm64.deb"

    def withdraw(self, dist: str, package: str, version: str) -> None:
        self.deb(dist, package, version).unlink()
        self.index(dist)

    def remove_dist(self, dist: str) -> None:
        shutil.rmtree(self.folder / "dists" / dist)

    def index(self, dist: str, forms: tuple[str, ...] = (".gz", ".xz", "")) -> None:
        root = self.folder / "dists" / dist
        shutil.rmtree(root, ignore_errors=True)
        binary = root / "main" / "binary-arm64"
        binary.mkdir(parents=True)
        plain = binary / "Packages"
        plain.write_bytes(_ftparchive(self.folder, "packages", f"pool/{dist}"))
        for suffix in forms:
            if suffix:
                subprocess.run([*_SUFFIXES[suffix], str(plain)], check=True)
        if "" not in forms:
            plain.unlink()
        options = [
            "-o",
            f"APT::FTPArchive::Release::Codename={dist}",
            "-o",
            "APT::FTPArchive::Release::Components=main",
        ]
        release = _ftparchive(self.folder, *options, "release", f"dists/{dist}")
        (root / "Release").write_bytes(release)


def build_deb(folder: Path, package: str, version: str, content: str = "an empty package") -> Path:
    """Build an empty package for arm64; `content` is its description."""
    place = folder / f"{package}_{version}_arm64.deb"
    tree = folder / ".build" / package
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {package}\nVersion: {version}\nArchitecture: arm64\n"
        f"Maintainer: the tests <tests@example.org>\nDescription: {content}\n"
    )
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(place)], check=True, capture_output=True
    )
    shutil.rmtree(folder / ".build")
    return place


@contextmanager
def running_apt(folder: Path) -> Iterator[AptRepository]:
    """Serve an empty repository in `folder` until the block ends, with validators as a web server gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    with running_web() as web:
        web.fallback = tree(folder)
        yield AptRepository(folder, web)


@pytest.fixture
def apt(tmp_path: Path) -> Iterator[AptRepository]:
    with running_apt(tmp_path / "apt") as running:
        yield running


def _ftparchive(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["apt-ftparchive", *arguments], cwd=folder, check=True, capture_output=True).stdout
