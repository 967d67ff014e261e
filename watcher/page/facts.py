"""What the page shows, gathered by `jobs.publish`."""

from dataclasses import dataclass
from datetime import datetime

from watcher.model.answer import Answer
from watcher.model.facts import Event, Fact, SourceState
from watcher.model.trial import ServiceReport, Trial
from watcher.model.verdict import StaticRecord


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source as configured, and how it does.

    Attributes:
        pages: addresses that a person can open.
        facts: how many it shows now.
        state: None before the first look.
        stale: why it is quiet past its rhythm, or not seen for long.
    """

    name: str
    kind: str
    pages: tuple[str, ...] = ()
    facts: int = 0
    state: SourceState | None = None
    enabled: bool = True
    stale: str | None = None


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Everything that the page says.

    Attributes:
        component: the library that carries the bug (`torch`).
        engine: id of the engine that the answer is about.
        events: of the last year, oldest first.
        before: beside the source's name, what the first look found that upstream dates within the last year.
        trials: the last ones, newest first; among them the one that the answer stands on.
        owed: what was not given back; `trial_is_alive` when a process is there that will.
        now: when the page is written, in UTC.
        more_events, more_trials: older ones exist that the page leaves out; it says so.
    """

    device: str
    component: str
    engine: str
    answer: Answer
    now: datetime
    statics: tuple[StaticRecord, ...] = ()
    events: tuple[Event, ...] = ()
    before: tuple[tuple[str, Fact], ...] = ()
    sources: tuple[SourceRow, ...] = ()
    trials: tuple[Trial, ...] = ()
    owed: tuple[ServiceReport, ...] = ()
    trial_is_alive: bool = False
    more_events: bool = False
    more_trials: bool = False

    @property
    def watching_since(self) -> datetime | None:
        """Return the end of the first look that succeeded."""
        looks = (row.state.baseline_at for row in self.sources if row.state and row.state.baseline_at)
        return min(looks, default=None)
