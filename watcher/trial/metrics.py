"""Reading what an engine tells about itself: Prometheus text, or the figures in its answers. Pure."""

import re
from collections.abc import Mapping
from typing import Any

_LONGEST_LINE = 10_000
_NUMBER = r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN)"
_SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{.*\}})?[ \t]+{_NUMBER}(?:[ \t]+-?\d+)?\s*")


def metric_names(text: str) -> frozenset[str]:
    """Return the names that have a sample in a text in Prometheus' form; what is no sample is passed over."""
    lines = (line for line in text.splitlines() if len(line) <= _LONGEST_LINE and not line.startswith("#"))
    return frozenset(match[1] for line in lines if (match := _SAMPLE.fullmatch(line)))


def figures_in(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of Ollama's own figures in an answer; it has no route for metrics."""
    known = (
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    )
    return frozenset(name for name in known if isinstance(body.get(name), int) and body[name] > 0)
