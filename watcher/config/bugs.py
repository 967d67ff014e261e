"""A bug is a folder of data: `bug.toml`, `probe.py`, README."""

from pathlib import Path
from typing import Any

from watcher.config.values import Section
from watcher.model.verdict import FailureClass


class StaticRule(Section):
    """What to look for in bytes: `member` is a path suffix; all of `needs` on one text make the state."""

    member: str
    present: tuple[str, ...]
    fixed: tuple[str, ...]


class BugThread(Section):
    """An upstream thread about it."""

    url: str
    title: str


class BugSettings(Section):
    """What is looked for, how it is probed, and which failure class is its own.

    Attributes:
        component: name of the library that carries it (`torch`); wheels of it are inspected.
        dependents: components whose pinned dependency on `component` tells their state (`vllm`).
        probe: source of the probe, None when the bug has none.
        fixed_by_runs: clean starts that may say "fixed" for a bug without a probe.
    """

    id: str
    title: str
    component: str
    dependents: tuple[str, ...] = ()
    failure_class: FailureClass
    static: StaticRule | None = None
    threads: tuple[BugThread, ...] = ()
    fixed_by_runs: int | None = None
    probe: str | None = None
    folder: Path


def read_bug(folder: Path, table: dict[str, Any]) -> BugSettings:
    """Return the bug of a folder; `table` is its parsed `bug.toml`."""
    probe = folder / "probe.py"
    return BugSettings(**table, folder=folder, probe=probe.read_text() if probe.exists() else None)
