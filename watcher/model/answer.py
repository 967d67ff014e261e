"""Where the person stands now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from watcher.model.trial import Candidate
from watcher.model.verdict import BringUp, BugState, Rung


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one of the two questions waits for, since when."""

    question: Literal["bug", "bring_up"]
    what: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The two answers for this device, with what they stand on. See CONTRACT's ANSWER.

    `fixed_in` maps a component (`torch`, `vllm`) to the lowest public version seen to carry the fix; `stale` a source
    to why it is not to be relied on.
    """

    device: str
    bug_id: str
    bug: BugState
    bring_up: BringUp
    headline: str
    candidate: Candidate | None = None
    basis: tuple[Rung, ...] = ()
    since: datetime | None = None
    trial_id: int | None = None
    fixed_in: dict[str, str] | None = None
    waits_for: tuple[Waiting, ...] = ()
    next_step: str = ""
    stale: Mapping[str, str] = field(default_factory=dict)
