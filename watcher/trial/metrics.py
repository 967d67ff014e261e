"""Reading what an engine tells about itself: Prometheus text, or the figures in its answers. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_KEPT = 256 << 10
"""Bytes that are kept of a scrape."""

_LONGEST_LINE = 10_000
_NUMBER = r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN)"
_SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{.*\}})?[ \t]+{_NUMBER}(?:[ \t]+-?\d+)?\s*")


def metric_names(text: str) -> frozenset[str]:
    """Return the names that have a sample in a text in Prometheus' form; what is no sample is passed over."""
    lines = (line for line in text.splitlines() if len(line) <= _LONGEST_LINE and not line.startswith("#"))
    return frozenset(match[1] for line in lines if (match := _SAMPLE.fullmatch(line)))


def kept_text(text: str) -> bytes:
    """Return what is kept of a scrape: what fits, cut at the end of a line; nothing of a text without a sample."""
    raw = text.encode("utf-8", "replace")
    fitting = raw if len(raw) <= MOST_KEPT else raw[: raw.rfind(b"\n", 0, MOST_KEPT) + 1]
    return fitting if metric_names(fitting.decode()) else b""


def metrics_beside(log: Path) -> Path:
    """Return where the metrics of a start are kept, by the place of its log."""
    return log.with_name(f"{log.name.removesuffix('.log.gz')}.metrics.txt")


_SECONDS = 1e-9
_FIGURES = {
    "total_duration": ("ollama_answer_seconds_total", _SECONDS, "Time that the answers took."),
    "load_duration": ("ollama_load_seconds_total", _SECONDS, "Time of it in which the model was loaded."),
    "prompt_eval_count": ("ollama_prompt_tokens_total", 1, "Tokens of the questions."),
    "prompt_eval_duration": ("ollama_prompt_seconds_total", _SECONDS, "Time in which the questions were read."),
    "eval_count": ("ollama_generated_tokens_total", 1, "Tokens of the answers."),
    "eval_duration": ("ollama_generation_seconds_total", _SECONDS, "Time in which the answers were generated."),
}
_MOST = 1 << 63


def figures_in(body: Mapping[str, Any]) -> dict[str, int]:
    """Return Ollama's own figures in an answer, times in nanoseconds; it has no route for metrics."""
    told = ((name, body.get(name)) for name in _FIGURES)
    return {name: value for name, value in told if isinstance(value, int) and 0 < value < _MOST}


@dataclass(slots=True)
class Tally:
    """The figures of Ollama's answers, summed up; those of a streamed answer are left out."""

    answers: int = 0
    sums: Counter[str] = field(default_factory=Counter)

    def add(self, body: Mapping[str, Any]) -> None:
        if told := figures_in(body):
            self.answers += 1
            self.sums.update(told)

    def text(self, model: str) -> str:
        """Return the sums in Prometheus' form; nothing where no answer told any."""
        label = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return "".join(
            f'# HELP {name} {told}\n# TYPE {name} {kind}\n{name}{{model="{label}"}} {value:.12g}\n'
            for name, kind, told, value in self._rows()
        )

    def _rows(self) -> Iterator[tuple[str, str, str, float]]:
        if self.answers:
            yield "ollama_answers_total", "counter", "Answers that told their figures.", self.answers
        for figure, (name, unit, told) in _FIGURES.items():
            if figure in self.sums:
                yield name, "counter", told, self.sums[figure] * unit
        if self.sums["eval_count"] and self.sums["eval_duration"]:
            rate = self.sums["eval_count"] / (self.sums["eval_duration"] * _SECONDS)
            yield "ollama_generated_tokens_per_second", "gauge", "Tokens of an answer in a second, on average.", rate
