"""The other upstreams of the demo: a wheel index, GitHub releases with their feed, an apt repository."""

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from watcher.demo.torch_build import TorchBuild
from watcher.demo.web import NOT_FOUND, Request, Response, text

JSON_INDEX = "application/vnd.pypi.simple.v1+json"


@dataclass(slots=True)
class WheelIndex:
    """A package index as devpi serves it, with one project; `serial` counts its changes."""

    root: str = "/jp6/cu126/"
    serial: int = 4100
    wheels: dict[str, bytes] = field(default_factory=dict)

    def add(self, build: TorchBuild) -> None:
        self.wheels[build.wheel_name] = build.wheel()
        self.serial += 1

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(self.root)
        if path == "+simple/torch/":
            return self._page(as_json=JSON_INDEX in request.headers.get("accept", ""))
        for name, content in self.wheels.items():
            if path == _file_path(name, content):
                headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
                return Response(content, "application/octet-stream", headers=headers)
        return NOT_FOUND

    def _page(self, as_json: bool) -> Response:
        headers = {"X-DEVPI-SERIAL": str(self.serial), "Vary": "Accept, User-Agent"}
        files = [(name, f"../../{_file_path(name, content)}", content) for name, content in self.wheels.items()]
        if as_json:
            listed = [
                {"filename": name, "url": url, "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}
                for name, url, content in files
            ]
            page = json.dumps({"meta": {"api-version": "1.0"}, "name": "torch", "files": listed})
            return Response(page.encode(), JSON_INDEX, headers=headers)
        links = "".join(
            f'jp6/cu126 <a href="{url}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a><br/>\n'
            for name, url, content in files
        )
        page = (
            f"<!DOCTYPE html><html><head><title>jp6/cu126: links for torch</title></head><body>\n{links}</body></html>"
        )
        return Response(page.encode(), "text/html; charset=utf-8", headers=headers)


def _file_path(name: str, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"+f/{digest[:3]}/{digest[3:16]}/{name}"


@dataclass(frozen=True, slots=True)
class Release:
    tag: str
    published: datetime


@dataclass(slots=True)
class GitHub:
    """One repository's releases: the feed, and the API below `/api`."""

    host: str = ""
    repository: str = "vllm-project/vllm"
    releases: list[Release] = field(default_factory=list)

    @property
    def feed_path(self) -> str:
        return f"/{self.repository}/releases.atom"

    def answer(self, request: Request) -> Response:
        api = f"/api/repos/{self.repository}"
        if request.path == self.feed_path:
            return text(self._feed(), "application/atom+xml; charset=utf-8")
        if request.path == f"{api}/releases":
            listed = self._newest_first() if request.query.get("page", "1") == "1" else []
            return self._api(json.dumps([self._document(release) for release in listed]))
        if request.path == api:
            own = f"http://{self.host}{api}"
            return self._api(json.dumps({"id": 1, "full_name": self.repository, "name": "vllm", "url": own}))
        return NOT_FOUND

    def _api(self, document: str) -> Response:
        limits = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59", "X-RateLimit-Reset": "4102444800"}
        return text(document, "application/json; charset=utf-8", **limits)

    def _newest_first(self) -> list[Release]:
        return sorted(self.releases, key=lambda release: release.published, reverse=True)

    def _page(self, release: Release) -> str:
        return f"https://github.com/{self.repository}/releases/tag/{release.tag}"

    def _document(self, release: Release) -> Mapping[str, object]:
        number, at = 1 + self.releases.index(release), _stamp(release.published)
        return {
            "url": f"http://{self.host}/api/repos/{self.repository}/releases/{number}",
            "html_url": self._page(release),
            "id": number,
            "tag_name": release.tag,
            "target_commitish": "main",
            "name": release.tag,
            "draft": False,
            "prerelease": False,
            "created_at": at,
            "updated_at": at,
            "published_at": at,
            "assets": [],
            "body": f"Simulated notes of {release.tag}.",
        }

    def _feed(self) -> str:
        entries = "".join(
            f"<entry><id>tag:github.com,2008:Repository/1/{release.tag}</id><updated>{_stamp(release.published)}</updated>"
            f'<link rel="alternate" type="text/html" href="{escape(self._page(release))}"/>'
            f'<title>{release.tag}</title><content type="html">Simulated notes.</content></entry>'
            for release in self._newest_first()[:10]
        )
        newest = _stamp(self._newest_first()[0].published)
        return (
            '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-US">'
            f"<id>tag:github.com,2008:https://github.com/{self.repository}/releases</id>"
            f"<title>Release notes from vllm</title><updated>{newest}</updated>{entries}</feed>"
        )


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


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
