"""One whole round: pay what is owed, look, plan, try what is due, tell, and say where the person stands."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.config.sources import SourceConfig
from watcher.errors import LeaseHeld, StoreError
from watcher.jobs.announce import announce
from watcher.jobs.check import due_sources, look_at
from watcher.jobs.means import Means
from watcher.jobs.plan import Plan, answer_now, make_plan
from watcher.jobs.restore import settle_dead_trials
from watcher.jobs.try_next import Wish, try_candidate
from watcher.model.answer import Answer
from watcher.model.facts import Event, Look
from watcher.model.trial import Candidate, ServiceReport, Trial
from watcher.planner.window import window_end


@dataclass(frozen=True, slots=True)
class Round:
    """What happened. `left_to` says who runs a trial already; `interrupted` that a person ended one."""

    started_at: datetime
    finished_at: datetime
    looks: tuple[Look, ...]
    events: tuple[Event, ...]
    candidates: tuple[Candidate, ...]
    trials: tuple[Trial, ...]
    answer: Answer
    restored: tuple[ServiceReport, ...] = ()
    left_to: str | None = None
    interrupted: bool = False
    channels_failed: int = 0


def go_round(means: Means, sources: Sequence[SourceConfig] | None, may_try: bool, scheduled: bool) -> Round:
    """Do one round. `sources` None: all by hand, those whose time has come on the schedule."""
    started = means.clock.now()
    restored = settle_dead_trials(means)
    if sources is None:
        sources = due_sources(means, started) if scheduled else means.settings.sources
    looks, events = look_at(means, sources)
    device = means.device()
    plan = make_plan(means, device, asked_now=not scheduled)
    try:
        trials, left_to, interrupted = _tried(means, plan, scheduled) if may_try else ((), None, False)
    except Exception:  # what was written down of the trial is told all the same
        with contextlib.suppress(StoreError):
            announce(means, answer_now(means, device))
        raise
    if trials:
        plan = Plan(make_plan(means, device, asked_now=not scheduled).candidates, plan.changed, plan.rules)
    answer = answer_now(means, device)
    failed = announce(means, answer)
    finished = means.clock.now()
    return Round(started, finished, looks, events, plan.changed, trials, answer, restored, left_to, interrupted, failed)


def _tried(means: Means, plan: Plan, scheduled: bool) -> tuple[tuple[Trial, ...], str | None, bool]:
    """Try the one candidate that is due, if any; what another process tries is left to it."""
    candidate = plan.next_due
    if candidate is None or means.host is None:
        return (), None, False
    engine = means.settings.engines[candidate.engine]
    ends = window_end(plan.rules.hours, plan.rules.zone, means.clock.now()) if scheduled else None
    wish = Wish(candidate, engine, engine.profiles, by_hand=False, window_ends=ends)
    try:
        trial, interrupted = try_candidate(means, wish)
    except LeaseHeld as held:
        return (), str(held), False
    return (trial,), None, interrupted
