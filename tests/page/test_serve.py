"""The served page: what is given to whom, and that neither hostile requests nor slow ones do any harm."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.real.ports import free_port
from watcher.page import serve
from watcher.page.door import COOKIE, Door
from watcher.page.serve import ServedPage

TOKEN = "a token, äöü; with=signs"
SECRET = "what lies beside the folder"


@dataclass
class Site:
    port: int
    folder: Path
    said: list[str]

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            sent = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            return answer, answer.read()

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def status(self, path: str, method: str = "GET", **headers: str) -> int:
        return self.ask(path, method, **headers)[0].status


@contextmanager
def served(folder: Path, token: str | None = None, port: int | None = None) -> Iterator[Site]:
    site = Site(port or free_port(), folder, [])
    with ServedPage(("127.0.0.1", site.port), folder, Door(token, "127.0.0.1"), site.said.append):
        within(20, lambda: bool(site.said) or is_listening(site.port))
        yield site


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def within(seconds: float, holds: object) -> None:
    assert callable(holds)
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_SWEEP_SECONDS", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "data" / "page"
    (page / "logs").mkdir(parents=True)
    for name in ("index.html", "answer.json", "trials.json", "metrics"):
        (page / name).write_text(f"this is {name}")
    (page / "logs" / "trial-3-start-0.log.gz").write_bytes(b"\x1f\x8b packed")
    (page / "logs" / "trial-3-start-0.metrics.txt").write_text("<script>")
    (page / ".index.html.77").write_text(SECRET)
    (page.parent / "watcher.db").write_text(SECRET)
    return page


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with served(folder) as site:
        yield site


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", b"this is index.html"),
        ("/index.html?x=1", "text/html; charset=utf-8", b"this is index.html"),
        ("/answer.json", "application/json", b"this is answer.json"),
        ("/trials.json", "application/json", b"this is trials.json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", b"this is metrics"),
        ("/logs/trial-3-start-0.log.gz", "application/gzip", b"\x1f\x8b packed"),
        ("/logs/trial-3-start-0.metrics.txt", "text/plain; charset=utf-8", b"<script>"),
    ],
)
def test_each_file_comes_with_its_type_and_strict_headers(site: Site, path: str, kind: str, body: bytes) -> None:
    answer, read = site.ask(path)
    assert (answer.status, answer.headers["Content-Type"], read) == (200, kind, body)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] is None, "who listens is nobody's business"
    assert ("attachment" in answer.headers.get("Content-Disposition", "")) == path.startswith("/logs/")
    head, nothing = site.ask(path, "HEAD")
    assert (head.status, head.headers["Content-Length"], nothing) == (200, str(len(body)), b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "<script>"])
def test_it_only_reads(site: Site, method: str) -> None:
    answer = site.raw(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 405 ")
    assert b"Allow: GET, HEAD" in answer
    assert b"nosniff" in answer
    assert b"<script>" not in answer


@pytest.mark.parametrize(
    "path",
    [
        "/../watcher.db",
        "/%2e%2e/watcher.db",
        "/..%2fwatcher.db",
        "/logs/../../watcher.db",
        "/logs/..",
        "/logs/",
        "/logs",
        "/logs/trial-3-start-0.log.gz/",
        "/logs/trial-3-start-0.log.gz\x00",
        "/logs/trial-٣-start-0.log.gz",
        "//index.html",
        "/./index.html",
        "index.html",
        "../watcher.db",
        "/.index.html.77",
        "/metrics/",
        "/\\..\\watcher.db",
        "http://127.0.0.1/index.html",
        "/" + "x" * 3000,
        "*",
    ],
)
def test_no_path_leads_out_of_the_list(site: Site, path: str) -> None:
    answer = site.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.partition(b" ")[2][:3] in (b"404", b"400") or (path == "//index.html" and b" 200 " in answer[:20])
    assert SECRET.encode() not in answer


def test_a_link_or_a_pipe_in_the_folder_is_not_followed(site: Site) -> None:
    (site.folder / "metrics").unlink()
    (site.folder / "metrics").symlink_to("../watcher.db")
    (site.folder / "answer.json").unlink()
    os.mkfifo(site.folder / "answer.json")
    shutil.rmtree(site.folder / "logs")
    (site.folder / "logs").symlink_to("..")
    (site.folder.parent / "trial-3-start-0.log.gz").write_text(SECRET)
    for path in ("/metrics", "/answer.json", "/logs/trial-3-start-0.log.gz"):
        answer, body = site.ask(path)
        assert (answer.status, SECRET.encode() in body) == (404, False)


NO_REQUESTS = [
    b"\r\n\r\n",
    b"GET /\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1 x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    b"GET /" + b"z" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n: :\r\n\x00\xff\r\n\r\n",
]


@pytest.mark.parametrize("request_text", NO_REQUESTS, ids=range(len(NO_REQUESTS)))
def test_what_is_no_request_gets_no_page_and_breaks_nothing(site: Site, request_text: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
        try:
            connection.sendall(request_text)
            with suppress(OSError):  # it may have hung up already
                connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:  # it was cut off in the middle
            answer = b""
    assert b"this is" not in answer or request_text.startswith(b"GET / HTTP/1.1\r\n: :")
    assert site.status("/") == 200
    assert site.said == []


def test_a_page_that_was_not_written_yet_is_not_there(tmp_path: Path) -> None:
    with served(tmp_path / "page") as site:
        answer, body = site.ask("/")
        assert (answer.status, b"first check" in body) == (404, True)


def test_without_the_token_there_is_nothing(folder: Path) -> None:
    with served(folder, TOKEN) as site:
        for path in (
            "/",
            "/answer.json",
            "/trials.json",
            "/metrics",
            "/logs/trial-3-start-0.log.gz",
            "/logs/trial-3-start-0.metrics.txt",
        ):
            for headers in (
                {},
                {"Authorization": "Bearer"},
                {"Authorization": f"Bearer {TOKEN}x"},
                {"Authorization": f"Basic {TOKEN}"},
                {"Cookie": f"{COOKIE}={TOKEN}"},
                {"Cookie": f"{COOKIE}="},
                {"Cookie": "=;;; x"},
            ):
                answer, body = site.ask(path, **headers)
                assert (answer.status, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
                assert b"this is" not in body
                assert b"<script>" not in body
        assert site.status("/?token=wrong") == 401
        assert site.status("/?token=") == 401
        assert site.status("/?" + "&".join(f"a{n}=1" for n in range(50))) == 401


def test_the_token_lets_a_program_in(folder: Path) -> None:
    with served(folder, TOKEN) as site:
        answer, body = site.ask("/metrics", Authorization=f"Bearer {TOKEN}")
        assert (answer.status, body) == (200, b"this is metrics")
        assert site.status("/metrics", authorization=f"bearer {TOKEN}") == 200
        assert site.status("/metrics", "HEAD", Authorization=f"Bearer {TOKEN}") == 200


def test_the_token_lets_a_browser_in_once_and_leaves_the_address(folder: Path) -> None:
    with served(folder, TOKEN) as site:
        shown = "token=a%20token%2C+%C3%A4%C3%B6%C3%BC%3B%20with%3Dsigns"
        for path, place in (("/", "./"), ("/trials.json", "trials.json")):
            answer, body = site.ask(f"{path}?{shown}")
            assert (answer.status, answer.headers["Location"], body) == (303, place, b"")
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        pair = cookie.partition(";")[0]
        assert site.ask("/", Cookie=f"other=1; {pair}")[1] == b"this is index.html"
        assert site.status("/nothing?" + shown) == 404, "it leads nowhere else"
    with served(folder, f"{TOKEN}!") as other:
        assert other.status("/", Cookie=pair) == 401, "another token, another cookie"


def test_it_keeps_nothing_of_who_asked(folder: Path) -> None:
    """A cookie outlives the server that gave it, for it is known by the token alone; no file changes."""
    before = _files(folder.parent)
    with served(folder, TOKEN) as site:
        cookie = site.ask(f"/?token={quote(TOKEN)}")[0].headers["Set-Cookie"].partition(";")[0]
        for path in ("/", "/metrics", "/logs/trial-3-start-0.log.gz", "/nothing"):
            site.ask(path, Cookie=cookie)
            site.ask(path)
    with served(folder, TOKEN) as later:
        assert later.status("/", Cookie=cookie) == 200
    assert _files(folder.parent) == before


def _files(folder: Path) -> set[tuple[Path, int, int]]:
    return {(path, stat.st_size, stat.st_mtime_ns) for path in folder.rglob("*") for stat in [path.lstat()]}


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("127.0.0.1:8787", 200), ("[::1]:8787", 200), ("evil.example", 421),
     ("127.0.0.1.evil.example", 421), ("169.254.0.1", 421)],
)  # fmt: skip
def test_without_a_token_no_other_name_leads_here(site: Site, host: str, status: int) -> None:
    assert site.status("/", Host=host) == status


def test_with_a_token_any_name_may(folder: Path) -> None:
    with served(folder, TOKEN) as site:
        assert site.status("/", Host="jetson.lan", Authorization=f"Bearer {TOKEN}") == 200


def test_slow_clients_are_few_and_are_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "HEAD_SECONDS", 2.0)
    before = threading.active_count()
    with served(folder) as site:
        slow = [socket.create_connection(("127.0.0.1", site.port), timeout=20) for _ in range(serve.MOST_AT_ONCE)]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        within(20, lambda: site.raw(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 503 "))
        assert threading.active_count() <= before + 1 + serve.MOST_AT_ONCE
        ends = time.monotonic() + 30
        while slow:  # a byte now and then does not keep it open
            assert time.monotonic() < ends
            slow = [connection for connection in slow if not _is_ended(connection)]
            time.sleep(0.1)
        within(20, lambda: site.status("/") == 200)
        assert site.said == []


def _is_ended(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        connection.settimeout(0.001)
        ended = connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        ended = True
    connection.close()
    return ended


def test_who_does_not_read_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 30_000_000
    (folder / "logs" / "trial-4-start-0.log.gz").write_bytes(os.urandom(size))
    monkeypatch.setattr(serve, "_BODY_SECONDS", 3.0)
    monkeypatch.setattr(serve, "_LEAST_RATE", size)
    with served(folder) as site:
        before = _sending()
        with socket.create_connection(("127.0.0.1", site.port), timeout=20) as idle:
            idle.sendall(b"GET /logs/trial-4-start-0.log.gz HTTP/1.0\r\n\r\n")
            within(20, lambda: bool(_sending() - before))
            within(20, lambda: not _sending() - before)
        assert site.status("/") == 200


def _sending() -> frozenset[threading.Thread]:
    return frozenset(thread for thread in threading.enumerate() if "process_request_thread" in thread.name)


def test_a_long_log_arrives_whole(site: Site) -> None:
    content = os.urandom(5_000_000)
    (site.folder / "logs" / "trial-4-start-12.log.gz").write_bytes(content)
    assert site.ask("/logs/trial-4-start-12.log.gz")[1] == content


def test_who_reads_while_the_page_is_replaced_gets_one_or_the_other(site: Site) -> None:
    texts = [letter * 200_000 for letter in "ab"]
    page = site.folder / "index.html"
    page.write_text(texts[0])
    is_over = threading.Event()

    def replace() -> None:
        while not is_over.is_set():
            for text in texts:
                neighbour = page.with_name(".next")
                neighbour.write_text(text)
                neighbour.replace(page)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        assert {site.ask("/")[1].decode() for _ in range(60)} <= set(texts)
    finally:
        is_over.set()
        writer.join()


def test_a_port_in_use_is_said_once_and_taken_when_it_is_free(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_AGAIN_SECONDS", 0.05)
    tries: list[object] = []

    class Counted(serve.PageServer):
        def server_bind(self) -> None:
            tries.append(self)
            super().server_bind()

    monkeypatch.setattr(serve, "PageServer", Counted)
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with served(folder, port=port) as site:
        within(20, lambda: len(tries) > 3)
        assert [line.partition(";")[0] for line in site.said] == [
            f"the page is not served at 127.0.0.1:{port}: Address already in use"
        ]
        taken.close()
        within(20, lambda: is_listening(port))
        assert site.status("/") == 200
