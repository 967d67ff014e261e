"""Laws of the scan: it raises on no bytes, keeps little, and is quick."""

import time
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from tests.verdict.cases import CASES
from watcher.verdict.lines import shown
from watcher.verdict.scan import MAX_HITS, scan
from watcher.verdict.signatures import SIGNATURES

PIECES = [line for case in CASES for line in case.log.split(b"\n")[:6]]


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_raise(chunks: list[bytes]) -> None:
    scan(chunks)


@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=12),
    st.sampled_from([b"\n", b"\r", b""]),
)
def test_shuffled_pieces_of_logs_keep_the_laws(pieces: list[bytes], glue: bytes) -> None:
    reading = scan([glue.join(pieces)])
    assert sum(finding.decides for finding in reading.findings) <= 1
    assert (reading.deciding is None) == (reading.failure_class.value == "no-evidence")
    assert (reading.bug.value == "present") == (reading.failure_class.value == "allocator-nvml-assert")
    assert all(len(finding.text) <= 400 and finding.text.isprintable() for finding in reading.findings)


@given(st.text(max_size=900))
def test_shown_text_is_one_short_line_and_stable(text: str) -> None:
    once = shown(text)
    assert len(once) <= 400
    assert "\n" not in once
    assert "\x1b" not in once
    assert shown(once) == once


def test_a_line_of_many_megabytes_is_survived() -> None:
    log = b"x" * 3_000_000 + b"\nKilled\n" + b"y" * 3_000_000
    reading = scan([log])
    assert reading.failure_class.value == "genuine-oom"
    assert reading.lines == 3


def test_a_flood_of_errors_keeps_few_findings() -> None:
    reading = scan([b"RuntimeError: CUDA error: out of memory\n" * 20_000])
    assert len(reading.findings) <= MAX_HITS * 2 * len(SIGNATURES)
    assert reading.lines == 20_000


def _served(lines: int) -> bytes:
    """Return what a healthy vLLM prints while it serves: the numbers change from line to line."""
    rows = []
    for number in range(lines):
        client = f"10.0.{number % 250}.7:{number % 60000}"
        rows.append(f'(APIServer pid=12) INFO:     {client} - "POST /v1/chat/completions HTTP/1.1" 200 OK')
        if number % 4 == 0:
            rows.append(
                f"(APIServer pid=12) INFO 11-20 08:{number % 60:02}:31 [loggers.py:127] "
                f"Avg prompt throughput: {number % 997 / 10} tokens/s, Running: {number % 9} reqs"
            )
    return "\n".join(rows).encode() + b"\n"


def test_a_healthy_log_is_scanned_quickly() -> None:
    """DESIGN asks for 100 MB/s; the floor here leaves room for a loaded machine (CPU time is measured)."""
    log = _served(150_000)
    began = time.process_time()
    assert scan([log]).failure_class.value == "healthy"
    seconds = time.process_time() - began
    assert len(log) / seconds > 50e6


def test_memory_stays_flat() -> None:
    log = _served(20_000)
    scan([log])
    peaks = []
    for times in (2, 12):
        tracemalloc.start()
        scan(log for _ in range(times))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3 + 1_000_000
