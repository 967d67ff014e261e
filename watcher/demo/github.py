"""GitHub in the demo: releases with their feed, threads with their events, the commits of a branch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from watcher.demo.web import NOT_FOUND, Request, Response, text

RELEASES = "vllm-project/vllm"
COMMITS = "dusty-nv/jetson-containers"


@dataclass(frozen=True, slots=True)
class Release:
    tag: str
    published: datetime


@dataclass(frozen=True, slots=True)
class Thread:
    """An issue or pull request; `closed_by` is who closed it, with `commit` where that is known."""

    repository: str
    number: int
    title: str
    opened: datetime
    is_pull: bool = False
    labels: tuple[str, ...] = ()
    closed: datetime | None = None
    closed_by: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    title: str
    made: datetime

    @property
    def id(self) -> str:
        return hashlib.sha256(self.title.encode()).hexdigest()[:40]


@dataclass(slots=True)
class GitHub:
    """The API below `/api`, feeds where the site has them."""

    host: str = ""
    releases: list[Release] = field(default_factory=list)
    threads: dict[str, Thread] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)

    feed_path = f"/{RELEASES}/releases.atom"
    commits_path = f"/{COMMITS}/commits/dev.atom"

    def put(self, thread: Thread) -> None:
        self.threads[f"{thread.repository}/issues/{thread.number}"] = thread

    def answer(self, request: Request) -> Response:
        if request.path == self.feed_path:
            return text(self._release_feed(), "application/atom+xml; charset=utf-8")
        if request.path == self.commits_path:
            return text(self._commit_feed(), "application/atom+xml; charset=utf-8")
        path = request.path.removeprefix("/api/repos/")
        if path == f"{RELEASES}/releases":
            listed = self._newest_first() if request.query.get("page", "1") == "1" else []
            return _api(json.dumps([self._document(release) for release in listed]))
        if path == RELEASES:
            own = f"http://{self.host}/api/repos/{RELEASES}"
            return _api(json.dumps({"id": 1, "full_name": RELEASES, "name": "vllm", "url": own}))
        thread = self.threads.get(path.removesuffix("/events"))
        if thread is None:
            return NOT_FOUND
        return _api(json.dumps(_closing(thread) if path.endswith("/events") else _issue(thread)))

    def _newest_first(self) -> list[Release]:
        return sorted(self.releases, key=lambda release: release.published, reverse=True)

    def _document(self, release: Release) -> Mapping[str, object]:
        number, at = 1 + self.releases.index(release), _stamp(release.published)
        return {
            "url": f"http://{self.host}/api/repos/{RELEASES}/releases/{number}",
            "html_url": _page(release),
            "id": number,
            "tag_name": release.tag,
            "name": release.tag,
            "draft": False,
            "prerelease": False,
            "created_at": at,
            "updated_at": at,
            "published_at": at,
            "assets": [],
            "body": f"Simulated notes of {release.tag}.",
        }

    def _release_feed(self) -> str:
        entries = [
            _entry(f"Repository/1/{one.tag}", one.published, _page(one), one.tag) for one in self._newest_first()[:10]
        ]
        return _feed(f"{RELEASES}/releases", "Release notes from vllm", entries)

    def _commit_feed(self) -> str:
        page = f"https://github.com/{COMMITS}/commit/"
        made = sorted(self.commits, key=lambda commit: commit.made, reverse=True)[:20]
        entries = [_entry(f"Grit::Commit/{one.id}", one.made, f"{page}{one.id}", one.title) for one in made]
        return _feed(f"{COMMITS}/commits/dev", "Recent commits to jetson-containers:dev", entries)


def _api(document: str) -> Response:
    limits = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59", "X-RateLimit-Reset": "4102444800"}
    return text(document, "application/json; charset=utf-8", **limits)


def _page(release: Release) -> str:
    return f"https://github.com/{RELEASES}/releases/tag/{release.tag}"


def _issue(thread: Thread) -> Mapping[str, Any]:
    kind = "pull" if thread.is_pull else "issues"
    page = f"https://github.com/{thread.repository}/{kind}/{thread.number}"
    return {
        "number": thread.number,
        "title": thread.title,
        "html_url": page,
        "state": "closed" if thread.closed else "open",
        "state_reason": None if thread.is_pull or not thread.closed else "completed",
        "labels": [{"name": label} for label in thread.labels],
        "created_at": _stamp(thread.opened),
        "updated_at": _stamp(thread.closed or thread.opened),
        "closed_at": _stamp(thread.closed) if thread.closed else None,
        "closed_by": {"login": thread.closed_by} if thread.closed_by else None,
        **({"pull_request": {"html_url": page, "merged_at": None}} if thread.is_pull else {}),
    }


def _closing(thread: Thread) -> list[Mapping[str, Any]]:
    if not thread.closed:
        return []
    actor = {"login": thread.closed_by or "someone"}
    return [{"event": "closed", "actor": actor, "commit_id": thread.commit, "created_at": _stamp(thread.closed)}]


def _feed(place: str, title: str, entries: list[tuple[datetime, str]]) -> str:
    newest = max((when for when, _ in entries), default=datetime(2025, 1, 1, tzinfo=UTC))
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-US">'
        f"<id>tag:github.com,2008:https://github.com/{place}</id><title>{escape(title)}</title>"
        f"<updated>{_stamp(newest)}</updated>{''.join(entry for _, entry in entries)}</feed>"
    )


def _entry(identity: str, when: datetime, page: str, title: str) -> tuple[datetime, str]:
    return when, (
        f"<entry><id>tag:github.com,2008:{escape(identity)}</id><updated>{_stamp(when)}</updated>"
        f'<link rel="alternate" type="text/html" href="{escape(page)}"/>'
        f'<title>{escape(title)}</title><content type="html">Simulated.</content></entry>'
    )


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
