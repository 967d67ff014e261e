"""The apt repositories of the demo: Release with checksums, Packages plain and compressed."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from watcher.demo.web import NOT_FOUND, Request, Response, text


@dataclass(frozen=True, slots=True)
class Deb:
    package: str
    version: str


@dataclass(slots=True)
class AptTree:
    """Repositories below `/jetson/`: (repository, dist) maps to its packages."""

    packages: dict[tuple[str, str], tuple[Deb, ...]] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        repository, _, rest = request.path.removeprefix("/jetson/").partition("/dists/")
        dist, _, file = rest.partition("/")
        if (repository, dist) not in self.packages:
            return NOT_FOUND
        listing = "\n".join(_stanza(deb) for deb in self.packages[repository, dist]).encode()
        files = {
            "main/binary-arm64/Packages": listing,
            "main/binary-arm64/Packages.gz": gzip.compress(listing, mtime=0),
        }
        if file == "Release":
            return text(_release(dist, files), "text/plain")
        if file in files:
            tag = f'"{hashlib.sha256(files[file]).hexdigest()[:32]}"'
            return Response(files[file], headers={"ETag": tag})
        return NOT_FOUND


def _stanza(deb: Deb) -> str:
    name = f"{deb.package}_{deb.version}_arm64.deb"
    return (
        f"Package: {deb.package}\nVersion: {deb.version}\nArchitecture: arm64\nMaintainer: simulated\n"
        f"Filename: pool/main/{deb.package}/{name}\nSize: 1000\n"
        f"SHA256: {hashlib.sha256(name.encode()).hexdigest()}\nDescription: simulated\n"
    )


def _release(dist: str, files: Mapping[str, bytes]) -> str:
    sums = "".join(f" {hashlib.sha256(body).hexdigest()} {len(body):16d} {name}\n" for name, body in files.items())
    head = (
        f"Origin: simulated\nLabel: simulated\nSuite: {dist}\nCodename: {dist}\nDate: Mon, 16 Jun 2025 18:00:00 UTC\n"
    )
    return f"{head}Architectures: arm64\nComponents: main\nSHA256:\n{sums}"
