"""What a wheel's metadata asks of torch: beside the wheel (PEP 658), else inside it over ranges."""

import io
import tomllib
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import watcher
from tests.clocks import SteppingClock
from tests.real.web import Reply, Web, file_reply, web
from watcher.artifacts.pin import fetch_pin, pinned, read_pin
from watcher.artifacts.wheel import RemoteWheel
from watcher.config.bugs import BugSettings, read_bug
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher, HostHolds
from watcher.model.facts import Fact, FactKind
from watcher.model.verdict import BugState

__all__ = ["web"]

NAME = "vllm-0.33.0-cp38-abi3-manylinux_2_28_aarch64.whl"


def bug() -> BugSettings:
    folder = Path(watcher.__file__).parent / "bugs" / "cuda-allocator"
    return read_bug(folder, tomllib.loads((folder / "bug.toml").read_text()))


def metadata(*requirements: str) -> bytes:
    lines = "".join(f"Requires-Dist: {one}\n" for one in requirements)
    return f"Metadata-Version: 2.1\nName: vllm\nVersion: 0.33.0\n{lines}\nProse. Requires-Dist: torch==1.0\n".encode()


def serve_wheel(web: Web, inside: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("vllm-0.33.0.dist-info/METADATA", inside)
        archive.writestr("vllm/data.bin", bytes(200_000))
        archive.writestr("vllm/vendored/METADATA", metadata("torch==1.0"))
    web.routes[f"/{NAME}"] = lambda asked: file_reply(asked, out.getvalue(), 1.0)


def fetcher() -> Fetcher:
    return Fetcher(timeout=timedelta(seconds=10), holds=HostHolds({}, SteppingClock()))


@pytest.mark.parametrize(
    ("requirements", "pin"),
    [
        (("torch==2.14.0", "numpy"), "==2.14.0"),
        (("Torch (==2.14.0)",), "==2.14.0"),
        (("torchvision==0.29.0", "torch-c-dlpack-ext"), None),
        (
            ("torch==2.14.0 ; platform_machine == 'aarch64'", "torch==2.14.0+cpu ; platform_machine == 's390x'"),
            "==2.14.0",
        ),
        (("torch==1.0 ; extra == 'old'", "torch>=2.13,<2.15"), "<2.15,>=2.13"),
        (("torch",), None),
        (("torch==2.14.0", "torch!=2.14.1"), "!=2.14.1,==2.14.0"),
        (("this is no requirement !!", "torch==2.14.0"), "==2.14.0"),
        (("torch==2.14.0; python_version >= '3.12'", "torch==2.9.0; python_version < '3.12'"), None),
        (("torch==2.14.0; python_version >= '3.10'",), "==2.14.0"),
    ],
)
def test_the_pin_is_what_holds_on_a_jetson(requirements: tuple[str, ...], pin: str | None) -> None:
    assert pinned(metadata(*requirements), "torch") == pin


def test_what_is_no_metadata_is_named() -> None:
    with pytest.raises(SourceChanged):
        pinned(b"<html>not found</html>", "torch")


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    try:
        pinned(body, "torch")
    except SourceChanged:
        return


def test_the_file_beside_the_wheel_spares_the_wheel(web: Web) -> None:
    web.routes[f"/{NAME}.metadata"] = Reply(200, metadata("torch==2.14.0"))
    fact = Fact(FactKind.WHEEL, NAME, "0.33.0", url=f"{web.url}/{NAME}", detail={"_metadata": "1"})
    reading = fetch_pin(fact, fetcher(), bug())
    assert reading is not None
    assert (reading.pin, reading.state, reading.bytes_read) == (
        "==2.14.0",
        BugState.UNKNOWN,
        len(metadata("torch==2.14.0")),
    )
    assert web.paths() == [f"/{NAME}.metadata"]


@pytest.mark.parametrize("detail", [{}, {"_metadata": "1"}])
def test_without_that_file_the_wheel_is_asked(web: Web, detail: dict[str, str]) -> None:
    serve_wheel(web, metadata("torch==2.14.0"))
    fact = Fact(FactKind.WHEEL, NAME, "0.33.0", url=f"{web.url}/{NAME}", detail=detail)
    assert fetch_pin(fact, fetcher(), bug()) is None
    with RemoteWheel(fact.url, fetcher()) as wheel:
        reading = read_pin(wheel, bug())
    assert reading.pin == "==2.14.0"
    assert reading.bytes_read < 100_000


@pytest.mark.parametrize(
    "reply", [Reply(403), Reply(410), Reply(503), Reply(200, b"<html>a page for people</html>"), Reply(200, b"\xff")]
)
def test_whatever_is_wrong_with_that_file_the_wheel_is_asked(web: Web, reply: Reply) -> None:
    web.routes[f"/{NAME}.metadata"] = reply
    fact = Fact(FactKind.WHEEL, NAME, "0.33.0", url=f"{web.url}/{NAME}", detail={"_metadata": "1"})
    assert fetch_pin(fact, fetcher(), bug()) is None


def test_a_host_that_wants_to_be_left_alone_is_not_asked_for_the_wheel(web: Web) -> None:
    web.routes[f"/{NAME}.metadata"] = Reply(403, headers={"Retry-After": "60"})
    fact = Fact(FactKind.WHEEL, NAME, "0.33.0", url=f"{web.url}/{NAME}", detail={"_metadata": "1"})
    with pytest.raises(SourceUnavailable, match="too often"):
        fetch_pin(fact, fetcher(), bug())


def test_metadata_inside_that_cannot_be_read_is_a_result_and_not_read_again(web: Web) -> None:
    serve_wheel(web, b"no metadata at all")
    with RemoteWheel(f"{web.url}/{NAME}", fetcher()) as wheel:
        reading = read_pin(wheel, bug())
    assert (reading.pin, reading.state) == (None, BugState.UNKNOWN)
    assert reading.reason == "the wheel's metadata names no project"


def test_a_host_without_ranges_is_said_so(web: Web) -> None:
    web.routes[f"/{NAME}"] = Reply(200, b"whole files only")
    with RemoteWheel(f"{web.url}/{NAME}", fetcher()) as wheel:
        reading = read_pin(wheel, bug())
    assert (reading.pin, reading.state) == (None, BugState.UNKNOWN)
    assert "only whole files" in reading.reason
