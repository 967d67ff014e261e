"""Logs made hard on purpose out of the kept ones, and the labelled corpus in other clothes: the answers hold."""

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.places import LOG_CORPUS
from tests.verdict.cases import CASES
from tests.verdict.test_mutations import MUTATIONS, NOISE
from watcher.verdict.scan import scan

LOGS = {case.name: case.log for case in CASES}
ASSERT, FIXED, HEALTHY = "vllm/assert-at-kv-0.32", "vllm/oom-of-a-fixed-build-0.32", "vllm/healthy-cpu-0.32"
KERNEL, OOM, KILLED = "vllm/no-kernel-image-0.32", "vllm/oom-at-kv-0.32", "pytorch/killed-by-the-kernel"
PRINTED = (
    b'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/p/c10/cuda/CUDACachingAllocator.cpp":1139, please'
)
QUIET = b"2026-11-20T08:14:31.123Z healthcheck ok\n"
KERNEL_LINE = b"Nov 20 08:14:31 orin kernel: usb 1-2: new high-speed USB device number 4 using tegra-xusb\n"


def lines(log: bytes) -> list[bytes]:
    return log.rstrip(b"\n").split(b"\n")


def before(prefix: bytes, log: bytes) -> bytes:
    return b"".join(prefix + line + b"\n" for line in lines(log))


def woven(*logs: bytes) -> bytes:
    rows = itertools.zip_longest(*map(lines, logs))
    return b"\n".join(line for row in rows for line in row if line is not None) + b"\n"


def json_file(log: bytes) -> bytes:
    """Return a log as Docker keeps it on disk."""
    return b"".join(
        b'{"log":%s,"stream":"stderr","time":"2026-11-20T08:14:31.1Z"}\n'
        % json.dumps(line.decode("utf-8", "replace") + "\n").encode()
        for line in lines(log)
    )


def folded(log: bytes, width: int) -> bytes:
    return b"\n".join(line[at : at + width] for line in lines(log) for at in range(0, len(line) or 1, width)) + b"\n"


def glued(log: bytes, noise: bytes = NOISE) -> bytes:
    """Put another writer's lines around a log whose last line was not ended."""
    return noise * 30 + log.rstrip(b"\n") + noise * 30


