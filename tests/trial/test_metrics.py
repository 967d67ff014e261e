"""Metrics are seen where an engine has them, in text that may be anything."""

import pytest

from tests.real.web import Reply, running_web
from watcher.trial.dialects import dialect_of
from watcher.trial.exchange import EngineClient
from watcher.trial.metrics import figures_in, metric_names

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 0.0
vllm:e2e_request_latency_seconds_bucket{le="+Inf",model_name="a } b"} 3.0 1761000000000
llamacpp:prompt_tokens_total 12
process_start_time_seconds 1.7e+09
odd NaN
not a sample
<html>
"""


def test_the_names_of_samples_are_read_and_the_rest_is_passed_over() -> None:
    assert metric_names(VLLM) == {
        "vllm:num_requests_running",
        "vllm:e2e_request_latency_seconds_bucket",
        "llamacpp:prompt_tokens_total",
        "process_start_time_seconds",
        "odd",
    }
    assert metric_names("x{" + "}" * 3_000_000) == metric_names("\x00" * 10_000 + "\n") == frozenset()


def test_ollamas_figures_stand_in_its_answers() -> None:
    assert figures_in({"eval_count": 5, "eval_duration": 10**9, "load_duration": "x"}) == {
        "eval_count",
        "eval_duration",
    }
    with running_web() as web:
        answer = b'{"message": {"content": "hello"}, "done": true, "eval_count": 5, "eval_duration": 7}'
        web.fallback = lambda _: Reply(200, answer, {"Content-Type": "application/json"})
        client = EngineClient(web.url, "m", "/", dialect_of("ollama"))
        assert client.metrics() == frozenset()
        assert client.complete().ok
        assert client.metrics() == {"eval_count", "eval_duration"}
        client.close()


@pytest.mark.parametrize(
    ("status", "body", "count"), [(200, VLLM.encode(), 5), (404, VLLM.encode(), 0), (200, b"\xff", 0)]
)
def test_a_route_that_is_not_there_shows_none(status: int, body: bytes, count: int) -> None:
    with running_web() as web:
        web.routes["/metrics"] = Reply(status, body, {"Content-Type": "text/plain"})
        client = EngineClient(web.url, "m", "/health")
        assert len(client.metrics()) == count
        client.close()
