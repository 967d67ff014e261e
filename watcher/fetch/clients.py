"""Connections, each lent to one request at a time and kept for the next one to the same host.

One pool for all threads would not do: httpcore may close a connection as idle which another thread was given a moment
before (a request then fails, or waits for an answer on a socket that is somebody else's), and it counts all connections
at every request.
"""

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import httpx

from watcher import __version__
from watcher.fetch.deadline import bound_by_deadline
from watcher.fetch.hosts import host_of

USER_AGENT = f"watcher/{__version__} (+upstream-watcher)"
_LOCK = threading.Lock()
_IDLE: dict[tuple[bool, str], list[httpx.Client]] = {}


@contextmanager
def lent_client(url: str) -> Iterator[httpx.Client]:
    """Lend a client that nobody else uses meanwhile: the last one that asked this host, else a new one."""
    secure = is_https(url)
    with _LOCK:
        idle = _IDLE.setdefault((secure, host_of(url)), [])
        client = idle.pop() if idle else _new_client(secure)
    try:
        yield client
    finally:
        with _LOCK:
            idle.append(client)


def is_https(url: str) -> bool:
    return url.lower().startswith("https:")


def _new_client(secure: bool) -> httpx.Client:
    client = httpx.Client(
        verify=_certificates() if secure else _no_certificates(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # an upstream's cookies are not sent to anyone
        follow_redirects=False,
    )
    atexit.register(client.close)
    return bound_by_deadline(client)


@cache
def _certificates() -> SSLContext:
    """Return whom we trust; loading it takes 20 ms and is left out where all is plain http."""
    return httpx.create_ssl_context()


@cache
def _no_certificates() -> SSLContext:
    """Return the context of plain http: it trusts no certificate whatever."""
    return SSLContext(PROTOCOL_TLS_CLIENT)
