"""A small web server on loopback: plain answers with validators and byte ranges, as real hosts give them."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `path` is unquoted, header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `body` is content, or a file which holds it."""

    body: bytes | Path = b""
    content_type: str = "application/octet-stream"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def part(self, first: int, last: int) -> bytes:
        """Return the bytes from `first` to `last`, both included."""
        if isinstance(self.body, bytes):
            return self.body[first : last + 1]
        with self.body.open("rb") as file:
            file.seek(first)
            return file.read(last + 1 - first)


NOT_FOUND = Response(b"not found\n", "text/plain", 404)
Answer = Callable[[Request], Response]


def text(body: str, content_type: str, **headers: str) -> Response:
    """Return a text with an ETag made from it, so that an unchanged one is not sent twice."""
    content = body.encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Response(content, content_type, headers={"ETag": tag, **headers})


class WebServer:
    """Serves `answer` on a free port of 127.0.0.1, as a context manager. Each request has a thread of its own."""

    def __init__(self, answer: Answer) -> None:
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def host(self) -> str:
        """Return `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def __enter__(self) -> "WebServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """As many may connect at once as one check asks of this machine; with the library's 5 the others wait a second."""


class _Handler(BaseHTTPRequestHandler):
    answer: Answer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), headers)
        try:
            self._send(type(self).answer(request), request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has enough: a reader of ranges, a stopped pull

    do_HEAD = do_GET

    def _send(self, response: Response, request: Request) -> None:
        if response.status == 200 and _is_known(response, request):
            self._head(304, response, 0)
            return
        size = response.size
        first, last = _asked_range(request.headers.get("range", ""), size) if response.status == 200 else (0, size - 1)
        if first > last and size:
            self._head(416, response, 0, {"Content-Range": f"bytes */{size}"})
            return
        partial = (first, last) != (0, size - 1)
        extra = {"Content-Range": f"bytes {first}-{last}/{size}"} if partial else {}
        self._head(206 if partial else response.status, response, last + 1 - first, extra)
        if request.method != "HEAD":
            for begin in range(first, last + 1, _CHUNK):
                self.wfile.write(response.part(begin, min(last, begin + _CHUNK - 1)))

    def _head(self, status: int, response: Response, length: int, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Accept-Ranges", "bytes")
        for name, value in {**response.headers, **(extra or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the demo prints what the program does, not what its world answers."""


def _is_known(response: Response, request: Request) -> bool:
    tag = response.headers.get("ETag")
    return tag is not None and tag in request.headers.get("if-none-match", "")


def _asked_range(header: str, size: int) -> tuple[int, int]:
    """Return first and last byte of a single range, the whole where none is asked; first > last lies outside."""
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return 0, size - 1
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    return int(match[1]), min(int(match[2] or size - 1), size - 1)
