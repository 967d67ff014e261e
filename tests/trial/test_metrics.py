"""Metrics are seen where an engine has them, in text that may be anything."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.real.web import Reply, running_web
from watcher.trial.dialects import dialect_of
from watcher.trial.exchange import EngineClient
from watcher.trial.metrics import MOST_KEPT, Tally, figures_in, kept_text, metric_names

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
    told = {"eval_count": 5, "eval_duration": 10**9, "load_duration": "x", "prompt_eval_count": 10**400}
    assert figures_in(told) == {"eval_count": 5, "eval_duration": 10**9}
    with running_web() as web:
        answer = b'{"message": {"content": "hello"}, "done": true, "eval_count": 5, "eval_duration": 7}'
        web.fallback = lambda _: Reply(200, answer, {"Content-Type": "application/json"})
        client = EngineClient(web.url, "m", "/", dialect_of("ollama"))
        assert (client.metrics(), client.scrape()) == (frozenset(), "")
        assert client.complete().ok
        assert client.complete().ok
        assert client.metrics() == {"eval_count", "eval_duration"}
        assert samples(client.scrape())["ollama_generated_tokens_total", "m"] == 10
        client.close()


def samples(text: str) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(text)
    return {(one.name, one.labels["model"]): one.value for family in families for one in family.samples}


def test_they_are_summed_up_in_prometheus_form() -> None:
    tally, model = Tally(), 'a "b"\\\nc'
    assert tally.text(model) == ""
    for seconds in (1, 3):
        tally.add({"eval_count": 20, "eval_duration": seconds * 10**9, "total_duration": 5 * 10**9})
    tally.add({"message": {}})
    assert samples(tally.text(model)) == {
        ("ollama_answers_total", model): 2,
        ("ollama_answer_seconds_total", model): 10,
        ("ollama_generated_tokens_total", model): 40,
        ("ollama_generation_seconds_total", model): 4,
        ("ollama_generated_tokens_per_second", model): 10,
    }
    assert kept_text(tally.text(model)).decode() == tally.text(model)


def test_what_is_kept_of_a_scrape_is_whole_lines_and_no_more_than_fits() -> None:
    assert kept_text(VLLM) == VLLM.encode()
    line = 'vllm:x{who="ä"} 1\n'
    kept = kept_text(line * 100_000)
    assert MOST_KEPT - len(line.encode()) < len(kept) <= MOST_KEPT
    assert set(kept.decode().splitlines()) == {line.strip()}
    for nothing in ("", "<html>\n", "x" * 1_000_000, "y" * 1_000_000 + "\nvllm:x 1\n", "\ud800"):
        assert kept_text(nothing) == b""


@pytest.mark.parametrize(
    ("status", "body", "count"), [(200, VLLM.encode(), 5), (404, VLLM.encode(), 0), (200, b"\xff", 0)]
)
def test_a_route_that_is_not_there_shows_none(status: int, body: bytes, count: int) -> None:
    with running_web() as web:
        web.routes["/metrics"] = Reply(status, body, {"Content-Type": "text/plain"})
        client = EngineClient(web.url, "m", "/health")
        assert len(client.metrics()) == count
        client.close()
