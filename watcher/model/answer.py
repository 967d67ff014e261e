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
class Flip:
    """Two trials on this device of which the later one says otherwise, and what moved between them.

    Attributes:
        moved: of L4T, torch, engine and image all that differ, as `L4T 36.4.3 → 36.4.4`.
        perhaps: names of those of which one side is not known.
        is_regression: what worked before fails.
    """

    before: int
    after: int
    moved: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    is_regression: bool = False

    @property
    def said_of_moves(self) -> str:
        """Return what moved, as a clause."""
        perhaps = f"not known whether {' or '.join(self.perhaps)} moved" if self.perhaps else ""
        if not self.moved:
            return perhaps or "nothing that is watched moved: not L4T, torch, engine or image"
        return "; ".join(filter(None, (f"moved: {', '.join(self.moved)}", perhaps)))

    def __str__(self) -> str:
        how = "fails where trial" if self.is_regression else "says otherwise than trial"
        end = " worked, a regression" if self.is_regression else ""
        return f"trial {self.after} {how} {self.before}{end}; between them {self.said_of_moves}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The two answers for this device, with what they stand on. See CONTRACT's ANSWER.

    `fixed_in` maps a component (`torch`, `vllm`) to the lowest public version seen to carry the fix; `stale` a source
    to why it is not to be relied on. `flip` says what moved when the trials came to another answer.
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
    flip: Flip | None = None
