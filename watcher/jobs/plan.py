"""From facts to what is due: gather, judge with the pure planner, keep the candidates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.answer import open_ledger, stand
from watcher.config.sources import SourceConfig, WheelSource
from watcher.jobs.health import stale_now
from watcher.jobs.means import Means
from watcher.model.answer import Answer
from watcher.model.device import DeviceFacts
from watcher.model.facts import Event, FactKind, KnownFact
from watcher.model.notice import NoticeKind
from watcher.model.trial import Candidate, Trial
from watcher.model.verdict import StaticRecord
from watcher.planner import boot, due
from watcher.planner.boot import LEAVES_MAPPINGS
from watcher.planner.candidates import candidates, engine_of
from watcher.planner.health import Stale
from watcher.planner.ledger import Ledger
from watcher.planner.overlays import overlays
from watcher.planner.relevance import relevance
from watcher.planner.upgrade import CORE, JETPACK
from watcher.store import candidates as candidate_store
from watcher.store import facts as fact_store
from watcher.store import outbox, statics, trials
from watcher.store.planning import image_facts, planning_trials, wheel_facts, wheel_trials
from watcher.store.telling import Facts, candidates_of, telling_facts, telling_trials, wheels_of_version
from watcher.store.transaction import Reading, Transaction

PAUSED_UNTIL = "paused-until"
FIRST_DEVICE_STATE = "first-device-state"
QUARANTINE_CLEARED_AT = "quarantine-cleared-at"
"""When somebody last found nothing wrong on our side: what failed before that counts no more."""
GONE = "no source shows it any more"
REPLACED = "another wheel or another image is the newest now"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every candidate as it stands now, newest first, and which of them this planning changed.

    `starts` is the next automatic trial that displaces something, and when, if nothing else happens.
    """

    candidates: tuple[Candidate, ...]
    changed: tuple[Candidate, ...]
    rules: due.Rules
    starts: tuple[Candidate, datetime] | None = None

    @property
    def next_due(self) -> Candidate | None:
        return due.next_due(self.candidates)


def make_plan(means: Means, device: DeviceFacts, asked_now: bool) -> Plan:
    """Derive the candidates from the facts, say which is due, and keep them. Planning twice adds nothing."""
    rules = rules_of(means)
    with means.store.transaction() as tx:
        found = _found(tx, means, device)
        standing = _standing(tx, means, device, asked_now)
        tried = planning_trials(tx, device.state, standing.setup, rules.engine)
        current, changed = _keep(tx, due.plan(found, tried, rules, standing))
        starts = due.next_start(current, tried, rules, standing) if rules.displaces else None
    return Plan(current, changed, rules, starts)


def _found(tx: Reading, means: Means, device: DeviceFacts) -> list[Candidate]:
    """Return the images that sources show, then the wheels that can be laid over the newest one that fits."""
    settings, left_out = means.settings, candidate_store.skipped_ones(tx)
    of_engines = [one.name for one in settings.sources if engine_of(one, settings.engines)]
    images = candidates(_with_sources(means, image_facts(tx, of_engines)), settings.engines, device)
    bases = [one for one in images if _content(one) not in left_out]
    indexes = [one.name for one in settings.sources if isinstance(one, WheelSource)]
    wheels = _with_sources(means, wheel_facts(tx, indexes, settings.bug.component))
    read = statics.static_records(tx)
    laid = overlays(wheels, bases, read, settings.engine, settings.bug.component, device)
    return [replace(one, skipped=True) if _content(one) in left_out else one for one in (*images, *laid)]


