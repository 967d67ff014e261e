"""A stand-in for GitHub: releases in pages with `Link`, the Atom feed with ETag, threads with theirs, the rate limit.

It speaks the documented protocol over a real socket; what GitHub itself does beyond that it cannot show.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest

from tests.real.web import Asked, Reply, Web, running_web

API_HEADERS = {"Content-Type": "application/json; charset=utf-8", "X-RateLimit-Limit": "60"}
NOT_FOUND = Reply(404, b'{"message": "Not Found"}', {"Content-Type": "application/json"})
_THREAD = re.compile(r"/repos/([^/]+/[^/]+)/issues/(\d+)(/events)?")


@dataclass
class Thread:
    """An issue or pull request: `document` as the API gives it, to be edited in place, and what happened to it."""

    document: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)

    def label(self, *names: str) -> None:
        self.document["labels"] = [{"id": number, "name": name} for number, name in enumerate(names, 1)]

    def close(
        self, at: str, *, by: str = "maintainer", reason: str | None = "completed", commit: str | None = None
    ) -> None:
        self.document |= {"state": "closed", "state_reason": reason, "closed_at": at, "closed_by": {"login": by}}
        self.happened("closed", at, by, commit)

    def merge(self, at: str, commit: str) -> None:
        """Merge a pull request with GitHub's own button."""
        self.document["pull_request"]["merged_at"] = at
        self.happened("merged", at, "maintainer", commit)
        self.close(at, reason=None)

    def reopen(self, at: str) -> None:
        self.document |= {"state": "open", "state_reason": "reopened", "closed_at": None, "closed_by": None}
        self.happened("reopened", at, "maintainer")

    def happened(self, event: str, at: str, actor: str, commit: str | None = None) -> None:
        row = {"id": len(self.events) + 1, "actor": {"login": actor}, "event": event, "commit_id": commit}
        self.events.append({**row, "created_at": at})


@dataclass
class GitHub:
    """One repository with its releases, and threads of any.

    Set `releases` (as the API gives them), `moved` (where a thread went, both as `owner/repo#1`), and `limited_until`
    (epoch) for a spent rate limit.
    """

    web: Web
    repo: str
    releases: list[dict[str, Any]] = field(default_factory=list)
    threads: dict[str, Thread] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
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

    def issue(self, name: str, **changes: object) -> Thread:
        """Open an issue, named as `owner/repo#1`."""
        return self._opened(name, "issues", changes)

    def pull_request(self, name: str, **changes: object) -> Thread:
        """Open a pull request: an issue with one more field."""
        return self._opened(name, "pull", {"pull_request": {"merged_at": None}, **changes})

    def _opened(self, name: str, page: str, changes: Mapping[str, object]) -> Thread:
        repo, _, number = name.partition("#")
        thread = Thread(
            {
                "html_url": f"https://github.com/{repo}/{page}/{number}",
                "number": int(number),
                "title": f"Title of {name}",
                "state": "open",
                "state_reason": None,
                "labels": [],
                "comments": 0,
                "created_at": "2026-05-20T08:00:00Z",
                "updated_at": "2026-05-20T08:00:00Z",
                "closed_at": None,
                "closed_by": None,
                **changes,
            }
        )
        self.threads[name] = thread
        return thread

    def answer(self, asked: Asked) -> Reply:
        if asked.path == f"/{self.repo}/releases.atom":
            return self._feed(asked)
        if asked.path in (f"/repos/{self.repo}/releases", "/repositories/599547518/releases"):
            return self._page(asked)
        if match := _THREAD.fullmatch(asked.path):
            return self._thread(f"{match[1]}#{match[2]}", match[3] or "", asked)
        return NOT_FOUND

    def _thread(self, name: str, rest: str, asked: Asked) -> Reply:
        if self.limited_until is not None:
            return self._limited(self.limited_until)
        if name in self.moved:
            repo, _, number = self.moved[name].partition("#")
            target = f"{self.web.url}/repos/{repo}/issues/{number}{rest}?{urlencode(asked.query)}"
            return Reply(301, headers={"Location": target})
        if name not in self.threads:
            return NOT_FOUND
        thread = self.threads[name]
        if not rest:
            return _conditional(asked, json.dumps(thread.document).encode(), "application/json; charset=utf-8")
        size, page = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
        return Reply(200, json.dumps(thread.events[(page - 1) * size : page * size]).encode(), API_HEADERS)

    def _feed(self, asked: Asked) -> Reply:
        shown = [one for one in self.releases if not one["draft"]][:10]
        return _conditional(asked, feed(self.repo, shown), "application/atom+xml; charset=utf-8")

    def _page(self, asked: Asked) -> Reply:
        headers = dict(API_HEADERS)
        if self.limited_until is not None:
            return self._limited(self.limited_until)
        size = self.per_page or int(asked.query.get("per_page", "30"))
        page = int(asked.query.get("page", "1"))
        releases = self.releases[1:] if self.api_lags else self.releases
        shown = releases[(page - 1) * size : page * size]
        if page * size < len(releases):
            target = f"{self.web.url}/repositories/599547518/releases?per_page={size}&page={page + 1}"
            headers["Link"] = f'<{target}>; rel="next", <{target}>; rel="last"'
        return Reply(200, json.dumps(shown).encode(), headers)

    def _limited(self, until: int) -> Reply:
        limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(until)}
        return Reply(403, b'{"message": "API rate limit exceeded for 192.0.2.1."}', {**API_HEADERS, **limits})


def _conditional(asked: Asked, body: bytes, content_type: str) -> Reply:
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
    if asked.headers.get("if-none-match") == etag:
        return Reply(304, headers={"ETag": etag})
    return Reply(200, body, {"Content-Type": content_type, "ETag": etag})


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
