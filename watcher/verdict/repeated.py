"""What clean starts say of a fault that earlier ones showed: how likely it hid, when that counts as a fix. Pure."""

from dataclasses import dataclass

from watcher.model.verdict import EarlierStarts
from watcher.verdict.rungs import Rungs
from watcher.verdict.statistics import chance_hidden, not_seen

HIDES_AT_MOST = 0.05
"""Chance that a fault hid, above which clean starts never say "fixed", however many were asked for."""


@dataclass(frozen=True, slots=True)
class NotSeen:
    """Clean starts (`runs`) with a profile under which earlier ones had failed by the bug."""

    earlier: EarlierStarts
    runs: int

    @property
    def chance_hidden(self) -> float:
        return chance_hidden(self.earlier.failures, self.earlier.clean, self.runs)

    def __str__(self) -> str:
        return not_seen(self.earlier.failures, self.earlier.clean, self.runs)


def not_seen_in(rungs: Rungs) -> NotSeen | None:
    """Return what the clean starts stand against, the most telling first; None without an earlier failure."""
    counted = (NotSeen(one, _clean(rungs, one.profile)) for one in rungs.earlier if one.failures)
    return min((one for one in counted if one.runs), key=lambda one: one.chance_hidden, default=None)


def is_fixed_by(rungs: Rungs, seen: NotSeen) -> bool:
    """Return whether clean starts may say "fixed": the bug's folder asks for so many, and nothing else could tell.

    Every start of the trial must have been clean, and this very content must not have shown the bug here before.
    """
    wanted = rungs.bug.fixed_by_runs
    if wanted is None or rungs.bug.probe is not None or rungs.content in seen.earlier.shown_by:
        return False
    is_enough = seen.runs >= wanted and seen.chance_hidden <= HIDES_AT_MOST
    return is_enough and all(start.works for start in rungs.starts)


def _clean(rungs: Rungs, profile: str) -> int:
    return sum(start.works for start in rungs.starts if start.profile == profile)
