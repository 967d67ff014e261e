"""A wheel behind a real HTTP server: few small ranges; whole files only where a person allowed it."""

import zipfile
from io import BufferedIOBase
from pathlib import Path

import pytest

from tests.artifacts.builders import FIXED, LIBRARY, PRESENT, assertion, library, torch_wheel, wheel
from tests.real.web import Reply, Web, file_reply
from watcher.artifacts.inspect import read_static
from watcher.artifacts.wheel import RemoteWheel
from watcher.config.bugs import BugSettings
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.fetch.ranged import RangesUnsupported
from watcher.model.verdict import BugState


def serve(web: Web, content: bytes) -> str:
    web.routes["/torch.whl"] = lambda asked: file_reply(asked, content, 1_700_000_000.0)
    return f"{web.url}/torch.whl"


def serve_whole(web: Web, content: bytes) -> str:
    web.routes["/torch.whl"] = Reply(200, content)
    return f"{web.url}/torch.whl"


def large_wheel() -> bytes:
    filling = {f"torch/include/header_{number:05}.h": b"x" for number in range(500)}
    tensor = {"torch/lib/libtorch_cuda.so": library(size=3_000_000)}
    return wheel(
        {
            **tensor,
            LIBRARY: library(assertion(1377), size=250_000),
            "torch/version.py": b"__version__ = '2.13.0'\n",
            **filling,
        },
        zipfile.ZIP_STORED,
    )


def test_a_remote_wheel_is_read_in_few_ranges(web: Web, fetcher: Fetcher, bug: BugSettings) -> None:
    with RemoteWheel(serve(web, large_wheel()), fetcher) as remote:
        reading = read_static(remote, bug)
    assert (reading.state, reading.torch) == (BugState.PRESENT, "2.13.0")
    assert reading.target == f"{web.url}/torch.whl"
    assert reading.bytes_read == fetcher.traffic.bytes < 500_000
    assert len(web.asked) <= 5
    assert all("range" in asked.headers for asked in web.asked)


def test_a_login_in_the_address_is_not_repeated(fetcher: Fetcher) -> None:
    assert (
        RemoteWheel("https://me:secret@example.invalid/t.whl?key=x", fetcher).target == "https://example.invalid/t.whl"
    )


def test_without_ranges_the_answer_is_unknown_and_says_what_would_help(
    web: Web, fetcher: Fetcher, bug: BugSettings
) -> None:
    with RemoteWheel(serve_whole(web, torch_wheel(PRESENT)), fetcher) as remote:
        reading = read_static(remote, bug)
    assert reading.state is BugState.UNKNOWN
    assert "whole files" in reading.reason
    assert "--download" in reading.reason
    assert reading.bytes_read == fetcher.traffic.bytes == 0


def test_a_reader_of_its_own_sees_that_ranges_are_missing(web: Web, fetcher: Fetcher) -> None:
    with pytest.raises(RangesUnsupported):
        list(RemoteWheel(serve_whole(web, torch_wheel(PRESENT)), fetcher).members((LIBRARY,)))


def test_a_download_is_read_from_disk(web: Web, fetcher: Fetcher, bug: BugSettings) -> None:
    content = torch_wheel(FIXED, "2.14.0")
    with RemoteWheel(serve_whole(web, content), fetcher, download=True) as remote:
        reading = read_static(remote, bug)
    assert (reading.state, reading.torch) == (BugState.FIXED, "2.14.0")
    assert reading.bytes_read == len(content)


def test_a_download_is_not_made_where_ranges_do(web: Web, fetcher: Fetcher, bug: BugSettings) -> None:
    content = large_wheel()
    with RemoteWheel(serve(web, content), fetcher, download=True) as remote:
        assert read_static(remote, bug).state is BugState.PRESENT
    assert fetcher.traffic.bytes < len(content) / 5


def test_a_remote_wheel_that_is_damaged_is_the_sources_fault(web: Web, fetcher: Fetcher, bug: BugSettings) -> None:
    with pytest.raises(SourceChanged, match="zip directory"):
        read_static(RemoteWheel(serve(web, b"<html>sorry</html>" * 100), fetcher), bug)


@pytest.mark.parametrize("download", [False, True])
def test_a_wheel_that_is_gone_is_no_answer(download: bool, web: Web, fetcher: Fetcher, bug: BugSettings) -> None:
    with pytest.raises(SourceUnavailable, match="no such page"):
        read_static(RemoteWheel(f"{web.url}/gone.whl", fetcher, download=download), bug)


def test_a_download_cut_off_is_no_answer(web: Web, fetcher: Fetcher, bug: BugSettings) -> None:
    content = torch_wheel(PRESENT)

    def write(out: BufferedIOBase) -> None:
        out.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content[:-500])

    web.routes["/torch.whl"] = Reply(raw=write)
    with pytest.raises(SourceUnavailable):
        read_static(RemoteWheel(f"{web.url}/torch.whl", fetcher, download=True), bug)


def test_nothing_of_a_download_is_left_on_disk(
    web: Web, fetcher: Fetcher, bug: BugSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with RemoteWheel(serve_whole(web, torch_wheel(PRESENT)), fetcher, download=True) as remote:
        read_static(remote, bug)
    assert list(tmp_path.iterdir()) == []
