"""PyGithub over the polite client: it knows GitHub's pages, we keep the counting, caps, hosts and deadlines."""

from collections.abc import ItemsView, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any

from github import Auth, Github
from github.GithubException import BadAttributeException, GithubException
from github.GithubObject import CompletableGithubObject
from github.Requester import Requester

from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import USER_AGENT, Fetched, Fetcher
from watcher.sources.bounded import check_json

_PER_PAGE = 100
_MOST_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class _Api:
    fetcher: Fetcher
    url: str
    left: list[int]
    """Bytes that the pages of one list may still have: PyGithub keeps them all."""


_API: ContextVar[_Api] = ContextVar("api")


def releases(fetcher: Fetcher, api_url: str, repo: str, token: str | None, at_most: int) -> tuple[dict[str, Any], ...]:
    """Return the releases of a repository as the API gives them, all pages. Raises SourceError.

    What refuses, limits or is cut off comes as the fetcher's own error, with the time to wait.
    """
    with _bridged(_Api(fetcher, api_url, [_MOST_BYTES])):
        auth = Auth.Token(token) if token else None
        github = Github(
            auth=auth,
            base_url=api_url,
            user_agent=USER_AGENT,
            per_page=_PER_PAGE,
            retry=None,
            seconds_between_requests=None,
            lazy=True,
        )
        try:
            listed = github.get_repo(repo).get_releases()
            # the property of the class itself would ask once more for every release that lacks a field
            return tuple(super(CompletableGithubObject, one).raw_data for one in islice(listed, at_most))
        except AssertionError:
            raise SourceUnavailable("the upstream leads to another host", url=api_url) from None
        except (GithubException, BadAttributeException, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
            raise SourceChanged("GitHub's list of releases has another form", url=api_url) from None


@contextmanager
def _bridged(api: _Api) -> Iterator[None]:
    Requester.injectConnectionClasses(_HttpConnection, _HttpsConnection)  # type: ignore[arg-type]
    token = _API.set(api)
    try:
        yield
    finally:
        _API.reset(token)


class _Answer:
    """An answer in the form that PyGithub reads."""

    def __init__(self, fetched: Fetched) -> None:
        self._fetched = fetched
        self.status = fetched.status

    def getheaders(self) -> ItemsView[str, str]:
        return self._fetched.headers.items()

    def read(self) -> str:
        return self._fetched.body.decode("utf-8", "replace")


class _HttpConnection:
    """A connection as PyGithub expects it; every request goes through the fetcher of the look."""

    scheme = "http"

    def __init__(self, host: str, port: int | None = None, **_: object) -> None:
        self.host, self.port = host, port
        self._path, self._headers = "/", dict[str, str]()

    def request(self, verb: str, url: str, body: None, headers: dict[str, str], stream: bool = False) -> None:
        assert (verb, body, stream) == ("GET", None, False), "releases are only read"
        self._path, self._headers = url, headers

    def getresponse(self) -> _Answer:
        api = _API.get()
        port = f":{self.port}" if self.port else ""
        url = api.fetcher.next_page(api.url, f"{self.scheme}://{self.host}{port}{self._path}")
        answer = api.fetcher.get(url, headers=self._headers)
        if not answer.body.lstrip().startswith(b"["):  # PyGithub takes null for an empty list, and text for a row
            raise SourceChanged("GitHub's list of releases has another form", url=api.url)
        check_json(answer.body)
        api.left[0] -= len(answer.body)
        if api.left[0] < 0:
            raise SourceChanged("GitHub's list of releases is longer than allowed", limit_bytes=_MOST_BYTES)
        return _Answer(answer)

    def close(self) -> None:
        return


class _HttpsConnection(_HttpConnection):
    scheme = "https"