ASKED = b"".join(
    b"(APIServer pid=7) INFO 11-20 08:15:%02d [logger.py:43] Received request c-%d: prompt: 'why? %s ERROR 11-20 08:00"
    b":00 [core.py:1] %s', params: None\n" % (number, number, PRINTED, PRINTED)
    for number in range(20)
)
SECOND = b"zoe-vllm-1  | "
HARD: dict[str, tuple[bytes, str]] = {
    "two services woven": (woven(before(b"other-1  | ", LOGS[HEALTHY]), before(SECOND, LOGS[ASSERT])), ASSERT),
    "fixed, glued to another's line": (glued(LOGS[FIXED]), FIXED),
    "killed, glued to a time": (glued(b"loading\nKilled", QUIET), KILLED),
    "killed, glued to the journal": (glued(b"loading\nKilled", KERNEL_LINE), KILLED),
    "assert, glued to another's line": (glued(b"Traceback (most recent call last):\n" + PRINTED), ASSERT),
    "journal, colours, carriage returns": (
        MUTATIONS["journal"](MUTATIONS["colours"](LOGS[ASSERT])).replace(b"\n", b"\r\n"), ASSERT),
    "forty deaths, then it is up": (LOGS[ASSERT] * 40 + LOGS[HEALTHY], ASSERT),
    "json-file, assert": (json_file(LOGS[ASSERT]), ASSERT),
    "json-file, healthy": (json_file(LOGS[HEALTHY]), HEALTHY),
    "json-file, asked about the bug": (json_file(LOGS[HEALTHY] + ASKED), HEALTHY),
    "asked about the bug, with a log in the question": (LOGS[HEALTHY] + ASKED, HEALTHY),
    "containerd, healthy": (before(b"2026-11-20T08:14:31.123456789Z stderr F ", LOGS[HEALTHY]), HEALTHY),
    "containerd, no kernel": (before(b"2026-11-20T08:14:31.123456789Z stdout F ", LOGS[KERNEL]), KERNEL),
    "folded by a terminal": (folded(LOGS[FIXED], 120), FIXED),
    "folded narrowly": (folded(LOGS[ASSERT], 80), ASSERT),
    "two prefixes": (before(b"2026-11-20T08:14:31.1Z ", before(SECOND, LOGS[OOM])), OOM),
    "first half is gone": (LOGS[ASSERT][len(LOGS[ASSERT]) // 2 :], ASSERT),
    "each line twice": (b"".join(line + b"\n" + line + b"\n" for line in lines(LOGS[KERNEL])), KERNEL),
}  # fmt: skip
HEADERS = {case.name: case.header for case in CASES}


@pytest.mark.parametrize("name", HARD)
def test_a_log_made_hard_is_read_as_the_one_it_came_from(name: str) -> None:
    log, origin = HARD[name]
    reading = scan([log])
    assert (reading.failure_class.value, reading.bug.value) == (HEADERS[origin]["class"], HEADERS[origin]["bug"])


def test_a_coloured_fence_is_a_fence() -> None:
    text = b"### Attempt\n\n**Result:** it crashed\n\n```\n" + PRINTED + b"\n```\n\n**Failed at:** the cache\n"
    plain, coloured = scan([text]), scan([text.replace(b"```", b"\x1b[36m```\x1b[0m")])
    assert (coloured.bug, coloured.failure_class) == (plain.bug, plain.failure_class)
    assert plain.bug.value == "present"


CLOTHES: dict[str, Callable[[bytes], bytes]] = {
    **MUTATIONS,
    "glued": glued,
    "glued to a time": lambda log: glued(log, QUIET),
    "glued to the journal": lambda log: glued(log, KERNEL_LINE),
}


CUT_BY_COLOURS = ("lc-111",)
"""It has colours of its own, which others would cut in two."""


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    if not LOG_CORPUS.exists():
        pytest.skip("the log corpus does not stand beside the checkout")
    return [json.loads(line) for line in LOG_CORPUS.read_text().splitlines()]


@pytest.mark.parametrize("name", CLOTHES)
def test_clothes_do_not_change_the_answer(entries: list[dict[str, Any]], name: str) -> None:
    changed = []
    for entry in entries:
        log = entry["log"].encode()
        if name == "colours" and entry["id"] in CUT_BY_COLOURS:
            continue
        mine, other = scan([log]), scan([CLOTHES[name](log)])
        if (mine.bug, mine.failure_class) != (other.bug, other.failure_class):
            changed.append((entry["id"], mine.failure_class.value, other.failure_class.value))
    assert changed == []


def test_noise_of_50_mb_around_hides_no_bug(entries: list[dict[str, Any]]) -> None:
    noise = NOISE * (1_000_000 // len(NOISE))
    bugs = [entry for entry in entries if entry["verdict"] == "bug"]
    for entry in bugs[:2]:
        log = entry["log"].encode().rstrip(b"\n") + b"\n"
        reading = scan(itertools.chain(itertools.repeat(noise, 50), [log], itertools.repeat(noise, 50)))
        assert reading.bug.value == "present", entry["id"]


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Internal Server Error"])
def test_requests_that_fail_are_read_quickly(status: bytes) -> None:
    line = b'INFO 11-20 08:%02d:%02d [api.py:1] 10.0.0.1:4%03d - "POST /v1/completions HTTP/1.1" %s\n'
    log = b"".join(line % (number % 60, number % 59, number % 997, status) for number in range(50_000))
    began = time.process_time()
    assert scan([log]).failure_class.value == "no-evidence"
    assert len(log) / (time.process_time() - began) > 20e6


def test_no_cut_makes_a_bug(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        log = entry["log"].encode()
        if entry["verdict"] != "bug":
            for part in range(1, 8):
                at = len(log) * part // 8
                assert scan([log[:at]]).bug.value != "present", entry["id"]
                assert scan([log[at:]]).bug.value != "present", entry["id"]
