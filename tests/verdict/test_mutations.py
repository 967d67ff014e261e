"""The same log in other clothes gives the same answer."""

import itertools
from collections.abc import Callable

import pytest

from tests.verdict.cases import CASES, Case
from watcher.verdict.lines import BLOCK
from watcher.verdict.scan import scan

ENGINE_LOGS = [
    case for case in CASES if not case.name.startswith("document/") and case.header["class"] != "no-evidence"
]
NOISE = b'INFO 11-20 08:00:00 [api.py:1] 10.0.0.1:40000 - "GET /docs HTTP/1.1" 404 Not Found\n'


def _each_line(change: Callable[[int, bytes], bytes]) -> Callable[[bytes], bytes]:
    def mutate(log: bytes) -> bytes:
        lines = log.rstrip(b"\n").split(b"\n")
        return b"\n".join(change(index, line) for index, line in enumerate(lines)) + b"\n"

    return mutate


MUTATIONS: dict[str, Callable[[bytes], bytes]] = {
    "compose": _each_line(lambda _, line: b"zoe-vllm-1  | " + line),
    "journal": _each_line(lambda _, line: b"Nov 20 08:14:31 orin docker[815]: " + line),
    "docker-time": _each_line(lambda _, line: b"2026-11-20T08:14:31.123456789Z " + line),
    "colours": _each_line(lambda _, line: b"\x1b[1;36m" + line[:6] + b"\x1b[0;0m" + line[6:]),
    "carriage-returns": _each_line(lambda _, line: line + b"\r"),
    "progress-bars": _each_line(lambda _, line: b"\rLoading:   0%|   |\rLoading: 100%|###|\r" + line),
    "blank-lines": _each_line(lambda _, line: line + b"\n"),
    "noise-around": lambda log: NOISE * 50 + log + NOISE * 50,
    "interleaved": _each_line(lambda index, line: line + (b"\n" + NOISE.rstrip() if index % 4 == 3 else b"")),
    "no-last-newline": lambda log: log.rstrip(b"\n"),
    "nul-bytes": lambda log: b"\0\0\0\n" + log,
    "far-down": lambda log: NOISE * 9000 + log,
}


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.parametrize("case", ENGINE_LOGS, ids=lambda case: case.name)
def test_clothes_do_not_change_the_answer(case: Case, name: str) -> None:
    reading = scan([MUTATIONS[name](case.log)])
    assert (reading.failure_class.value, reading.bug.value) == (case.header["class"], case.header["bug"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_size_of_chunks_does_not_change_the_answer(case: Case) -> None:
    whole = scan([case.log])
    single = scan(case.log[index : index + 1] for index in range(len(case.log)))
    assert single == whole


@pytest.mark.parametrize("offset", range(0, 1200, 97))
def test_a_wrapped_assert_is_found_across_blocks(offset: int) -> None:
    line = b"x" * 99 + b"\n"
    before = line * (BLOCK // len(line) - 6) + b"y" * offset + b"\n"
    wrapped = (
        b"RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at\n"
        b'"../c10/cuda/CUDACachingAllocator.cpp":838, please\n'
    )
    assert scan([before + wrapped + line * 50]).bug.value == "present"


def test_the_bug_of_an_earlier_start_stands_after_a_healthy_one() -> None:
    logs = {case.name: case.log for case in CASES}
    reading = scan([logs["vllm/nvml-assert-at-kv-cache"], logs["vllm/healthy-with-alarming-words"]])
    assert (reading.failure_class.value, reading.bug.value) == ("allocator-nvml-assert", "present")


def test_a_restart_that_came_up_is_healthy() -> None:
    logs = {case.name: case.log for case in CASES}
    reading = scan([logs["vllm/free-memory-below-utilisation"], logs["vllm/healthy-with-alarming-words"]])
    assert reading.failure_class.value == "healthy"


def test_ready_and_then_dead_is_not_healthy() -> None:
    logs = {case.name: case.log for case in CASES}
    fatal = [case for case in ENGINE_LOGS if case.header.get("decides") in ("engine-died", "gpu-fault", "killed")]
    for case, times in itertools.product(fatal, (1, 3)):
        assert scan([logs["vllm/healthy-with-alarming-words"] * times, case.log]).failure_class.value != "healthy"
