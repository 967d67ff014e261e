"""The state of single issues and pull requests on GitHub.

PyGithub reads the releases; here it would cost more than it gives: asking for an issue, it cannot send `If-None-Match`,
and a look at unchanged threads must cost one 304 each. So these are plain conditional requests.

A thread that GitHub does not have, or hides from us, is a fact in the state `not found`: a slip in the configuration
shows there (`sources test` names it), and one that was deleted hides no other.

A closed pull request may well be in: PyTorch's bot lands the commit itself and closes the request, which then is not
"merged". Such a one is `landed`; the commit that closed a thread is read from its events, once per closing.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from watcher.config.sources import GitHubThreadsConfig
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Validators
from watcher.fetch.holds import IN_FLIGHT, HostHolds
from watcher.model.facts import Fact, FactKind, Poll
from watcher.model.text import printable
from watcher.sources.base import Cursor, PolledSource, moment

MAX_ISSUE = 2 * 2**20
"""A text has 65 536 characters at most; several threads are read at once."""
MAX_EVENT_PAGES = 10
_PER_PAGE = 100
_GONE = (404, 410)
_REASONS = {"not_planned": "not planned", "duplicate": "duplicate"}
_MERGE_BOTS = frozenset({"pytorchmergebot", "facebook-github-bot"})
_MERGED, _REVERTED = re.compile(r"merged(x\d+)?"), re.compile(r"reverted(x\d+)?")
"""The bot's labels: it counts what is landed again (`mergedX1`), and spells them in small letters or not."""
_NOT_FOUND = "not found"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Thread:
    """An issue or pull request; stamps as GitHub writes them."""

    state: str
    title: str
    url: str
    labels: tuple[str, ...]
    created_at: str
    closed_at: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a thread between looks; `thread` is None once it is gone, `not found` if it never was there."""

    validators: Validators = field(default_factory=Validators)
    thread: Thread | None = None
    closing_commit: str | None = None

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        thread = dict(stored["thread"]) if stored["thread"] else None
        if thread is not None:
            thread["labels"] = tuple(thread["labels"])
        validators = Validators.from_dict(stored["validators"])
        return cls(validators, Thread(**thread) if thread else None, stored["closing_commit"])

    @classmethod
    def not_found(cls, name: str) -> Self:
        page = f"https://github.com/{name.replace('#', '/issues/')}"
        return cls(thread=Thread(_NOT_FOUND, "", page, (), "", ""))

    @property
    def is_not_found(self) -> bool:
        return self.thread is not None and self.thread.state == _NOT_FOUND

    def to_stored(self) -> dict[str, Any]:
        thread = asdict(self.thread) if self.thread else None
        return {"validators": self.validators.to_dict(), "thread": thread, "closing_commit": self.closing_commit}


class GitHubThreadsSource(PolledSource):
    """Some threads, each under the name it was configured with, wherever it moved."""

    def __init__(self, config: GitHubThreadsConfig, holds: HostHolds, token: str | None) -> None:
        super().__init__(config, config.kind, holds)
        self._threads = tuple(dict.fromkeys(config.threads))
        self._api_url = str(config.api_url).rstrip("/")
        self._headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def _look(self, cursor: Cursor) -> Poll:
        before = {name: Known.from_stored(stored) for name, stored in cursor.get("threads", {}).items()}
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            seen = tuple(pool.map(lambda name: self._see(name, before.get(name)), self._threads))
        after = dict(zip(self._threads, seen, strict=True))
        if all(known.is_not_found for known in seen):
            raise SourceUnavailable("GitHub has no such thread, or not for this token", thread=", ".join(after))
        stored = self._write_cursor({"threads": {name: known.to_stored() for name, known in after.items()}})
        if all(known.thread and known is before.get(name) for name, known in after.items()):
            return Poll(None, stored)
        facts = tuple(_fact(name, known.thread, known.closing_commit) for name, known in after.items() if known.thread)
        return Poll(facts, stored, listed=len(facts))

    def _see(self, name: str, before: Known | None) -> Known:
        """Return a thread as it is now; the same object where GitHub says that it did not change.

        One that was seen and is gone is no fact any more (two looks make it withdrawn) and loses its validators, to be
        read anew if it comes back.
        """
        known = before or Known()
        answer = self._fetcher.get(
            self._address(name), headers=self._headers, validators=known.validators, values=_GONE, max_body=MAX_ISSUE
        )
        if answer.not_modified:
            return known
        if answer.status in _GONE:
            if before is None:
                return Known.not_found(name)
            return before if before.is_not_found else Known()
        thread = parse_thread(answer.body)
        return Known(answer.validators, thread, self._closing_commit(name, thread, known))

    def _closing_commit(self, name: str, thread: Thread, known: Known) -> str | None:
        if not thread.closed_at:
            return None
        if known.closing_commit and known.thread and known.thread.closed_at == thread.closed_at:
            return known.closing_commit
        return closing_commit(self._events(name))

    def _events(self, name: str) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for page in range(1, MAX_EVENT_PAGES + 1):
            url = f"{self._address(name)}/events?per_page={_PER_PAGE}&page={page}"
            answer = self._fetcher.get(url, headers=self._headers, values=_GONE, max_body=MAX_ISSUE)
            events = parse_events(answer.body) if answer.status not in _GONE else ()
            found += events
            if len(events) < _PER_PAGE:
                break
        return found

    def _address(self, name: str) -> str:
        repo, _, number = name.partition("#")
        return f"{self._api_url}/repos/{repo}/issues/{number}"


def parse_thread(body: bytes) -> Thread:
    """Return the thread of an answer about an issue or pull request. Raises SourceChanged on anything else."""
    issue = _json(body)
    is_thread = isinstance(issue, dict) and issue.get("state") in ("open", "closed")
    if not is_thread or not str(issue.get("html_url")).startswith(("https://", "http://")):
        raise SourceChanged("GitHub's answer about a thread has another form")
    labels = tuple(sorted(_labels(issue.get("labels"))))
    return Thread(
        state=_state(issue, labels),
        title=printable(" ".join(str(issue.get("title") or "").split())),
        url=str(issue["html_url"]),
        labels=labels,
        created_at=str(issue.get("created_at") or ""),
        closed_at=str(issue.get("closed_at") or "") if issue["state"] == "closed" else "",
    )


def parse_events(body: bytes) -> tuple[Mapping[str, Any], ...]:
    """Return one page of what happened to a thread, oldest first. Raises SourceChanged."""
    events = _json(body)
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise SourceChanged("GitHub's list of a thread's events has another form")
    return tuple(events)


def closing_commit(events: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the commit of the last merge, else of the last closing, None where it was closed by hand."""
    commits = {str(event.get("event")): event.get("commit_id") for event in events}
    commit = commits.get("merged") or commits.get("closed")
    return commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise SourceChanged("GitHub's answer is no JSON") from None


