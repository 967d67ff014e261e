"""What stands between a Docker engine and a real registry: it counts what is asked, and makes trouble on request."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase

import httpx

from tests.real.registry import Registry
from tests.real.web import Asked, Reply, Web, running_web

_PASSED_ON = ("accept", "authorization", "range")
_PASSED_BACK = ("content-type", "docker-content-digest", "content-range", "accept-ranges", "www-authenticate")


@dataclass
class Door:
    """A registry's address that may fail.

    Attributes:
        cut_after: a blob longer than this is cut off after so many bytes, `cuts` times.
        refuse: answers instead of the registry, by the beginning of the path behind the repository.
    """

    registry: Registry
    web: Web
    cut_after: int = 0
    cuts: int = 0
    refuse: dict[str, Reply] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.web.host

    def blob_requests(self) -> list[tuple[str, str]]:
        """Return digest and asked range of each request for a blob, in order."""
        asked = [one for one in self.web.asked if "/blobs/" in one.path and one.method == "GET"]
        return [(one.path.rpartition("/")[2], one.headers.get("range", "")) for one in asked]

    def answer(self, asked: Asked) -> Reply:
        for part, reply in self.refuse.items():
            if part in asked.path:
                return reply
        wanted = {name: value for name, value in asked.headers.items() if name in _PASSED_ON}
        try:
            told = self.registry.client.request(asked.method, f"{self.registry.url}{asked.path}", headers=wanted)
        except httpx.HTTPError:
            return Reply(raw=lambda _: None)
        headers = {name: value for name, value in told.headers.items() if name in _PASSED_BACK}
        if "/blobs/" in asked.path and self.cuts and len(told.content) > self.cut_after:
            self.cuts -= 1
            return Reply(raw=lambda pipe: _cut(pipe, told, self.cut_after))
        if asked.method == "HEAD":
            headers["content-length"] = told.headers.get("content-length", "0")
        return Reply(told.status_code, told.content, headers)


def _cut(pipe: BufferedIOBase, told: httpx.Response, after: int) -> None:
    head = [f"HTTP/1.1 {told.status_code} OK", f"Content-Length: {len(told.content)}"]
    head += [f"{name}: {told.headers[name]}" for name in _PASSED_BACK if name in told.headers]
    pipe.write(("\r\n".join(head) + "\r\n\r\n").encode() + told.content[:after])


@contextmanager
def door_before(registry: Registry) -> Iterator[Door]:
    with running_web() as web:
        door = Door(registry, web)
        web.fallback = door.answer
        yield door
