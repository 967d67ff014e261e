"""The monitor is told, or one sentence says why not: never the address, which is a secret, and never an exception."""

import threading
from io import BufferedIOBase

import pytest

from tests.real.ports import free_port
from tests.real.web import Reply, running_web
from watcher.notify.ping import ping

SECRET = "s3cret"


def test_it_asks_once_and_follows_nobody() -> None:
    with running_web() as web:
        web.routes[f"/{SECRET}"] = Reply(200)
        web.routes["/elsewhere"] = Reply(302, b"", {"Location": f"{web.url}/{SECRET}"})
        web.routes["/gone"] = Reply(404)
        assert ping(f"{web.url}/{SECRET}") is None
        assert ping(f"{web.url}/elsewhere") is None
        assert ping(f"{web.url}/gone") == "it answered 404"
        assert web.paths() == [f"/{SECRET}", "/elsewhere", "/gone"]


def test_of_an_answer_that_never_ends_nothing_is_read() -> None:
    is_over = threading.Event()

    def without_end(wire: BufferedIOBase) -> None:
        wire.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        is_over.wait()

    with running_web() as web:
        web.routes["/"] = Reply(raw=without_end)
        try:
            assert ping(web.url) is None
        finally:
            is_over.set()


@pytest.mark.parametrize(
    "address",
    [
        "",
        SECRET,
        f"ftp://127.0.0.1/{SECRET}",
        f"http:///{SECRET}",
        f"http://[::1/{SECRET}",
        f"http://127.0.0.1:99999/{SECRET}",
        f"http://127.0.0.1:port/{SECRET}",
        f"http://127.0.0.1/{SECRET}\x00",
        f"http://127.0.0.1/{SECRET}\udcff",
        f"http://{SECRET}\udcff@127.0.0.1/",
        f"http://a..b/{SECRET}",
        f"http://{SECRET}{'a' * 70}/",
        f"http://xn--a/{SECRET}",
        f"http://ä{'b' * 80}/{SECRET}",
    ],
    ids=ascii,
)
def test_what_is_no_address_is_one_sentence_without_it(address: str) -> None:
    trouble = ping(address)
    assert trouble is not None
    assert trouble.startswith("it could not be reached (")
    assert SECRET not in trouble


def test_nobody_there_is_one_sentence() -> None:
    assert ping(f"http://127.0.0.1:{free_port()}/{SECRET}") == "it could not be reached (ConnectError)"


@pytest.mark.parametrize(("name", "value"), [("SSL_CERT_FILE", "/not/there"), ("HTTP_PROXY", "strange://proxy")])
def test_surroundings_that_httpx_cannot_use_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    trouble = ping(f"http://127.0.0.1:{free_port()}/{SECRET}")
    assert trouble is not None
    assert trouble.startswith("it could not be reached (")
