"""What lies in the page's folder: each file with its content type, and the logs beside it."""

import re

FOLDER, LOGS = "page", "logs"
PAGE, ANSWER, TRIALS, METRICS = "index.html", "answer.json", "trials.json", "metrics"
HTML = "text/html; charset=utf-8"
FILES = {
    PAGE: HTML,
    ANSWER: "application/json",
    TRIALS: "application/json",
    METRICS: "text/plain; version=0.0.4; charset=utf-8",
}
_OF_A_START = re.compile(r"trial-\d{1,12}-start-\d{1,6}\.(log\.gz|metrics\.txt)", re.ASCII)
_KINDS = {"log.gz": "application/gzip", "metrics.txt": "text/plain; charset=utf-8"}


def log_name(trial_id: int, start: int) -> str:
    """Return how the log of a start is called in the folder of logs."""
    return f"trial-{trial_id}-start-{start}.log.gz"


def metrics_name(trial_id: int, start: int) -> str:
    """Return how the metrics of a start are called there."""
    return f"trial-{trial_id}-start-{start}.metrics.txt"


def kind_of(name: str) -> str | None:
    """Return the content type of what may be asked for, None for everything else."""
    folder, _, file = name.partition("/")
    if folder == LOGS and (of_a_start := _OF_A_START.fullmatch(file)):
        return _KINDS[of_a_start[1]]
    return FILES.get(name)
