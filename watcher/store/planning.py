"""The few facts and trials that a plan is made of, out of all that years have left.

What is returned is chosen so that `watcher.planner` says the same of it as of everything; a test compares both on
generated histories. Facts come one after another: nobody holds them all.
"""

from collections.abc import Collection, Iterator

from sqlalchemy import ColumnElement, func, or_, select

from watcher.model.device import DeviceState
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Outcome, Trial
from watcher.store.database import Transaction
from watcher.store.facts import facts_of
from watcher.store.tables import candidates, facts, trials
from watcher.store.trials import outlines

_OUTLINE = (
    trials.c.id,
    trials.c.candidate,
    trials.c.device_state,
    trials.c.bug_id,
    trials.c.started_at,
    trials.c.finished_at,
    trials.c.outcome,
    trials.c.retry_at,
    trials.c.bug,
    trials.c.reason,
    trials.c.by_hand,
    trials.c.setup,
)
_OUTLINES = select(*_OUTLINE).join(candidates).order_by(trials.c.id.desc())
_IS_OVERLAY = candidates.c.overlay.is_not(None)


def image_facts(tx: Transaction, sources: Collection[str]) -> Iterator[tuple[str, KnownFact]]:
    """Yield what can become a candidate: images that are there, with a digest; in order of source and key."""
    is_image = (facts.c.kind == FactKind.IMAGE) & facts.c.digest.is_not(None) & facts.c.yanked.is_(False)
    yield from facts_of(tx, sources, is_image & facts.c.withdrawn.is_(False))


def wheel_facts(tx: Transaction, sources: Collection[str], component: str) -> Iterator[tuple[str, KnownFact]]:
    """Yield the wheels that are there of a component, or of what is called much like it; in order of source and key."""
    spelled = component.replace("-", "%")  # a file name has `_` or `.` there
    is_wheel = (facts.c.kind == FactKind.WHEEL) & facts.c.name.like(f"{spelled}-%")
    yield from facts_of(tx, sources, is_wheel & facts.c.withdrawn.is_(False))


def planning_trials(tx: Transaction, state: DeviceState, setup: str, engine: str) -> tuple[Trial, ...]:
    """Return the trials that decide what is due, newest first, without what no plan reads of them.

    These are those on this device state with this setup, which a wheel's probe does not depend on; and, of all that
    brought the engine up, the last verdict: after another state or setup it says that there was one.
    """
    here = _is_here(state) & or_(trials.c.setup == setup, _IS_OVERLAY)
    brought_up = (trials.c.outcome == Outcome.VERDICT) & (candidates.c.engine == engine) & ~_IS_OVERLAY
    last = select(func.max(trials.c.id)).join(candidates).where(brought_up).scalar_subquery()
    return tuple(outlines(tx, _OUTLINES.where(here | (trials.c.id == last))))


def wheel_trials(tx: Transaction, state: DeviceState) -> tuple[Trial, ...]:
    """Return the outlines of the trials on this device state that probed wheels, newest first."""
    return tuple(outlines(tx, _OUTLINES.where(_is_here(state), _IS_OVERLAY)))


def _is_here(state: DeviceState) -> ColumnElement[bool]:
    """Return what holds where a trial's `device_state.key` is that of this state."""
    return (_or_unknown(trials.c.l4t) == (state.l4t or "?")) & (_or_unknown(trials.c.driver) == (state.driver or "?"))


def _or_unknown(column: ColumnElement[str | None]) -> ColumnElement[str]:
    return func.coalesce(func.nullif(column, ""), "?")
