"""One whole round: pay what is owed, look, plan, try what is due, tell, write the page, say where the person stands."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watcher.config.sources import SourceConfig
from watcher.errors import LeaseHeld, StoreError
from watcher.jobs.ailing import note_ailing
from watcher.jobs.announce import announce
from watcher.jobs.check import due_sources, look_at
from watcher.jobs.foretell import foretell
from watcher.jobs.health import note_stale
from watcher.jobs.judge_again import judge_again
from watcher.jobs.means import Means
from watcher.jobs.plan import Plan, answer_now, make_plan, meanings
from watcher.jobs.publish import publish
from watcher.jobs.restore import settle_dead_trials
from watcher.model.answer import Answer
from watcher.model.facts import Event, Look
from watcher.model.trial import Candidate, ServiceReport, Trial
from watcher.planner.rhythm import SPREAD
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
    _judge_again(means)
    if sources is None:
        sources = due_sources(means, started) if scheduled else means.settings.sources
    spread = min(SPREAD, means.settings.schedule.jitter) if scheduled else timedelta(0)
    looks, events = look_at(means, sources, spread)
    device = means.device()
    plan = make_plan(means, device, asked_now=not scheduled)
    stale = note_stale(means)
    note_ailing(means)
    if scheduled and may_try:
        foretell(means, device, plan)
    try:
        trials, left_to, interrupted = _tried(means, plan, scheduled) if may_try else ((), None, False)
    except Exception:  # what was written down of the trial is told all the same
        with contextlib.suppress(StoreError):
            answer = answer_now(means, device)
            announce(means, answer)
            publish(means, answer)
        raise
    if trials:
        plan = replace(plan, candidates=make_plan(means, device, asked_now=not scheduled).candidates)
    if (means.data_dir / "wheels").exists():
        from watcher.jobs.wheels import drop_wheels  # as above

        drop_wheels(means, plan.candidates)
    answer = answer_now(means, device, None if trials else stale)  # a trial may take a day
    events = meanings(means, device, events)
    failed = announce(means, answer)
    publish(means, answer, started)
    if scheduled:
        _retain(means)
        _ping(means)
    finished = means.clock.now()
    return Round(started, finished, looks, events, plan.changed, trials, answer, restored, left_to, interrupted, failed)


def _ping(means: Means) -> None:
    if (url := means.settings.notify.ping_url) is None:
        return
    from watcher.notify.ping import ping

    if (trouble := ping(url.get_secret_value())) is not None:
        means.say(f"notify.ping_url was not told that this round ended: {trouble}")


def _judge_again(means: Means) -> None:
    try:
        judge_again(means)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  a bug of ours with an old log must not keep every check from its work
        means.say(
            f"past trials were not judged again, by an error of the watcher itself: {type(error).__name__}: {error}"
        )


def _retain(means: Means) -> None:
    from watcher.jobs.retain import retain_daily

    try:
        retain_daily(means)
    except StoreError as error:  # what is old may grow older: the next round tries again
        means.say(f"nothing old was dropped: {error}")


def _tried(means: Means, plan: Plan, scheduled: bool) -> tuple[tuple[Trial, ...], str | None, bool]:
    """Try the one candidate that is due, if any; what another process tries is left to it."""
    candidate = plan.next_due
    if candidate is None or means.host is None:
        return (), None, False
    from watcher.jobs.try_next import Wish, try_candidate  # a round that tries nothing does without all of this

    engine = means.settings.engines[candidate.engine]
    ends = window_end(plan.rules.hours, plan.rules.zone, means.clock.now()) if scheduled else None
    wish = Wish(candidate, engine, engine.planned_profiles, by_hand=False, window_ends=ends)
    try:
        trial, interrupted = try_candidate(means, wish)
    except LeaseHeld as held:
        return (), str(held), False
    return (trial,), None, interrupted
