"""A filter before a Docker engine: it lets through what patterns allow, and notes every call.

It stands for the socket proxies that people run: method and path of a request decide, answers pass as they come.
"""

import http.client
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

_CHUNK = 65536
_OWN = ("transfer-encoding", "connection", "keep-alive", "content-length")


@dataclass
class SocketProxy:
    """`allowed` are patterns of whole paths by method; `passed` and `refused` grow with each call."""

    url: str
    passed: set[tuple[str, str]] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)


class _ToSocket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, engine: str, allowed: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine = engine
        self.patterns = {method: re.compile(pattern) for method, pattern in allowed.items()}
        self.proxy = SocketProxy(f"tcp://127.0.0.1:{self.server_port}")

    def lets_through(self, method: str, path: str) -> bool:
        """Return whether a pattern names the call, and note it."""
        pattern = self.patterns.get(method)
        is_named = pattern is not None and pattern.fullmatch(path) is not None
        (self.proxy.passed if is_named else self.proxy.refused).add((method, path))
        return is_named

    def handle_error(self, request: Any, client_address: Any) -> None: ...  # the client may leave at any time


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None: ...

    def _pass_on(self) -> None:
        body = self._body()
        call = (self.command, unquote(urlsplit(self.path).path))
        if not self.server.lets_through(*call):
            self.send_error(403)
            return
        there = _ToSocket(self.server.engine)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
        there.request(self.command, self.path, body, headers)
        self._answer(there.getresponse())
        there.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        if self.command == "HEAD" or answer.status in (204, 304):
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(_CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass_on


@contextmanager
def socket_proxy(docker_url: str, allowed: Mapping[str, str]) -> Iterator[SocketProxy]:
    """Run the proxy on a free port of loopback."""
    with _Server(docker_url.removeprefix("unix://"), allowed) as server:
        serving = Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            serving.join()
