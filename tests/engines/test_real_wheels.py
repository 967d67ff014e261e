"""The real aarch64 wheels of PyTorch, read where pip says they are: the last with the bug and the first without it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.artifacts.builders import allocator_bug
from watcher.artifacts.inspect import read_static
from watcher.artifacts.wheel import RemoteWheel
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds
from watcher.host.clock import SystemClock
from watcher.model.verdict import BugState

pytestmark = pytest.mark.engines

MOST_BYTES = 2_000_000
MOST_REQUESTS = 6


FindWheel = Callable[[str], str]


@pytest.fixture
def find_wheel(tmp_path: Path) -> FindWheel:
    """Return the address of a version's aarch64 wheel, as this machine's own pip configuration leads to it."""

    def find(version: str) -> str:
        report = tmp_path / "report.json"
        asked = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"),
            *("--ignore-installed", "--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_28_aarch64"),
            *("--python-version", "312", "--target", str(tmp_path / "target"), "--report", str(report)),
            f"torch=={version}",
        ]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        url: str = json.loads(report.read_text())["install"][0]["download_info"]["url"]
        return url

    return find


@pytest.mark.parametrize(
    ("version", "state", "text"),
    [
        ("2.13.0", BugState.PRESENT, "INTERNAL ASSERT FAILED"),
        ("2.14.0", BugState.FIXED, "omitting per-process memory info"),
    ],
)
def test_the_bytes_of_the_real_wheels_answer(version: str, state: BugState, text: str, find_wheel: FindWheel) -> None:
    fetcher = Fetcher(timeout=timedelta(seconds=60), holds=HostHolds({}, SystemClock()))
    url, began, spent = find_wheel(version), time.monotonic(), time.process_time()
    with RemoteWheel(url, fetcher) as wheel:
        reading = read_static(wheel, allocator_bug())
    traffic, cpu = fetcher.traffic, time.process_time() - spent
    print(
        f"torch {reading.torch}: {reading.state} from {reading.bytes_read} bytes in {traffic.requests} requests, "
        f"{time.monotonic() - began:.2f} s, of them {cpu:.2f} s of our own"
    )
    assert reading.state is state
    assert reading.torch is not None
    assert reading.torch.split("+")[0] == version
    assert len(reading.evidence) == 3
    assert all(text in row.text for row in reading.evidence)
    assert reading.bytes_read == traffic.bytes <= MOST_BYTES
    assert traffic.requests <= MOST_REQUESTS
    assert cpu <= 1.0
