"""`trial run`: find what is meant, try it, print it, and choose the exit code."""

from dataclasses import dataclass
from datetime import timedelta

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.cli.views import show_answer, show_trial
from watcher.config.engines import EngineSettings
from watcher.errors import ConfigError, Refused
from watcher.host.kept import kept_engines
from watcher.jobs.announce import announce
from watcher.jobs.means import Means
from watcher.jobs.plan import answer_now, make_plan
from watcher.jobs.publish import publish
from watcher.jobs.restore import settle_dead_trials
from watcher.jobs.try_next import Wish, refuse_candidate, try_candidate
from watcher.model import documents
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BringUp, BugState
from watcher.planner.by_hand import named_candidate, reason_not_again
from watcher.planner.compatibility import repository_of
from watcher.store import trials

WORKS, PRESENT, FAILS, NO_VERDICT = 0, 10, 11, 125


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `trial run`; None takes the configuration's value."""

    image: str | None
    engine: str | None
    profile: str | None
    repeats: int | None
    soak: timedelta | None
    level: str | None
    keep: bool
    force: bool
    allow_image: bool


def run_trial(call: Call, asked: Asked, exit_code: bool, as_json: bool) -> int:
    with call.means(is_long=True) as means:
        if means.host is None:
            raise ConfigError("there is no container engine to try anything on; set device.docker in config.toml")
        settle_dead_trials(means)
        trial, interrupted = _tried(means, asked)
        answer = answer_now(means, means.device())
        announce(means, answer)
        publish(means, answer)
    if as_json:
        answered = documents.answer_document(answer)
        show_json({"schema": "watcher/trial/1", "trial": documents.trial_document(trial), "answer": answered})
    else:
        show_trial(trial)
        show()
        show_answer(call, answer)
    return _exit_code(trial, interrupted, exit_code)


def _tried(means: Means, asked: Asked) -> tuple[Trial, bool]:
    wish = _wish(means, asked)
    past, setup = _past(means, wish.candidate), wish.engine.setup
    reason = None if asked.force else reason_not_again(wish.candidate, past, means.device(), setup)
    if kept := kept_engines(means.data_dir):
        reason = f"{kept} is kept running from an earlier trial; `watcher restore` ends it"
    if reason is not None:
        return refuse_candidate(means, wish, reason), False
    try:
        return try_candidate(means, wish)
    except Refused as refused:  # another process holds the lease
        return refuse_candidate(means, wish, str(refused)), False


def _past(means: Means, candidate: Candidate) -> tuple[Trial, ...]:
    """Return the trials of this content, and what happened on the same boots, which may cast doubt on them."""
    with means.store.reading() as tx:
        alike = trials.of_content(tx, candidate.fingerprint)
        boots = dict.fromkeys(one.device_state.boot_id for one in alike)
        beside = (one for boot in boots for one in trials.on_boot(tx, boot))
        return tuple({one.id: one for one in (*alike, *beside)}.values())


def _wish(means: Means, asked: Asked) -> Wish:
    engine = _engine(means, asked)
    named = tuple(profile for profile in engine.profiles if profile.name == asked.profile)
    profiles = named if asked.profile is not None else engine.planned_profiles
    if not profiles:
        known = ", ".join(profile.name for profile in engine.profiles)
        raise ConfigError(f"engine {engine.id} has no profile {asked.profile!r}", (f"known are {known}",))
    candidate = _candidate(means, asked, engine)
    return Wish(
        candidate,
        engine,
        profiles,
        by_hand=True,
        force=asked.force,
        repeats=asked.repeats,
        soak=asked.soak,
        level=asked.level,
        keep=asked.keep,
    )


def _engine(means: Means, asked: Asked) -> EngineSettings:
    engines = means.settings.engines
    if asked.engine is not None:
        if asked.engine not in engines:
            raise ConfigError(f"there is no engine {asked.engine!r}", (f"known are {', '.join(sorted(engines))}",))
        return engines[asked.engine]
    if asked.image is not None:
        for engine in engines.values():
            if repository_of(asked.image) in engine.images:
                return engine
    return means.settings.engine


def _candidate(means: Means, asked: Asked, engine: EngineSettings) -> Candidate:
    known = make_plan(means, means.device(), asked_now=True).candidates
    planned = [one for one in known if one.overlay is None]  # with a wheel over it an image is probed, not brought up
    if asked.image is None:
        fitting = [one for one in planned if one.compatible and one.engine == engine.id and not one.skipped]
        if not fitting:
            raise ConfigError(f"no compatible candidate for {engine.id} is known", ("name an image, or run check-now",))
        return fitting[0]
    if repository_of(asked.image) not in engine.images and not asked.allow_image:
        allowed = f"engines.{engine.id}.images names {', '.join(engine.images)}"
        raise ConfigError(f"{asked.image} is not from a configured repository; --allow-image tries it", (allowed,))
    known_one = next((one for one in planned if one.image == asked.image and one.engine == engine.id), None)
    if known_one is not None:
        return known_one
    local = means.host.find_image(asked.image) if means.host else None
    return named_candidate(asked.image, engine.id, local)


def _exit_code(trial: Trial, interrupted: bool, wants_answer: bool) -> int:
    if any(not report.makes_room for report in trial.owed):
        return exits.STILL_DOWN
    if interrupted:
        return exits.INTERRUPTED
    if wants_answer:
        return _answer_code(trial)
    return exits.DONE if trial.outcome is Outcome.VERDICT else exits.NO_VERDICT


def _answer_code(trial: Trial) -> int:
    if trial.outcome is not Outcome.VERDICT:
        return NO_VERDICT
    if trial.bring_up is BringUp.WORKS:
        return WORKS
    if trial.bug is BugState.PRESENT:
        return PRESENT
    return FAILS if trial.bring_up is BringUp.FAILS else NO_VERDICT
