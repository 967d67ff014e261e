"""A small HTTP/1.1 server on loopback whose answers the test sets: upstreams that cannot be had, and trouble."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest


@dataclass(frozen=True)
class Asked:
    """One request that arrived; header names are lower case. `connection` is the same for what came over one."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    connection: int = 0
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """An answer. `raw` writes everything after the request itself (drips, broken answers)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    raw: Callable[[BufferedIOBase], None] | None = None


Route = Reply | Callable[[Asked], Reply]


@dataclass
class Web:
    """The running server: set `routes[path]`, read `asked`."""

    url: str
    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    fallback: Callable[[Asked], Reply] = field(default=lambda _: Reply(404, b"there is nothing here"))

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def paths(self, method: str | None = None) -> list[str]:
        return [one.path for one in self.asked if method in (None, one.method)]

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        route = self.routes.get(asked.path, self.fallback)
        return route if isinstance(route, Reply) else route(asked)


def tree(root: Path, *, conditional: bool = True) -> Callable[[Asked], Reply]:
    """Return a fallback that serves files: ETag and Last-Modified with 304 (`conditional`), single ranges with 206."""

    def serve(asked: Asked) -> Reply:
        file = root / unquote(asked.path).lstrip("/")
        if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
            return Reply(404, b"not found")
        return file_reply(asked, file.read_bytes(), file.stat().st_mtime if conditional else None)

    return serve


def file_reply(asked: Asked, content: bytes, modified: float | None) -> Reply:
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    if modified is not None:
        headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        headers["Last-Modified"] = formatdate(modified, usegmt=True)
        if asked.headers.get("if-none-match") == headers["ETag"]:
            return Reply(304, headers=headers)
    wanted = asked.headers.get("range", "")
    if wanted.startswith("bytes=") and asked.headers.get("if-range") in (None, headers.get("ETag")):
        return _range(wanted.removeprefix("bytes="), content, headers)
    return Reply(200, content, headers)


def _range(wanted: str, content: bytes, headers: dict[str, str]) -> Reply:
    first, _, last = wanted.partition("-")
    begin = int(first) if first else max(len(content) - int(last), 0)
    end = min(int(last) + 1, len(content)) if first and last else len(content)
    if begin >= len(content):
        return Reply(416, headers={"Content-Range": f"bytes */{len(content)}"})
    return Reply(206, content[begin:end], {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's delayed acknowledgement
    web: Web

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        reply = self.web.reply(Asked(self.command, parts.path, query, headers, self.client_address[1], body))
        time.sleep(reply.delay)
        try:
            self._write(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had enough; some tests want just that

    def _write(self, reply: Reply) -> None:
        if reply.raw is not None:
            self.close_connection = True
            reply.raw(self.wfile)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304 and "content-length" not in {name.lower() for name in reply.headers}:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD" and reply.status != 304:
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def log_message(self, format: str, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        return


@contextmanager
def running_web(port: int = 0) -> Iterator[Web]:
    """Serve on a loopback port (0: a free one) until the block ends."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", port), handler)
    web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    handler.web = web  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    with running_web() as running:
        yield running


@pytest.fixture
def other_web() -> Iterator[Web]:
    with running_web() as running:
        yield running