def _keep(tx: Transaction, planned: Iterable[Candidate]) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Write those that do not stand so yet; return the planned ones as stored, and what is news to a person."""
    current, before, gone = {_content(one): one for one in planned}, {}, []
    for stored in candidate_store.candidates(tx):
        now = current.get(content := _content(stored))
        kept = _as_kept(now, stored) if now else _gone(stored)
        if kept != stored:
            before[content] = stored
        if now:
            current[content] = kept
        elif kept != stored:
            gone.append(kept)
    fresh = [one for content, one in current.items() if content in before or not one.id]
    written = candidate_store.upsert_candidates(tx, (*fresh, *gone))
    current.update((_content(one), one) for one in written[: len(fresh)])
    changed = (one for one in written if _differs(before.get(_content(one)), one) and not _is_old_wheel(one))
    return tuple(current.values()), tuple(changed)


def _content(one: Candidate) -> tuple[str, str]:
    return one.engine, one.fingerprint


def _as_kept(now: Candidate, stored: Candidate) -> Candidate:
    """Return a candidate as it is stored once it is written: its id and its first sight outlive every planning."""
    return replace(now, id=stored.id, first_seen=stored.first_seen or now.first_seen)


def _is_old_wheel(one: Candidate) -> bool:
    """Return whether a candidate is no news to a person: each new image lays the wheels of before anew."""
    return one.overlay is not None and (one.baseline or one.reasons == (REPLACED,))


def _gone(stored: Candidate) -> Candidate:
    """Return a candidate that no source shows any more, so marked; what a person named by hand has no source."""
    if not stored.source:
        return stored
    reason = REPLACED if stored.overlay else GONE
    return replace(stored, compatible=False, reasons=(reason,), due=False, waiting_for=None)


def rules_of(means: Means) -> due.Rules:
    settings = means.settings
    return due.Rules(
        engine=settings.trial.engine,
        auto_missing=settings.auto_missing,
        cool_down=settings.trial.cool_down,
        total=settings.trial.total_of(settings.trial.repeats) + settings.acceptance.soak,
        retries=settings.trial.retries,
        hours=settings.schedule.window,
        zone=settings.schedule.zone,
        displaces=bool(settings.trial.services) and settings.trial.bring_up != "by-hand",
    )


def answer_now(means: Means, device: DeviceFacts, stale: Mapping[str, Stale] | None = None) -> Answer:
    """Return where the person stands, from what is stored; what no source shows counts by its trials alone.

    `stale` is what `stale_now` says; None reads it.
    """
    settings = means.settings
    with means.store.reading() as tx:
        ours = candidates_of(tx, {settings.engine.id, *settings.bug.dependents})
        known = _Known(
            candidates=[one for one in ours if one.reasons != (GONE,)],
            trials=telling_trials(tx, settings.bug.id, settings.engine.id, device.state, (GONE,), LEAVES_MAPPINGS),
            statics=statics.static_records(tx),
        )
        facts = _telling_facts(tx, means, device, known)
        stale = stale_now(means, tx, fact_store.source_states(tx)) if stale is None else stale
    return stand(
        device=device,
        bug=settings.bug,
        engine=settings.engine,
        candidates=known.candidates,
        trials=known.trials,
        statics=known.statics,
        facts=facts,
        sources=settings.sources,
        auto_missing=settings.auto_missing,
        stale={name: one.sentence for name, one in stale.items()},
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What an answer stands on beside the facts."""

    candidates: Sequence[Candidate]
    trials: Sequence[Trial]
    statics: Sequence[StaticRecord]


def _telling_facts(tx: Reading, means: Means, device: DeviceFacts, known: _Known) -> Facts:
    """Return the facts of which the answer can speak: with them it is what it would be with all."""
    settings, engines = means.settings, {means.settings.engine.id: means.settings.engine}
    images = [one.name for one in settings.sources if engine_of(one, engines)]
    blank = Ledger(settings.bug, settings.engine, device, sources=settings.sources)
    ours = {settings.engine.id, *settings.bug.dependents}
    facts = telling_facts(tx, ours, images, [*blank.release_sources], (CORE, JETPACK))
    ledger = _ledger(means, device, known, facts)
    versions = [fix.version for fix in ledger.fixes.values()]
    return (*facts, *wheels_of_version(tx, versions))


