"""The polite client: what one look asks of an upstream, counted, capped and bounded in time."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import BinaryIO, Self

import httpx

from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.bodies import Body
from watcher.fetch.budgets import budget_told
from watcher.fetch.clients import USER_AGENT, is_https, lent_client
from watcher.fetch.deadline import ending_at
from watcher.fetch.holds import HostHolds
from watcher.fetch.hosts import check_allowed, host_of, resolve
from watcher.fetch.logins import login_in, without_login
from watcher.fetch.refusals import refusal, shown, wait_when_spent
from watcher.model.facts import Traffic

__all__ = ["USER_AGENT", "Fetched", "Fetcher", "HostHolds", "Validators"]

MAX_BODY = 16 * 2**20
"""Of one answer: a page of 5 000 wheels has 2 MB, and text takes up to four times its bytes in memory."""
MAX_HEADER = 16 * 2**10
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SMALL = 64 * 2**10
"""Bodies of refusals up to this size are read: the connection stays usable, and some say why."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes the next request conditional."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Self:
        return cls(_sendable(headers.get("etag")), _sendable(headers.get("last-modified")))

    @classmethod
    def from_dict(cls, stored: object) -> Self:
        """Read back `to_dict`; anything else gives empty validators."""
        if not isinstance(stored, dict):
            return cls()
        return cls(_sendable(stored.get("etag")), _sendable(stored.get("last_modified")))

    def to_dict(self) -> dict[str, str]:
        pairs = {"etag": self.etag, "last_modified": self.last_modified}
        return {key: value for key, value in pairs.items() if value}

    def as_headers(self) -> dict[str, str]:
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {key: value for key, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is the final address: links are relative to it. `not_modified` has no body."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    not_modified: bool = False

    @property
    def validators(self) -> Validators:
        return Validators.from_headers(self.headers)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked for, whichever address it ends up at; `origin` is the first one."""

    method: str
    origin: str
    headers: dict[str, str]
    validators: Validators = Validators()
    max_body: int = 0
    values: Collection[int] = ()
    only: Collection[int] | None = None
    elsewhere: bool = False
    into: BinaryIO | None = None


class Fetcher:
    """Requests of one source. Everything it raises is a SourceError.

    Attributes of the constructor:
        timeout: for the whole look, from the first request (or `begin`) to the last byte.
        allowed_hosts: `host` or `host:port` where redirects and next pages may lead besides the asked host.
        max_body: of one answer, on the wire and after decompression.
        headers: sent with every request.
    """

    def __init__(
        self,
        *,
        timeout: timedelta,
        holds: HostHolds,
        allowed_hosts: frozenset[str] = frozenset(),
        max_body: int = MAX_BODY,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._timeout = timeout.total_seconds()
        self._holds = holds
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._max_body = max_body
        self._headers = dict(headers or {})
        self._lock = threading.Lock()
        self._requests = self._not_modified = self._bytes = 0
        self._moved_to: str | None = None
        self._logins: dict[str, str] = {}
        self._ends_at: float | None = None
        self._pages: set[str] = set()

    @property
    def traffic(self) -> Traffic:
        with self._lock:
            return Traffic(self._requests, self._not_modified, self._bytes)

    @property
    def moved_to(self) -> str | None:
        """Return the other, allowed host that a redirect led to; files and tokens elsewhere are no move."""
        with self._lock:
            return self._moved_to

    def begin(self) -> None:
        """Start the time of a look."""
        self._ends_at = time.monotonic() + self._timeout
        self._pages.clear()

    def address(self, url: str) -> str:
        """Return an address without its login, which from now on is sent to its host, and to no other.

        A login that was given for https is not sent in the clear.
        """
        if (login := login_in(url)) is not None:
            secure = f"https://{host_of(url)}"
            with self._lock:
                self._logins |= {secure: login} if is_https(url) else {secure: login, f"http://{host_of(url)}": login}
        return without_login(url)

    def count_unchanged(self) -> None:
        """Count an equal validator that is not HTTP's own (a serial number, a digest)."""
        with self._lock:
            self._not_modified += 1

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        validators: Validators | None = None,
        max_body: int | None = None,
        values: Collection[int] = (),
        only: Collection[int] | None = None,
        elsewhere: bool = False,
        into: BinaryIO | None = None,
    ) -> Fetched:
        """Return the answer, with 304 as `not_modified` where validators were sent.

        Args:
            values: further statuses that are answers and not errors (a 404 that means "gone").
            only: statuses whose body is wanted; with any other success it is left unread.
            elsewhere: files and token services may be at any http or https host, redirects too.
            into: takes the body instead of memory; `body` is then empty.
        """
        url = self.address(url)
        sent, cap = {**self._headers, **(headers or {})}, self._max_body if max_body is None else max_body
        wanted = None if only is None else frozenset(only)
        return self._follow(
            url, _Ask("GET", url, sent, validators or Validators(), cap, frozenset(values), wanted, elsewhere, into)
        )

    def head(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        values: Collection[int] = (),
        elsewhere: bool = False,
    ) -> Fetched:
        url = self.address(url)
        sent = {**self._headers, **(headers or {})}
        return self._follow(url, _Ask("HEAD", url, sent, values=frozenset(values), elsewhere=elsewhere))

    def next_page(self, page: str, link: str) -> str:
        """Return the absolute address of a link to the next page. Raises SourceError where it may not lead.

        Each address is given once in a look: pages that lead back to themselves would be asked for until it ends.
        """
        url = resolve(page, link)
        check_allowed(page, url, self._allowed_hosts)
        with self._lock:
            is_circle = url in self._pages
            self._pages.add(url)
        if is_circle:
            raise SourceChanged("the pages of the upstream lead in a circle", url=shown(url))
        return url

    def _follow(self, url: str, ask: _Ask) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._once(url, ask)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                self._note_move(answer.url, ask)
                return answer
            url, ask = self._redirected(url, answer, ask)
        raise SourceUnavailable("the upstream redirects without end", url=shown(ask.origin))

    def _redirected(self, url: str, answer: Fetched, ask: _Ask) -> tuple[str, _Ask]:
        target = resolve(url, answer.headers["location"])
        if not ask.elsewhere:
            check_allowed(ask.origin, target, self._allowed_hosts)
        if host_of(target) == host_of(url):
            return target, ask
        kept = {name: value for name, value in ask.headers.items() if name.lower() != "authorization"}
        return target, replace(ask, headers=kept)

    def _note_move(self, url: str, ask: _Ask) -> None:
        if not ask.elsewhere and (host := host_of(url)) != host_of(ask.origin):
            with self._lock:
                self._moved_to = host

    def _once(self, url: str, ask: _Ask) -> Fetched:
        host = host_of(url)
        self._heed_hold(host)
        if self._ends_at is None:
            self.begin()
        assert self._ends_at is not None
        with self._holds.slot(host, self._ends_at - time.monotonic()):
            self._heed_hold(host)  # while this one waited for its place, an answer may have asked for a rest
            with ending_at(self._ends_at), _as_source_errors(url), self._stream(url, ask) as response:
                return self._read(response, url, ask)

    def _heed_hold(self, host: str) -> None:
        if (left := self._holds.remaining(host)) is not None:
            raise SourceUnavailable("the upstream asked to be left alone for a while", retry_after=left, host=host)

    @contextmanager
    def _stream(self, url: str, ask: _Ask) -> Iterator[httpx.Response]:
        with self._lock:
            self._requests += 1
            login = self._logins.get(f"{'https' if is_https(url) else 'http'}://{host_of(url)}")
        own = {"Authorization": login} if login else {}
        headers = {**own, **ask.headers, **ask.validators.as_headers()}
        with (
            lent_client(url) as client,
            client.stream(ask.method, url, headers=headers, timeout=self._timeout) as response,
        ):
            yield response

    def _read(self, response: httpx.Response, url: str, ask: _Ask) -> Fetched:
        status = response.status_code
        if any(len(value) > MAX_HEADER for value in response.headers.values()):
            raise SourceChanged("a header of the answer is longer than allowed", url=shown(url), limit=MAX_HEADER)
        self._heed_budget(response.headers, host_of(url))
        if status == 304 and ask.validators.as_headers():
            self.count_unchanged()
            self._drain(response)
            return Fetched(status, url, response.headers, not_modified=True)
        if status in _REDIRECTS and "location" in response.headers:
            self._drain(response)
            return Fetched(status, url, response.headers)
        if 200 <= status < 300 or status in ask.values:
            return Fetched(status, url, response.headers, self._body(response, ask))
        error = refusal(status, response.headers, url, self._holds.now())
        if error.retry_after is not None:
            self._holds.hold(host_of(url), error.retry_after)
        self._drain(response)
        raise error

    def _heed_budget(self, headers: Mapping[str, str], host: str) -> None:
        now = self._holds.now()
        if (budget := budget_told(headers, host, now)) is not None:
            self._holds.note_budget(budget)
        if (wait := wait_when_spent(headers, now)) is not None:
            self._holds.hold(host, wait)

    def _body(self, response: httpx.Response, ask: _Ask) -> bytes:
        if ask.only is not None and response.status_code not in ask.only:
            return b""
        if _length(response) > ask.max_body and ask.method != "HEAD":
            raise SourceChanged("the answer is larger than allowed", limit_bytes=ask.max_body)
        encoding = "" if ask.method == "HEAD" else response.headers.get("content-encoding", "")
        body = Body(ask.max_body, encoding, ask.into)
        for chunk in response.iter_raw():
            self._count(len(chunk))
            body.feed(chunk)
        return body.content()

    def _drain(self, response: httpx.Response) -> None:
        """Read a small body to its end, also where it is known to be empty: else the connection is given up."""
        is_empty = response.status_code == 304 or response.headers.get("content-length") == "0"
        if is_empty or 0 < _length(response) <= _SMALL:
            for chunk in response.iter_raw():
                self._count(len(chunk))

    def _count(self, size: int) -> None:
        with self._lock:
            self._bytes += size


@contextmanager
def _as_source_errors(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException:
        raise SourceUnavailable("the upstream did not answer in time", url=shown(url)) from None
    except (httpx.InvalidURL, UnicodeError):
        raise SourceChanged("a link of the upstream is not an address", url=shown(url)) from None
    except httpx.ConnectError as error:
        text = str(error)
        reason = "the upstream's certificate is not valid" if "CERTIFICATE" in text else "the upstream is not reachable"
        raise SourceUnavailable(reason, url=shown(url), cause=text) from None
    except httpx.HTTPError as error:
        cause = str(error) or type(error).__name__
        raise SourceUnavailable("the connection to the upstream broke", url=shown(url), cause=cause) from None


def _length(response: httpx.Response) -> int:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _sendable(value: object) -> str | None:
    """Return a header value that may be sent back; a control or non-ASCII character makes it useless."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() and value else None
