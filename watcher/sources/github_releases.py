"""Releases of a GitHub repository.

The feed is asked first: it costs nothing of the rate limit, and its validators make most looks free. It shows ten
entries without the prerelease flag, so the API says what is, whenever the feed moved and once a week for edits of older
releases. When the API cannot be asked the look fails, even if the feed could be read: facts made from the feed alone
would change their flag and notes at the next look, and make events of it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from watcher.config.sources import GitHubReleasesConfig
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Validators
from watcher.fetch.holds import HostHolds
from watcher.model.facts import Fact, FactKind, Poll
from watcher.sources.base import Cursor, PolledSource, check_not_emptied, is_over, is_prerelease, moment
from watcher.sources.feed_document import MAX_FEED, parse_document

API_AT_LEAST_EVERY = timedelta(days=7)
MAX_RELEASES = 10_000
_ENTRY_ID = re.compile(r"tag:[^:]*:Repository/\d+/(.+)", re.DOTALL)
_ENTRY_LINK = re.compile(r"/releases/tag/(.+)")


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """An entry of `releases.atom`: its tag, and a stamp that moves with every edit."""

    tag: str
    updated: str


@dataclass(frozen=True, slots=True)
class _Feed:
    """What the feed told: `entries` is a digest of them, None where it could not be read; `tags` when it was sent."""

    validators: dict[str, str]
    entries: str | None
    tags: frozenset[str] = frozenset()


class GitHubReleasesSource(PolledSource):
    """All published releases of one repository; drafts are nobody's business but their authors'."""

    def __init__(self, config: GitHubReleasesConfig, holds: HostHolds, token: str | None) -> None:
        super().__init__(config, config.kind, holds)
        self._repo = config.repo
        self._api_url = self._fetcher.address(str(config.api_url)).rstrip("/")
        self._feed_url = str(config.feed_url) if config.feed_url else feed_address(self._api_url, config.repo)
        self._token = token
        self._now = holds.now

    def _look(self, cursor: Cursor) -> Poll:
        feed = self._feed(cursor)
        is_same = feed.entries is not None and feed.entries == cursor.get("entries")
        if is_same and not is_over(cursor.get("api_at"), API_AT_LEAST_EVERY, self._now()):
            return Poll(None, self._write_cursor({**cursor, "feed": feed.validators}))
        found = self._releases()
        facts = parse_releases(found)
        check_not_emptied(len(facts), cursor.get("releases"))
        after: Cursor = {"api_at": self._now().isoformat(), "releases": len(facts)}
        missing = sorted(feed.tags - {fact.name for fact in facts})
        if missing and missing != cursor.get("missing"):
            # the API may lag behind the feed: it is asked again next time. Twice missing, it is a tag without a release
            return Poll(facts, self._write_cursor({**after, "missing": missing}), listed=len(found))
        kept = {"feed": feed.validators, "entries": feed.entries, "missing": missing or cursor.get("missing")}
        return Poll(facts, self._write_cursor({**after, **kept}), listed=len(found))

    def _feed(self, cursor: Cursor) -> "_Feed":
        """Ask the feed. Where it cannot be read the API knows better; a host that wants to be left alone is let be."""
        known = Validators.from_dict(cursor.get("feed"))
        try:
            answer = self._fetcher.get(self._feed_url, validators=known, max_body=MAX_FEED)
            if answer.not_modified:
                return _Feed(known.to_dict(), cursor.get("entries"))
            entries = parse_feed(answer.body)
        except SourceUnavailable as error:
            if error.retry_after is not None:
                raise
            return _Feed({}, None)
        except SourceChanged:
            return _Feed({}, None)
        return _Feed(answer.validators.to_dict(), _digest_of(entries), frozenset(entry.tag for entry in entries))

    def _releases(self) -> Sequence[Mapping[str, Any]]:
        from watcher.sources.github_api import releases

        return releases(self._fetcher, self._api_url, self._repo, self._token, MAX_RELEASES)


def feed_address(api_url: str, repo: str) -> str:
    """Return the repository's feed: GitHub's own, or that of the server (Enterprise) whose API this is."""
    parts = urlsplit(api_url)
    if parts.hostname == "api.github.com":
        return f"https://github.com/{repo}/releases.atom"
    path = parts.path.rstrip("/").removesuffix("/api/v3")
    return f"{parts.scheme}://{parts.netloc}{path}/{repo}/releases.atom"


def parse_feed(body: bytes) -> tuple[FeedEntry, ...]:
    """Return the entries of a releases feed. Raises SourceChanged on anything else."""
    return tuple(FeedEntry(_tag(entry.identity, entry.link), entry.updated) for entry in parse_document(body))


def parse_releases(found: Sequence[Mapping[str, Any]]) -> tuple[Fact, ...]:
    """Return one fact per published release of the API's answer. Raises SourceChanged."""
    if not all(isinstance(release, Mapping) for release in found):
        raise SourceChanged("a release is no object")
    return tuple(_fact(release) for release in found if not release.get("draft"))


def _fact(release: Mapping[str, Any]) -> Fact:
    tag = release.get("tag_name")
    if not isinstance(tag, str) or not tag:
        raise SourceChanged("a release has no tag")
    version = tag[1:] if re.match(r"v\d", tag) else tag
    notes = hashlib.sha256(_text(release.get("body")).encode("utf-8", "replace")).hexdigest()[:16]
    return Fact(
        FactKind.RELEASE,
        name=tag,
        version=version,
        url=_text(release.get("html_url")),
        published_at=moment(release.get("published_at")),
        prerelease=release.get("prerelease") is True or is_prerelease(version),
        detail={"notes": notes, "title": _text(release.get("name"))},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _tag(identity: str, link: str) -> str:
    if match := _ENTRY_ID.fullmatch(identity):
        return match[1]
    if match := _ENTRY_LINK.search(urlsplit(link).path if "[" not in link else ""):
        return unquote(match[1])
    raise SourceChanged("an entry of the feed names no tag")


def _digest_of(entries: Iterable[FeedEntry]) -> str:
    lines = sorted(f"{entry.tag} {entry.updated}" for entry in entries)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:16]
