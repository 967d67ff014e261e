"""A stand-in for Docker Hub's web interface: its envelope, its pages of at most a hundred, its two addresses.

It answers with entries in the shape of real ones; how the Hub counts, orders and limits beyond that it cannot show.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.real.web import Asked, Reply, Web, running_web

_PATH = re.compile(r"/v2/(?:namespaces/([^/]+)/repositories|repositories/([^/]+))/([^/]+)/tags")
_FIRST_PUSH = datetime(2025, 5, 6, 6, 15, 2, 363359, UTC)


@dataclass
class DockerHub:
    """Set `results` (by repository, as the Hub gives them, newest push first) or `push`; `limited` refuses all."""

    web: Web
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    limited: Mapping[str, str] | None = None
    pushes: int = 0

    @property
    def url(self) -> str:
        return self.web.url

    def push(
        self, repository: str, tag: str, images: Mapping[str, str | None] | None = None, digest: str | None = None
    ) -> dict[str, Any]:
        """Put a tag on top: its images' digests by architecture, and that of their index; return its entry."""
        self.pushes += 1
        at = f"{(_FIRST_PUSH + timedelta(minutes=self.pushes)).isoformat().removesuffix('+00:00')}Z"
        listed = {"arm64": digest_of(f"{tag} {self.pushes}")} if images is None else images
        entry = {
            "creator": 1,
            "id": self.pushes,
            "images": [image(name, one, at) for name, one in listed.items()],
            "last_updated": at,
            "name": tag,
            "full_size": 6148566223,
            "v2": True,
            "tag_status": "active",
            "tag_last_pulled": at,
            "tag_last_pushed": at,
            "media_type": "application/vnd.oci.image.index.v1+json",
            "content_type": "image",
            "digest": digest,
        }
        self.delete(repository, tag)
        self.results[repository].insert(0, entry)
        return entry

    def delete(self, repository: str, tag: str) -> None:
        there = self.results.setdefault(repository, [])
        there[:] = [entry for entry in there if entry["name"] != tag]

    def pull(self, repository: str) -> None:
        """Let somebody pull every tag: the stamps of pulls move."""
        for entry in self.results[repository]:
            for pulled in (entry, *entry["images"]):
                pulled["tag_last_pulled" if pulled is entry else "last_pulled"] = "2026-11-23T11:59:59.123456789Z"

    def answer(self, asked: Asked) -> Reply:
        headers = {"Content-Type": "application/json", "X-RateLimit-Limit": "180"}
        if self.limited is not None:
            return Reply(429, b"Too many requests", {**headers, **self.limited})
        headers["X-RateLimit-Remaining"] = "179"
        path = _PATH.fullmatch(asked.path)
        repository = f"{path[1] or path[2]}/{path[3]}" if path else ""
        page, size = int(asked.query.get("page", "1")), min(int(asked.query.get("page_size", "10")), 100)
        there = self.results.get(repository)
        if there is None or (page > 1 and (page - 1) * size >= len(there)):
            return Reply(404, _json({"message": "httperror 404: object not found", "errinfo": {}}), headers)

        def at(number: int) -> str:
            return f"{self.web.url}{asked.path}?page={number}&page_size={size}"

        envelope = {
            "count": len(there),
            "next": at(page + 1) if page * size < len(there) else None,
            "previous": at(page - 1) if page > 1 else None,
            "results": there[(page - 1) * size : page * size],
        }
        return Reply(200, _json(envelope), headers)


def image(architecture: str, digest: str | None, pushed_at: str) -> dict[str, Any]:
    """Return an entry of `images`; one without a digest is as the Hub has them of long ago."""
    entry = {
        "architecture": architecture,
        "features": "",
        "variant": "v8" if architecture == "arm64" else None,
        "digest": digest,
        "os": "unknown" if architecture == "unknown" else "linux",
        "os_features": "",
        "os_version": None,
        "size": 6148566223,
        "status": "active",
        "last_pulled": pushed_at,
        "last_pushed": pushed_at,
    }
    return {key: value for key, value in entry.items() if key != "digest" or value is not None}


def digest_of(content: str) -> str:
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


@contextmanager
def running_docker_hub() -> Iterator[DockerHub]:
    """Run the stand-in on loopback until the block ends."""
    with running_web() as web:
        hub = DockerHub(web)
        web.fallback = hub.answer
        yield hub


@pytest.fixture
def docker_hub() -> Iterator[DockerHub]:
    with running_docker_hub() as running:
        yield running


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
