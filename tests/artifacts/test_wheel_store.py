"""A whole wheel is fetched once, continued where it broke off, and is the one that its index names or none."""

import hashlib
from io import BufferedIOBase
from pathlib import Path

import pytest

from tests.real.web import Asked, Reply, Web, file_reply
from watcher.artifacts import wheel_store
from watcher.artifacts.wheel_store import WheelStore, prune_wheels
from watcher.errors import HostError, SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.model.trial import Overlay

CONTENT = bytes(range(256)) * 4096


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_store, "_FIRST_PAUSE", 0.01)


def overlay_at(web: Web, content: bytes = CONTENT, name: str = "t.whl") -> Overlay:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Overlay("torch", name, "2.14.0", digest, f"{web.url}/{name}", "jp6")


def serve(web: Web, content: bytes = CONTENT, breaks_after: int | None = None, ranges: bool = True) -> list[str]:
    """Serve the wheel; a whole one breaks off after so many bytes. Returns the ranges that will be asked for."""
    asked_for: list[str] = []

    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            asked_for.append(asked.headers.get("range", "whole"))
        if not ranges:
            asked = Asked(asked.method, asked.path, {}, {})
        if breaks_after is not None and asked.method == "GET" and "range" not in asked.headers:
            return Reply(raw=lambda out: _cut(out, content, breaks_after))
        return file_reply(asked, content, 1_700_000_000.0)

    web.routes["/t.whl"] = answer
    return asked_for


def _cut(out: BufferedIOBase, content: bytes, at: int) -> None:
    out.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content[:at])
    out.flush()


def test_a_wheel_is_fetched_whole_and_only_once(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    asked, store, said = serve(web), WheelStore(tmp_path / "wheels", fetcher), list[str]()
    assert store.missing_bytes(overlay_at(web)) == len(CONTENT)
    path = store.fetch(overlay_at(web), said.append)
    assert path.read_bytes() == CONTENT
    assert store.missing_bytes(overlay_at(web)) == 0
    assert store.fetch(overlay_at(web), said.append) == path
    assert asked == ["whole"]


def test_what_broke_off_goes_on_from_there_also_in_another_process(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    asked, store = serve(web, breaks_after=300_000), WheelStore(tmp_path, fetcher)
    assert store.fetch(overlay_at(web), lambda _: None).read_bytes() == CONTENT
    assert asked == ["whole", "bytes=300000-"]

    def ended(line: str) -> None:
        raise KeyboardInterrupt(line)

    prune_wheels(tmp_path, [])
    with pytest.raises(KeyboardInterrupt):
        store.fetch(overlay_at(web), ended)
    assert store.missing_bytes(overlay_at(web)) == len(CONTENT) - 300_000
    assert store.fetch(overlay_at(web), lambda _: None).read_bytes() == CONTENT
    assert asked[-1] == "bytes=300000-"


def test_a_host_that_sends_whole_files_only_is_asked_from_the_start(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    store = WheelStore(tmp_path, fetcher)
    serve(web, breaks_after=300_000, ranges=False)
    with pytest.raises(SourceUnavailable):
        store.fetch(overlay_at(web), lambda _: None)
    asked = serve(web, ranges=False)
    assert store.fetch(overlay_at(web), lambda _: None).read_bytes() == CONTENT
    assert asked == ["bytes=300000-", "whole"]


def test_another_content_than_the_index_names_is_dropped(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    serve(web, CONTENT[::-1])
    with pytest.raises(SourceChanged, match="not the one that its index names"):
        WheelStore(tmp_path, fetcher).fetch(overlay_at(web), lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_beyond_the_cap_is_not_fetched(
    web: Web, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_store, "MAX_WHEEL", 1000)
    serve(web)
    with pytest.raises(SourceChanged, match="larger than allowed"):
        WheelStore(tmp_path, fetcher).fetch(overlay_at(web), lambda _: None)


def test_a_size_that_the_host_does_not_tell_is_not_known(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    web.routes["/t.whl"] = Reply(405)
    assert WheelStore(tmp_path, fetcher).missing_bytes(overlay_at(web)) is None


def test_a_folder_that_cannot_be_is_trouble_of_ours(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "wheels").write_text("a file")
    with pytest.raises(HostError, match="cannot be kept on disk"):
        WheelStore(tmp_path / "wheels", fetcher).fetch(overlay_at(web), lambda _: None)


def test_only_wheels_that_are_still_wanted_are_kept(web: Web, fetcher: Fetcher, tmp_path: Path) -> None:
    serve(web)
    path = WheelStore(tmp_path, fetcher).fetch(overlay_at(web), lambda _: None)
    prune_wheels(tmp_path, [overlay_at(web).digest])
    assert path.exists()
    prune_wheels(tmp_path, ["sha256:another"])
    assert list(tmp_path.iterdir()) == []
