"""The few facts and trials that a plan is made of, out of all that years have left.

What is returned is chosen so that `watcher.planner` says the same of it as of everything; a test compares both on
generated histories. Facts come one after another: nobody holds them all.
"""

from collections.abc import Collection, Iterator

from watcher.model.device import DeviceState
from watcher.model.facts import KnownFact
from watcher.model.trial import Trial
from watcher.store.facts import facts_of
from watcher.store.transaction import Reading
from watcher.store.trials import outlines

_OUTLINE = (
    "id",
    "candidate",
    "device_state",
    "bug_id",
    "started_at",
    "finished_at",
    "outcome",
    "retry_at",
    "bug",
    "reason",
    "by_hand",
    "setup",
)
_IS_HERE = "coalesce(nullif(l4t, ''), '?') = :l4t AND coalesce(nullif(driver, ''), '?') = :driver"
"""What holds where a trial's `device_state.key` is that of the state."""


def image_facts(tx: Reading, sources: Collection[str]) -> Iterator[tuple[str, KnownFact]]:
    """Yield what can become a candidate: images that are there, with a digest; in order of source and key."""
    is_image = "kind = 'image' AND digest IS NOT NULL AND NOT yanked AND NOT withdrawn"
    yield from facts_of(tx, sources, is_image, {})


def wheel_facts(tx: Reading, sources: Collection[str], component: str) -> Iterator[tuple[str, KnownFact]]:
    """Yield the wheels that are there of a component, or of what is called much like it; in order of source and key."""
    spelled = component.replace("-", "%")  # a file name has `_` or `.` there
    is_wheel = "kind = 'wheel' AND name LIKE :spelled AND NOT withdrawn"
    yield from facts_of(tx, sources, is_wheel, {"spelled": f"{spelled}-%"})


def planning_trials(tx: Reading, state: DeviceState, setup: str, engine: str) -> tuple[Trial, ...]:
    """Return the trials that decide what is due, newest first, without what no plan reads of them.

    These are those on this device state with this setup, which a wheel's probe does not depend on; and, of all that
    brought the engine up, the last verdict: after another state or setup it says that there was one.
    """
    rest = f"""
        JOIN candidates c ON c.id = candidate_id
        WHERE {_IS_HERE} AND (setup = :setup OR c.overlay IS NOT NULL) OR trials.id = (
          SELECT max(t.id) FROM trials t JOIN candidates c ON c.id = t.candidate_id
          WHERE t.outcome = 'verdict' AND c.engine = :engine AND c.overlay IS NULL
        )
        ORDER BY trials.id DESC
    """
    return tuple(outlines(tx, _OUTLINE, rest, _here(state) | {"setup": setup, "engine": engine}))


def wheel_trials(tx: Reading, state: DeviceState) -> tuple[Trial, ...]:
    """Return the outlines of the trials on this device state that probed wheels, newest first."""
    rest = (
        f"JOIN candidates c ON c.id = candidate_id WHERE {_IS_HERE} AND c.overlay IS NOT NULL ORDER BY trials.id DESC"
    )
    return tuple(outlines(tx, _OUTLINE, rest, _here(state)))


def _here(state: DeviceState) -> dict[str, str]:
    return {"l4t": state.l4t or "?", "driver": state.driver or "?"}
