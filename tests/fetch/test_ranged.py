"""A wheel behind HTTP is read in few, small ranges; a host without ranges is named, and its body left alone."""

import random
import zipfile
from collections.abc import Callable
from io import BufferedIOBase, BytesIO
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.real.web import Asked, Reply, Web, file_reply
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.fetch.ranged import RangedFile, RangesUnsupported

MEMBER = "torch/lib/libc10_cuda.so"


def big_wheel(members: int = 14_000, payload: int = 60_000_000) -> bytes:
    """Return a zip whose directory alone is over a megabyte, as torch's is, with one member of interest inside."""
    noise = random.Random(7)
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as wheel:
        wheel.writestr("torch/lib/libtorch_cuda.so", noise.randbytes(payload // 2))
        wheel.writestr(zipfile.ZipInfo(MEMBER), noise.randbytes(250_000) + b"CUDACachingAllocator.cpp")
        wheel.writestr("torch/lib/libtorch_cpu.so", noise.randbytes(payload // 2))
        for number in range(members):
            wheel.writestr(f"torch/include/ATen/ops/a_rather_long_operator_name_{number:08}.h", b"x")
    return out.getvalue()


def serving(content: bytes) -> Callable[[Asked], Reply]:
    return lambda asked: file_reply(asked, content, 1_700_000_000.0)


def test_one_member_of_a_large_wheel_costs_under_two_megabytes(web: Web, fetcher: Fetcher) -> None:
    content = big_wheel()
    web.routes["/torch.whl"] = serving(content)
    file = RangedFile(fetcher, f"{web.url}/torch.whl")
    with zipfile.ZipFile(file) as wheel:
        assert wheel.read(MEMBER).endswith(b"CUDACachingAllocator.cpp")
    directory = len(content) - wheel.start_dir
    assert directory > 1_200_000
    assert file.bytes_read <= min(2_000_000, directory + 250_000 + 2 * 32 * 1024)
    assert file.requests <= 5
    assert file.requests == len(web.asked) == fetcher.traffic.requests
    assert file.bytes_read == fetcher.traffic.bytes


def test_nothing_is_fetched_twice(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a.whl"] = serving(big_wheel(10, 200_000))
    file = RangedFile(fetcher, f"{web.url}/a.whl")
    for _ in range(2):
        with zipfile.ZipFile(file) as wheel:
            assert wheel.testzip() is None
        asked = file.requests
    assert file.requests == asked
    assert file.bytes_read == file.size


def test_a_host_that_sends_whole_files_is_named_and_its_body_left_unread(web: Web, fetcher: Fetcher) -> None:
    sent = []

    def endless(out: BufferedIOBase) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
        try:
            for _ in range(400):
                out.write(b"\0" * 1_000_000)
                sent.append(1)
        except OSError:  # the reader hung up, as it should
            pass

    web.routes["/torch.whl"] = Reply(raw=endless)
    with pytest.raises(RangesUnsupported, match="only whole files"):
        RangedFile(fetcher, f"{web.url}/torch.whl")
    assert fetcher.traffic.bytes == 0
    assert len(sent) < 40


def test_files_may_be_on_another_host(web: Web, other_web: Web, fetcher: Fetcher) -> None:
    other_web.routes["/real.whl"] = serving(b"0123456789" * 10_000)
    web.routes["/torch.whl"] = Reply(302, headers={"Location": f"{other_web.url}/real.whl"})
    file = RangedFile(fetcher, f"{web.url}/torch.whl")
    file.seek(50_000)
    assert file.read(10) == b"0123456789"
    assert file.name == f"{other_web.url}/real.whl"
    assert len(web.asked) == 1


def test_a_redirect_out_of_http_is_refused(web: Web, fetcher: Fetcher) -> None:
    web.routes["/torch.whl"] = Reply(302, headers={"Location": "file:///etc/passwd"})
    with pytest.raises(SourceChanged, match="neither http nor https"):
        RangedFile(fetcher, f"{web.url}/torch.whl")


@pytest.mark.parametrize("with_etag", [True, False])
def test_a_file_that_changes_between_ranges_is_noticed(web: Web, fetcher: Fetcher, with_etag: bool) -> None:
    versions = [bytes(200_000), bytes(199_999)]
    turn = count()
    modified = 1_700_000_000.0 if with_etag else None
    web.routes["/a.whl"] = lambda asked: file_reply(asked, versions[min(next(turn), 1)], modified)
    file = RangedFile(fetcher, f"{web.url}/a.whl")
    with pytest.raises(SourceUnavailable, match="changed while it was read"):
        file.read(100)


def test_a_wrong_range_is_never_taken_for_the_right_one(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a.whl"] = Reply(206, b"x", {"Content-Range": "bytes 5-5/100"})
    with pytest.raises(SourceUnavailable, match="another range"):
        RangedFile(fetcher, f"{web.url}/a.whl")
    web.routes["/b.whl"] = Reply(206, b"x")
    with pytest.raises(SourceChanged, match="does not say which range"):
        RangedFile(fetcher, f"{web.url}/b.whl")


def test_an_empty_file_reads_as_empty(web: Web, fetcher: Fetcher) -> None:
    web.routes["/empty.whl"] = serving(b"")
    assert RangedFile(fetcher, f"{web.url}/empty.whl").read() == b""


def test_a_missing_file_is_unavailable(web: Web, fetcher: Fetcher) -> None:
    with pytest.raises(SourceUnavailable, match="no such page"):
        RangedFile(fetcher, f"{web.url}/gone.whl")


def test_the_whole_of_a_large_file_is_not_fetched_by_accident(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a.whl"] = serving(bytes(300_000))
    file = RangedFile(fetcher, f"{web.url}/a.whl", max_bytes=100_000)
    with pytest.raises(SourceChanged, match="more bytes than allowed"):
        file.read()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5_100), st.integers(0, 3_000)), max_size=12), st.integers(1, 900))
def test_every_read_equals_the_same_read_of_the_file(
    web: Web, fetcher: Fetcher, reads: list[tuple[int, int]], read_ahead: int
) -> None:
    content = random.Random(3).randbytes(5_000)
    web.routes["/a"] = serving(content)
    fetcher.begin()
    file, plain = RangedFile(fetcher, f"{web.url}/a", read_ahead=read_ahead), BytesIO(content)
    for position, length in reads:
        file.seek(position)
        plain.seek(position)
        assert file.read(length) == plain.read(length)
        assert file.tell() == plain.tell()
    assert file.bytes_read <= file.size