def _ledger(means: Means, device: DeviceFacts, known: _Known, facts: Facts) -> Ledger:
    settings = means.settings
    return open_ledger(
        device=device,
        bug=settings.bug,
        engine=settings.engine,
        candidates=known.candidates,
        statics=known.statics,
        facts=facts,
        sources=settings.sources,
        trials=known.trials,
    )


def meanings(means: Means, device: DeviceFacts, events: Sequence[Event]) -> tuple[Event, ...]:
    """Return events with what each means for the bug on this device."""
    if not events:
        return ()
    digests = {one.fact.digest for one in events if one.fact.kind is FactKind.IMAGE and one.fact.digest}
    with means.store.reading() as tx:
        named = candidate_store.images_of(tx, digests)
        known = _Known(named, wheel_trials(tx, device.state), statics.static_records(tx))
        facts = telling_facts(tx, {one.engine for one in named}, (), (), ())
        ledger = _ledger(means, device, known, facts)
    return tuple(replace(event, helps=relevance(event, ledger)) for event in events)


def _with_sources(means: Means, facts: Iterable[tuple[str, KnownFact]]) -> Iterable[tuple[SourceConfig, KnownFact]]:
    sources = {source.name: source for source in means.settings.sources}
    return ((sources[name], fact) for name, fact in facts if name in sources)


def _standing(tx: Transaction, means: Means, device: DeviceFacts, asked_now: bool) -> due.Standing:
    first = trials.get_meta(tx, FIRST_DEVICE_STATE)
    if first is None:
        trials.set_meta(tx, FIRST_DEVICE_STATE, device.state.key)
    return due.Standing(
        device=device,
        setup=means.settings.engine.setup,
        now=means.clock.now(),
        paused_until=paused_until(tx),
        quarantined=is_quarantined(tx, device.state.boot_id),
        device_changed=first is not None and first != device.state.key,
        check_now=asked_now,
        announced=_announced(tx, means, device),
    )


def announcement_key(means: Means, device: DeviceFacts, candidate: Candidate) -> str:
    """Return what the keys of a candidate's announcements begin with; what follows is the window that it starts in."""
    return f"plan:{candidate.engine}:{candidate.fingerprint}{_announced_for(means, device)}"


def _announced_for(means: Means, device: DeviceFacts) -> str:
    return f":{means.settings.engine.setup}:{device.state.key}:"


def _announced(tx: Reading, means: Means, device: DeviceFacts) -> dict[tuple[str, str], datetime]:
    """Return when each candidate, by engine and fingerprint, was first announced for this device and setup."""
    told: dict[tuple[str, str], datetime] = {}
    this_ground = _announced_for(means, device)
    for key, at in outbox.written(tx, NoticeKind.PLAN):
        content, is_for_this, _ = key.partition(this_ground)
        engine, _, fingerprint = content.removeprefix("plan:").rpartition(":")
        if is_for_this:
            told[engine, fingerprint] = min(at, told.get((engine, fingerprint), at))
    return told


def is_quarantined(tx: Reading, boot_id: str | None) -> bool:
    """Return whether trials on this boot keep failing on our side."""
    cleared = trials.get_meta(tx, QUARANTINE_CLEARED_AT)
    cleared_at = datetime.fromisoformat(cleared) if cleared else None
    return boot.is_quarantined(trials.last_ended(tx, boot.EVIDENCE, 2), boot_id, cleared_at)


def paused_until(tx: Reading) -> datetime | None:
    """Return until when a person paused automatic trials; None where nobody did. It may be over."""
    paused = trials.get_meta(tx, PAUSED_UNTIL)
    return datetime.fromisoformat(paused) if paused else None


def _differs(before: Candidate | None, now: Candidate) -> bool:
    if before is None:
        return True
    return (before.compatible, before.reasons, before.due, before.image) != (
        now.compatible,
        now.reasons,
        now.due,
        now.image,
    )
