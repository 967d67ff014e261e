"""What a log says of a service that was up: served on, died, came back, was asked to end."""

import pytest

from watcher.verdict.scan import scan

READY = b"INFO:     Application startup complete.\n"
ANSWER = b'INFO:     127.0.0.1:40100 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
SHORTAGE = (
    b"ERROR 11-20 08:00:00 [engine.py:1] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB.\n"
)
DEATH = b"ERROR 11-20 08:00:00 [core.py:1] EngineCore encountered a fatal error.\n"
STOP = b"(APIServer pid=7) INFO 11-20 08:00:00 [launcher.py:254] [shutdown] API server: shutdown triggered\n"
REFUSED = b"ERROR 11-20 08:00:00 [serving.py:1] ValueError: the prompt is too long\n"


@pytest.mark.parametrize(
    ("log", "failure_class"),
    [
        (READY, "healthy"),
        (ANSWER, "healthy"),
        (SHORTAGE + READY, "healthy"),
        (READY + SHORTAGE, "genuine-oom"),
        (READY + SHORTAGE + ANSWER, "healthy"),
        (READY + SHORTAGE + DEATH + ANSWER, "genuine-oom"),
        (READY + DEATH, "other-crash"),
        (READY + SHORTAGE + DEATH + READY, "healthy"),
        (READY + SHORTAGE + DEATH + READY + DEATH, "other-crash"),
        (READY + REFUSED, "healthy"),
        (READY + REFUSED + DEATH, "other-crash"),
        (READY + STOP + DEATH, "healthy"),
        (READY + DEATH + STOP, "other-crash"),
        (ANSWER + STOP + DEATH, "other-crash"),
        (READY + b"KeyboardInterrupt\n", "healthy"),
        (b"KeyboardInterrupt\n", "other-crash"),
    ],
)
@pytest.mark.parametrize("apart", [b"", ANSWER.replace(b"200 OK", b"404 Not Found") * 6000], ids=["close", "far apart"])
def test_life_of_a_service(log: bytes, failure_class: str, apart: bytes) -> None:
    spread = apart.join(line + b"\n" for line in log.splitlines())
    assert scan([spread]).failure_class.value == failure_class


@pytest.mark.parametrize(
    ("dull", "telling", "failure_class"),
    [
        (b"worker-1 exited with code 0\n", b"worker-1 exited with code 3\n", "other-crash"),
        (b"engine exit code: 0\n", b"engine exit code: 137\n", "genuine-oom"),
    ],
)
def test_a_line_that_differs_by_its_numbers_is_not_overlooked(dull: bytes, telling: bytes, failure_class: str) -> None:
    assert scan([dull * 30_000, telling]).failure_class.value == failure_class
