"""A program that asks for pages with sockets alone: what the server takes, whoever asks. URL LATE_MS COUNT."""

import asyncio
import sys
from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlsplit

from tests.bench.pages import Pages

_PARALLEL = 100


async def _ask_all(host: str, port: int, paths: list[str]) -> None:
    waiting = iter(paths)
    await asyncio.gather(*(_ask_some(host, port, first, waiting) for first in islice(waiting, _PARALLEL)))


async def _ask_some(host: str, port: int, path: str | None, waiting: Iterator[str]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while path is not None:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        path = next(waiting, None)
    writer.close()


def main() -> None:
    url, late_ms, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    paths = [urlsplit(page).path for page in Pages(url).addresses(count, late_ms).values()]
    asyncio.run(_ask_all(urlsplit(url).hostname or "", urlsplit(url).port or 80, paths))


if __name__ == "__main__":
    main()
