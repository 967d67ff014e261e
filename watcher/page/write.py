"""Write the page's folder where a browser or a web server finds it, each file whole or not at all."""

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from watcher.model.documents import answer_document, trial_document
from watcher.page.facts import KeptLog, PageFacts, TrialDetails
from watcher.page.metrics import metrics
from watcher.page.places import ANSWER, FOLDER, LOGS, METRICS, PAGE, TRIALS, log_name, metrics_name
from watcher.page.render import render

_LEFT_SECONDS = 3600
"""A neighbour that is older was left by a process that was killed."""


def write_page(data_dir: Path, facts: PageFacts) -> Path:
    """Write the page, and beside it JSON, metrics and the logs of its trials; return the page's path. Raises OSError.

    The page comes last, and what only the old one led to goes after it: whoever looks in between finds all that he
    is led to.
    """
    folder = data_dir / FOLDER
    (folder / LOGS).mkdir(parents=True, exist_ok=True)
    logs = _linked(data_dir, folder / LOGS, facts.details)
    facts = replace(facts, details=logs)
    trials = {"schema": "watcher/trials/1", "trials": [trial_document(trial) for trial in facts.trials]}
    _replace(folder / ANSWER, json.dumps(answer_document(facts.answer), indent=2) + "\n")
    _replace(folder / TRIALS, json.dumps(trials, indent=2) + "\n")
    _replace(folder / METRICS, metrics(facts))
    _replace(folder / PAGE, render(facts))
    _tidy(folder, {name for trial_id, told in logs.items() for name, _ in _files(trial_id, told)})
    return folder / PAGE


def _linked(data_dir: Path, folder: Path, details: Mapping[int, TrialDetails]) -> dict[int, TrialDetails]:
    """Put the logs into the folder; return the details without those that could not be had."""
    found = {}
    for trial_id, told in details.items():
        there = {kept for name, kept in _files(trial_id, told) if _link(data_dir / kept.path, folder / name)}
        logs, metrics = (tuple(one for one in kept if one in there) for kept in (told.logs, told.metrics))
        found[trial_id] = replace(told, logs=logs, metrics=metrics)
    return found


def _files(trial_id: int, told: TrialDetails) -> Iterator[tuple[str, KeptLog]]:
    """Yield what can be downloaded of a trial, each with its name in the folder of logs."""
    yield from ((log_name(trial_id, log.start), log) for log in told.logs)
    yield from ((metrics_name(trial_id, kept.start), kept) for kept in told.metrics)


def _link(source: Path, target: Path) -> bool:
    """Make a second name for a log; a copy where the folder lies on another disk."""
    neighbour = _neighbour(target)
    try:
        if target.exists() and (source.samefile(target) or source.stat().st_size == target.stat().st_size):
            return True  # a log is written once
        try:
            os.link(source, neighbour, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(source, neighbour, follow_symlinks=False)
        neighbour.replace(target)
    except OSError:
        return False
    finally:  # where another was quicker it is still there: a rename between two names of one file does nothing
        with contextlib.suppress(OSError):
            neighbour.unlink()
    return True


def _tidy(folder: Path, logs: set[str]) -> None:
    """Remove logs to which the page leads no more, and what killed processes left."""
    for path in (folder / LOGS).iterdir():
        if path.name not in logs and not path.name.startswith("."):
            path.unlink(missing_ok=True)
    for path in _left(folder):
        path.unlink(missing_ok=True)


def _left(folder: Path) -> Iterator[Path]:
    for path in (*folder.glob(".*"), *(folder / LOGS).glob(".*")):
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_ctime < time.time() - _LEFT_SECONDS:
                yield path


def _replace(path: Path, text: str) -> None:
    """Write a neighbour and rename it: who reads meanwhile sees the old file or the new one.

    It is not forced to the disk: the next check writes it again.
    """
    neighbour = _neighbour(path)
    try:
        neighbour.write_text(text, encoding="utf-8")
        neighbour.replace(path)
    except OSError:
        neighbour.unlink(missing_ok=True)
        raise


def _neighbour(path: Path) -> Path:
    """Return a name of this thread's own: two that write at once do not write into one file."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}")
