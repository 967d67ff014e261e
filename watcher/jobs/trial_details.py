"""What the page shows of a trial beside its record: stages by the journal, logs, the lines around the evidence."""

import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from watcher.model.trial import Stage, Trial
from watcher.model.verdict import Evidence
from watcher.page.facts import Excerpt, KeptLog, StageSpan, TrialDetails
from watcher.store.trials import StageChange
from watcher.trial.engine_log import read_log
from watcher.trial.metrics import metrics_beside

_AROUND, _MOST_LINES = 3, 3
"""Lines before and after one that is evidence; how many such of one trial."""
_MOST_BYTES = 2_000_000
"""Of one log: what stands behind them is told without its surroundings."""
_RAW, _SHOWN, _TELLING = 4000, 300, 40


def trial_details(trial: Trial, changes: Sequence[StageChange], data_dir: Path, now: datetime) -> TrialDetails:
    """Return what is known beside the record. A log that cannot be read is left out."""
    spans = stage_spans(changes, now if trial.finished_at is None else trial.finished_at, trial.finished_at is not None)
    if trial.finished_at is None:
        return TrialDetails(spans)
    logs = _kept([start.log for start in trial.starts], data_dir)
    return TrialDetails(spans, tuple(_excerpts(trial, data_dir)), tuple(logs), kept_metrics(trial, data_dir))


def stage_spans(changes: Iterable[StageChange], end: datetime, is_over: bool) -> tuple[StageSpan, ...]:
    """Return the stages in their order with their lengths; `end` closes the last one."""
    steps = [
        (change.new, change.at) for change in changes if change.old is not change.new and change.new is not Stage.DONE
    ]
    ends = [at for _, at in steps[1:]] + [end]
    last = len(steps) - 1
    return tuple(
        StageSpan(stage, max(0.0, (until - begun).total_seconds()), is_over or number < last)
        for number, ((stage, begun), until) in enumerate(zip(steps, ends, strict=False))
    )


def kept_metrics(trial: Trial, data_dir: Path) -> tuple[KeptLog, ...]:
    """Return what is kept of the engine's own metrics, for each start that worked."""
    names = [str(metrics_beside(Path(start.log))) if start.log else None for start in trial.starts]
    return tuple(_kept(names, data_dir))


def _kept(names: Sequence[str | None], data_dir: Path) -> Iterator[KeptLog]:
    """Yield what is there of the files of the starts, one name for each."""
    for number, name in enumerate(names):
        path = log_path(data_dir, name)
        if path is not None and name is not None:
            yield KeptLog(number, name, path.stat().st_size)


def log_path(data_dir: Path, log: str | None) -> Path | None:
    """Return the file of a kept log; None where there is none, or where its name leads out of the folder of logs."""
    if log is None:
        return None
    path, folder = data_dir / log, (data_dir / "logs").resolve()
    try:
        is_ours = path.resolve().is_relative_to(folder) and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return None
    return path if is_ours else None


def _excerpts(trial: Trial, data_dir: Path) -> Iterator[Excerpt]:
    """Yield the surroundings of evidence; its lines are counted in the log of the start in which they stand."""
    left = [row for row in trial.evidence if row.line is not None][:_MOST_LINES]
    first = trial.deciding_start or 0
    for number in sorted(range(len(trial.starts)), key=lambda one: one != first):
        path = log_path(data_dir, trial.starts[number].log) if left else None
        if path is None:
            continue
        lines = _lines(path, {near for row in left for near in _near(row)})
        there = [row for row in left if _is_told_by(lines.get(row.line or 0, b""), row)]
        if there:
            kept = sorted({near for row in there for near in _near(row)} & lines.keys())
            decisive = frozenset(row.line for row in there if row.line is not None)
            told = tuple((at, _line(lines[at])) for at in kept)
            yield Excerpt(number, trial.starts[number].profile, told, decisive)
        left = [row for row in left if row not in there]


def _near(row: Evidence) -> range:
    line = row.line or 0
    return range(max(1, line - _AROUND), line + _AROUND + 1)


def _is_told_by(raw: bytes, row: Evidence) -> bool:
    """Return whether this line is the one that was kept as evidence: another start's has another log."""
    from watcher.verdict.lines import shown  # its patterns take longer than a page whose logs are gone

    text = row.text[:_TELLING].rstrip("…")
    return bool(text) and text in shown(raw.decode("utf-8", "replace"), _RAW)


def _line(raw: bytes) -> str:
    from watcher.trial.kit import without_secrets
    from watcher.verdict.lines import shown

    return shown(without_secrets(raw.decode("utf-8", "replace"), ()), _SHOWN)


def _lines(path: Path, wanted: set[int]) -> dict[int, bytes]:
    """Return these lines of a log, as far as they stand in its beginning."""
    found: dict[int, bytes] = {}
    number, rest, read, last = 1, b"", 0, max(wanted)
    try:
        for piece in read_log(path):
            *whole, rest = (rest + piece).split(b"\n")
            for raw in whole:
                if number in wanted:
                    found[number] = raw[:_RAW]
                number += 1
            rest, read = rest[:_RAW], read + len(piece)
            if number > last or read > _MOST_BYTES:
                return found
    except OSError:
        return found
    if number in wanted and rest:
        found[number] = rest
    return found