def _labels(listed: object) -> Iterable[str]:
    for label in listed if isinstance(listed, list) else ():
        name = label.get("name") if isinstance(label, dict) else label
        if isinstance(name, str) and name:
            yield name


def _state(issue: Mapping[str, Any], labels: Iterable[str]) -> str:
    if issue["state"] == "open":
        return "open"
    request = issue.get("pull_request")
    if not isinstance(request, dict):
        return _REASONS.get(str(issue.get("state_reason")), "closed")
    if request.get("merged_at"):
        return "merged"
    return "landed" if _is_landed(issue.get("closed_by"), labels) else "closed"


def _is_landed(closed_by: object, labels: Iterable[str]) -> bool:
    """Return whether a merge bot put the commit in; one that was reverted and closed by a person did not stay."""
    if isinstance(closed_by, dict) and closed_by.get("login") in _MERGE_BOTS:
        return True
    names = [label.lower() for label in labels]
    return sum(map(bool, map(_MERGED.fullmatch, names))) > sum(map(bool, map(_REVERTED.fullmatch, names)))


def _fact(name: str, thread: Thread, commit: str | None) -> Fact:
    detail = {"labels": ", ".join(thread.labels), "_title": thread.title}
    return Fact(
        FactKind.THREAD,
        name=name,
        version=thread.state,
        url=thread.url,
        published_at=moment(thread.closed_at or thread.created_at),
        detail={**detail, "_closing_commit": commit} if commit else detail,
    )
