"""A program that serves project pages of a package index, made to be faster than whoever asks it: `Pages` runs it.

Every page is made beforehand, and answered from one event loop without parsing more than the first line and one header.
The first part of a path is how many milliseconds late the answer comes, as in `/100/p0042/`.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from urllib.request import urlopen

VERSIONS = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """What arrived and left since the last time one asked; bodies only, without headers."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Pages:
    """The running server."""

    url: str

    def addresses(self, count: int, late_ms: int) -> dict[str, str]:
        """Return the pages of so many projects, by the name of the project."""
        return {f"p{number:04}": f"{self.url}/{late_ms}/p{number:04}/" for number in range(count)}

    def traffic(self) -> Traffic:
        with urlopen(f"{self.url}/traffic") as answer:  # loopback only
            return Traffic(**json.load(answer))


@contextmanager
def running_pages() -> Iterator[Pages]:
    """Serve in a process of its own until the block ends."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.pages"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Pages(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        finally:
            process.terminate()


@cache
def _page(project: str) -> tuple[bytes, bytes]:
    """Return ETag and body of a page as PEP 691 has it: wheels for one device, as the indexes for JetPack list them."""
    names = [f"{project}-1.{version}.0-cp310-cp310-linux_aarch64.whl" for version in range(VERSIONS)]
    files = [
        {"filename": name, "url": f"files/{name}", "hashes": {"sha256": hashlib.sha256(name.encode()).hexdigest()}}
        for name in names
    ]
    body = json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": files}).encode()
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'.encode(), body


class _Connection(asyncio.Protocol):
    requests = sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._head = transport, b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        while b"\r\n\r\n" in self._head:
            head, _, self._head = self._head.partition(b"\r\n\r\n")
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == "/traffic":
            counted = {"requests": _Connection.requests, "bytes": _Connection.sent}
            _Connection.requests = _Connection.sent = 0
            self._transport.write(_response(b"200 OK", b'"-"', json.dumps(counted).encode()))
            return
        _, late, project, _ = path.split("/")
        etag, body = _page(project)
        is_known = b"if-none-match: " + etag in head.replace(b"If-None-Match", b"if-none-match")
        answer = _response(b"304 Not Modified", etag) if is_known else _response(b"200 OK", etag, body)
        _Connection.requests += 1
        _Connection.sent += 0 if is_known else len(body)
        if late == "0":
            self._transport.write(answer)
        else:
            asyncio.get_running_loop().call_later(int(late) / 1000, self._transport.write, answer)


def _response(status: bytes, etag: bytes, body: bytes | None = None) -> bytes:
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    kind = b"Content-Type: application/vnd.pypi.simple.v1+json\r\n"
    return b"HTTP/1.1 " + status + b"\r\nETag: " + etag + b"\r\n" + kind + length + b"\r\n" + (body or b"")


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
