"""A stand-in for GitHub: releases in pages with `Link`, the Atom feed with ETag, and the rate limit.

It speaks the documented protocol over a real socket; what GitHub itself does beyond that it cannot show.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import pytest

from tests.real.web import Asked, Reply, Web, running_web


@dataclass
class GitHub:
    """One repository: set `releases` (as the API gives them), `limited_until` (epoch) for a spent rate limit."""

    web: Web
    repo: str
    releases: list[dict[str, Any]] = field(default_factory=list)
    limited_until: int | None = None
    per_page: int | None = None
    api_lags: bool = False

    @property
    def api_url(self) -> str:
        return self.web.url

    @property
    def feed_url(self) -> str:
        return f"{self.web.url}/{self.repo}/releases.atom"

    @property
    def api_requests(self) -> int:
        return sum(path.startswith(("/repos/", "/repositories/")) for path in self.web.paths())

    def release(self, tag: str, **changes: object) -> dict[str, Any]:
        """Publish a release at the top of the list and return it, to be edited in place."""
        new: dict[str, Any] = {
            "url": f"{self.web.url}/repos/{self.repo}/releases/{len(self.releases) + 1}",
            "html_url": f"https://github.com/{self.repo}/releases/tag/{tag}",
            "id": len(self.releases) + 1,
            "tag_name": tag,
            "name": tag,
            "draft": False,
            "prerelease": False,
            "created_at": "2026-11-02T10:00:00Z",
            "updated_at": "2026-11-02T10:13:00Z",
            "published_at": "2026-11-02T10:13:00Z",
            "body": f"Notes of {tag}.",
            **changes,
        }
        self.releases.insert(0, new)
        return new

    def answer(self, asked: Asked) -> Reply:
        if asked.path == f"/{self.repo}/releases.atom":
            return self._feed(asked)
        if asked.path in (f"/repos/{self.repo}/releases", "/repositories/599547518/releases"):
            return self._page(asked)
        return Reply(404, b'{"message": "Not Found"}', {"Content-Type": "application/json"})

    def _feed(self, asked: Asked) -> Reply:
        shown = [one for one in self.releases if not one["draft"]][:10]
        body = feed(self.repo, shown)
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
        if asked.headers.get("if-none-match") == etag:
            return Reply(304, headers={"ETag": etag})
        return Reply(200, body, {"Content-Type": "application/atom+xml; charset=utf-8", "ETag": etag})

    def _page(self, asked: Asked) -> Reply:
        headers = {"Content-Type": "application/json; charset=utf-8", "X-RateLimit-Limit": "60"}
        if self.limited_until is not None:
            limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(self.limited_until)}
            message = json.dumps({"message": "API rate limit exceeded for 192.0.2.1."}).encode()
            return Reply(403, message, {**headers, **limits})
        size = self.per_page or int(asked.query.get("per_page", "30"))
        page = int(asked.query.get("page", "1"))
        releases = self.releases[1:] if self.api_lags else self.releases
        shown = releases[(page - 1) * size : page * size]
        if page * size < len(releases):
            target = f"{self.web.url}/repositories/599547518/releases?per_page={size}&page={page + 1}"
            headers["Link"] = f'<{target}>; rel="next", <{target}>; rel="last"'
        return Reply(200, json.dumps(shown).encode(), headers)


def feed(repo: str, releases: list[dict[str, Any]]) -> bytes:
    """Return a feed of releases in GitHub's shape."""
    entries = "".join(
        f"<entry><id>tag:github.com,2008:Repository/599547518/{escape(one['tag_name'])}</id>"
        f"<updated>{one['updated_at']}</updated>"
        f'<link rel="alternate" type="text/html" href="{escape(one["html_url"])}"/>'
        f"<title>{escape(one['name'] or '')}</title>"
        f'<content type="html">{escape(one["body"] or "")}</content></entry>'
        for one in releases
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-US">'
        f"<id>tag:github.com,2008:https://github.com/{repo}/releases</id><title>Release notes</title>"
        f"<updated>2026-11-02T10:13:00Z</updated>{entries}</feed>"
    ).encode()


@contextmanager
def running_github(repo: str = "vllm-project/vllm") -> Iterator[GitHub]:
    """Run the stand-in on loopback until the block ends."""
    with running_web() as web:
        github = GitHub(web, repo)
        web.fallback = github.answer
        yield github


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running_github() as running:
        yield running
