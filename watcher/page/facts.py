"""What the page shows, gathered by `jobs.publish`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watcher.model.answer import Answer
from watcher.model.facts import Event, Fact, SourceState
from watcher.model.trial import Outcome, ServiceReport, Stage, Trial
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
class StageSpan:
    """How long a trial was in a stage; `is_over` False: it still is."""

    stage: Stage
    seconds: float
    is_over: bool = True


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of the log of one start (counted from 0), each with its number from 1; `decisive` are those of evidence."""

    start: int
    profile: str
    lines: tuple[tuple[int, str], ...]
    decisive: frozenset[int]


@dataclass(frozen=True, slots=True)
class KeptLog:
    """A kept file of one start (counted from 0): its compressed log, or what its metrics showed.

    `path` is relative to `data_dir`, `size` in bytes.
    """

    start: int
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class TrialDetails:
    """What is shown of a trial beside its record."""

    spans: tuple[StageSpan, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    logs: tuple[KeptLog, ...] = ()
    metrics: tuple[KeptLog, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """What is counted over all that is kept.

    Attributes:
        outcomes: how many trials ended so.
        away_seconds: how long services were away, over all trials.
        undelivered: notices that wait, by channel; its name holds no secret.
        checked_at: the end of the last check, and how long it took; None before the first.
    """

    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    away_seconds: float = 0.0
    undelivered: Mapping[str, int] = field(default_factory=dict)
    checked_at: datetime | None = None
    check_seconds: float | None = None


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
        details: of trials, by their id.
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
    details: Mapping[int, TrialDetails] = field(default_factory=dict)
    totals: Totals = Totals()

    def details_of(self, trial: Trial) -> TrialDetails:
        return self.details.get(trial.id, TrialDetails())

    @property
    def watching_since(self) -> datetime | None:
        """Return the end of the first look that succeeded."""
        looks = (row.state.baseline_at for row in self.sources if row.state and row.state.baseline_at)
        return min(looks, default=None)
