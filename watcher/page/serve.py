"""Serve the page's folder: a few files by their names, to GET and HEAD, from a few threads that live for seconds only.

Standard library alone: it lives in the service process. No path of a request ever reaches the file system.
"""

import contextlib
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import BinaryIO
from urllib.parse import parse_qs

from watcher.page.door import Door
from watcher.page.places import HTML, LOGS, PAGE, kind_of
from watcher.page.style import POLICY

MOST_AT_ONCE = 16
HEAD_SECONDS = 10.0
"""A request must be there by then, however slowly it drips in."""
_BODY_SECONDS, _LEAST_RATE = 30.0, 50_000
"""Time for an answer: so many seconds, and one more for each so many bytes."""
_SWEEP_SECONDS = 1.0
_AGAIN_SECONDS = 60.0
_PIECE = 1 << 16
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SHOW_IT = (
    '<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>watcher</title>'
    "<p>This page needs the token of [page] in config.toml: once as <code>?token=…</code> in a browser, else in the "
    "header <code>Authorization: Bearer …</code>."
    '<p>You have just given it? <a href="">Go on</a>: a browser shows its cookie only to who comes from here.\n'
)


class PageServer(ThreadingMixIn, TCPServer):
    """Listens as soon as it is made. Raises OSError where that cannot be."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], folder: Path, door: Door, complain: Callable[[str], None]) -> None:
        self.folder, self.door = folder, door
        self._complain = complain
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._ends: dict[socket.socket, float] = {}
        self._ends_lock = threading.Lock()
        self.timeout = _SWEEP_SECONDS
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.setblocking(False)
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        self.allow(request, HEAD_SECONDS)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._release(request)
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._release(request)

    def _release(self, request: socket.socket) -> None:
        with self._ends_lock:
            self._ends.pop(request, None)
        self._slots.release()

    def allow(self, request: socket.socket, seconds: float) -> None:
        """Let a connection live for so long from now on."""
        with self._ends_lock:
            self._ends[request] = time.monotonic() + seconds

    def end_late(self) -> None:
        """End what lives too long."""
        now = time.monotonic()
        with self._ends_lock:
            late = [request for request, end in self._ends.items() if end < now]
        for request in late:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  the base class's form
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # those are clients that went away
            kind = type(error).__name__
            self._complain(f"the page was not served, by an error of the watcher itself: {kind}: {error}")


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = HEAD_SECONDS

    def do_GET(self) -> None:
        self.server.allow(self.request, _BODY_SECONDS)
        path, _, query = self.path.partition("?")
        name = path.removeprefix("/") or PAGE
        door = self.server.door
        if self.request_version == "HTTP/0.9":
            return
        if door.is_misled(self.headers):
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "This machine does not know itself by that name.\n")
        elif not path.startswith("/") or (kind := kind_of(name)) is None:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.\n")
        elif door.token is not None and (shown := _token_of(query)) is not None and door.is_token(shown):
            place = "./" if name == PAGE else name.rpartition("/")[2]
            self._say(HTTPStatus.SEE_OTHER, "", {"Location": place, "Set-Cookie": door.set_cookie})
        elif not door.lets_in(self.headers):
            more = {"WWW-Authenticate": 'Bearer realm="watcher"', "Content-Type": HTML}
            self._say(HTTPStatus.UNAUTHORIZED, _SHOW_IT, more)
        else:
            self._file(name, kind)

    do_HEAD = do_GET

    def _file(self, name: str, kind: str) -> None:
        try:
            file = opened(self.server.folder, name)
        except OSError:
            self._say(HTTPStatus.NOT_FOUND, "It was not written yet: the first check does that.\n")
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            more = {"Content-Disposition": "attachment"} if name.startswith(f"{LOGS}/") else {}
            self._head(HTTPStatus.OK, kind, size, more)
            if self.command == "HEAD":
                return
            seconds = _BODY_SECONDS + size / _LEAST_RATE
            self.server.allow(self.request, seconds)
            self.request.settimeout(seconds)
            while size > 0 and (piece := file.read(min(_PIECE, size))):
                self.wfile.write(piece)
                size -= len(piece)

    def _say(self, status: HTTPStatus, text: str, more: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self._head(status, "text/plain; charset=utf-8", len(body), more or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, size: int, more: Mapping[str, str]) -> None:
        self.close_connection = True
        self.send_response_only(status)
        headers = {"Content-Type": kind, "Content-Length": str(size), "Connection": "close"} | _HEADERS | dict(more)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what could not be understood, as the base class asks; nothing of the request is repeated."""
        del message, explain
        self.server.allow(self.request, HEAD_SECONDS)
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        more = {"Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        self._say(status, f"{status.phrase}.\n", more)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request may hold the token, and scrapes come every few seconds."""


def opened(folder: Path, name: str) -> BinaryIO:
    """Open a file of the folder, `name` being one that `kind_of` knows. Raises OSError, for a link as well."""
    *above, last = name.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    place = os.open(folder, flags | os.O_DIRECTORY)
    try:
        for part in above:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=place)
            os.close(place)
            place = inner
        file = os.open(last, flags, dir_fd=place)
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(name)
    return os.fdopen(file, "rb")


def _token_of(query: str) -> str | None:
    try:
        found = parse_qs(query, max_num_fields=10).get("token")
    except ValueError:
        return None
    return found[0] if found else None


class ServedPage:
    """Serves in a thread of its own while the block runs; an address that cannot be had is tried again each minute."""

    def __init__(self, address: tuple[str, int], folder: Path, door: Door, complain: Callable[[str], None]) -> None:
        self._address, self._folder, self._door, self._complain = address, folder, door, complain
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def __enter__(self) -> "ServedPage":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(2 * _SWEEP_SECONDS)

    def _run(self) -> None:
        is_told = False
        while not self._ending.is_set():
            try:
                server = PageServer(self._address, self._folder, self._door, self._complain)
            except OSError as error:
                if not is_told:
                    place, why = "{}:{}".format(*self._address), error.strerror or str(error)
                    self._complain(f"the page is not served at {place}: {why}; it is tried again, and watching goes on")
                is_told = True
                self._ending.wait(_AGAIN_SECONDS)
                continue
            with server:
                while not self._ending.is_set():
                    server.handle_request()
                    server.end_late()
