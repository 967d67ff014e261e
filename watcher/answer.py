"""Where the person stands: the two answers for this device, what they stand on and what each still waits for. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from watcher.config.bugs import BugSettings
from watcher.config.engines import EngineSettings
from watcher.config.sources import SourceConfig
from watcher.model.answer import Answer, Flip, Waiting
from watcher.model.device import DeviceFacts
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BringUp, BugState, FailureClass, Rung, StaticRecord
from watcher.planner.boot import confirmation, doubt_about, tried_again
from watcher.planner.candidates import newest_first
from watcher.planner.compatibility import jetpack_line
from watcher.planner.flips import ended, flip_between, last_flip
from watcher.planner.ledger import Fix, Ledger, probed_wheels, seen_here, standing
from watcher.planner.pins import resolved
from watcher.planner.upgrade import best_upgrade
from watcher.planner.versions import parse_version, public

_ARCHITECTURE_WORDS = {"arm64": "an arm64 image", "amd64": "an amd64 image"}
_STALE_NAMED = 3
_STEPS = {
    FailureClass.NVMAP_ALLOC_FAILURE: "reboot the device and try again: NvMap refused memory that was free",
    FailureClass.GENUINE_OOM: "free memory or name a profile that asks for less, then `watcher trial run`",
    FailureClass.ARCH_MISMATCH: "wait for an image that is built for this device's GPU",
    FailureClass.DRIVER_RUNTIME: "check the device's driver and container runtime against what the image needs",
    FailureClass.PYTHON_DEPS: "wait for another build: this one lacks a Python dependency",
    FailureClass.MODEL_CONFIG: "correct the engine's model or arguments in config.toml, then `watcher trial run`",
    FailureClass.NOT_READY: "read the log with `watcher trial log`, or give it longer under [trial.timeouts]",
}
_HEADLINES = {
    (BringUp.WORKS, BugState.FIXED): "{engine} works on {device} with {artefact}, and the bug is fixed in it",
    (BringUp.WORKS, BugState.PRESENT): "{engine} works on {device} with {artefact}, though the bug is still in it",
    (BringUp.WORKS, BugState.UNKNOWN): "{engine} works on {device} with {artefact}; of the bug nothing is known",
    (BringUp.FAILS, BugState.FIXED): "The bug is fixed in {artefact}, but {engine} fails on {device}{why}",
    (BringUp.FAILS, BugState.PRESENT): "The bug is still there: {engine} fails on {device} with {artefact}{why}",
    (BringUp.FAILS, BugState.UNKNOWN): "{engine} fails on {device} with {artefact}{why}; of the bug nothing is known",
    (BringUp.UNTRIED, BugState.FIXED): "The bug is fixed in {artefact}; {engine} was not brought up on {device}",
    (BringUp.UNTRIED, BugState.PRESENT): "The bug is still in {artefact}; {engine} was not brought up on {device}",
    (BringUp.UNTRIED, BugState.UNKNOWN): "Nothing is known yet of a build of {engine} that {device} could use",
}


def stand(
    *,
    device: DeviceFacts,
    bug: BugSettings,
    engine: EngineSettings,
    candidates: Sequence[Candidate] = (),
    trials: Sequence[Trial] = (),
    statics: Sequence[StaticRecord] = (),
    facts: Sequence[tuple[str, KnownFact]] = (),
    sources: Sequence[SourceConfig] = (),
    auto_missing: Sequence[str] = (),
    stale: Mapping[str, str] | None = None,
) -> Answer:
    """Return where the person stands: it speaks of what this device could run today with the engine they want.

    Args:
        candidates: as planned (`due`, `waiting_for`); what their source does not show any more is left out.
        facts: beside the name of the source that shows them.
        auto_missing: what keeps automatic trials off, as keys for a person.
        stale: by name, a sentence for each source that is quiet past its rhythm, or was not seen for long.
    """
    ledger = open_ledger(
        device=device,
        bug=bug,
        engine=engine,
        candidates=candidates,
        statics=statics,
        facts=facts,
        sources=sources,
        trials=trials,
    )
    shown = newest_first((one for one in ledger.shown if one.compatible), ledger.ranks)
    tried = _tried(ledger, trials)
    place = _place_of_tried(tried) or _place_of_bytes(ledger, shown)
    flip = _flip(ledger, place, trials)
    view = _View(ledger, shown, place, _to_try(shown, tried), _to_confirm(place, trials, device), flip)
    return Answer(
        device=device.name,
        bug_id=bug.id,
        bug=place.bug,
        bring_up=place.bring_up,
        headline=_headline(view),
        candidate=place.candidate,
        basis=place.basis,
        since=place.since,
        trial_id=place.trial.id if place.trial else None,
        fixed_in=ledger.fixed_in,
        waits_for=tuple(_waits_for(view)),
        next_step=_next_step(view, auto_missing, stale or {}),
        stale=dict(stale or {}),
        flip=flip,
    )


def open_ledger(
    *,
    device: DeviceFacts,
    bug: BugSettings,
    engine: EngineSettings,
    candidates: Sequence[Candidate] = (),
    statics: Sequence[StaticRecord] = (),
    facts: Sequence[tuple[str, KnownFact]] = (),
    sources: Sequence[SourceConfig] = (),
    trials: Sequence[Trial] = (),
) -> Ledger:
    """Return the ledger that an answer and the meaning of an event are read from.

    What the probe saw of a wheel on this device speaks for the wheel, never for the image that it was laid over.
    """
    there = _still_there([one for one in candidates if one.overlay is None], facts)
    ours = [one for one in trials if one.bug_id == bug.id and one.device_state.key == device.state.key]
    probed = probed_wheels(ours)
    read = resolved(standing(seen_here(statics, probed), facts), bug.component)
    return Ledger(bug, engine, device, there, read, facts, sources, probed)


@dataclass(frozen=True, slots=True)
class _Place:
    """What is known of one candidate here, or of the newest artefact where nothing was tried.

    `artefact` names what the bug's state was read from; `regression` is a later failure that takes nothing away.
    """

    bug: BugState = BugState.UNKNOWN
    bring_up: BringUp = BringUp.UNTRIED
    candidate: Candidate | None = None
    trial: Trial | None = None
    basis: tuple[Rung, ...] = ()
    since: datetime | None = None
    artefact: str | None = None
    regression: Trial | None = None


@dataclass(frozen=True, slots=True)
class _Tried:
    """A candidate with its verdicts on the device's present state, oldest first."""

    candidate: Candidate
    trials: tuple[Trial, ...]

    @property
    def works(self) -> bool:
        return any(trial.bring_up is BringUp.WORKS for trial in self.trials)


@dataclass(frozen=True, slots=True)
class _View:
    """What the words are made from; `shown` are the engine's candidates that this device could use, newest first.

    `to_try` is the newest that this device could use, where it was not tried yet; `to_confirm` says how to make sure of
    weak evidence; `flip` what moved when the answer became another.
    """

    ledger: Ledger
    shown: tuple[Candidate, ...]
    place: _Place
    to_try: Candidate | None
    to_confirm: str | None
    flip: Flip | None


def _still_there(candidates: Sequence[Candidate], facts: Sequence[tuple[str, KnownFact]]) -> tuple[Candidate, ...]:
    """Return those whose content was neither replaced nor withdrawn; a source without images says nothing of it."""
    images = [(source, known) for source, known in facts if known.fact.kind is FactKind.IMAGE]
    speaking = {source for source, _ in images}
    digests = {known.fact.digest for _, known in images if not known.withdrawn}
    return tuple(one for one in candidates if one.digest in digests or one.source not in speaking)


def _to_try(shown: Sequence[Candidate], tried: Sequence[_Tried]) -> Candidate | None:
    newest = next((one for one in shown if not one.skipped), None)
    is_known = newest is not None and any(one.candidate.fingerprint == newest.fingerprint for one in tried)
    return None if is_known else newest


def _to_confirm(place: _Place, trials: Sequence[Trial], device: DeviceFacts) -> str | None:
    """Return what makes sure of a verdict that left over memory may have caused. It is offered, never due."""
    if place.trial is None or doubt_about(place.trial, trials) is None:
        return None
    weak, image = f"trial {place.trial.id} is weak evidence", place.trial.candidate.image
    if place.trial.device_state.boot_id != device.state.boot_id:
        return f"{weak}, and the device was started since: {tried_again(image)} confirms it"
    return f"{weak} after GPU failures on the same boot; to confirm, {confirmation(image)}"


def _tried(ledger: Ledger, trials: Sequence[Trial]) -> tuple[_Tried, ...]:
    """Return what this device could run and has a verdict, newest first.

    A content that no source shows any more, or that was named by hand, counts too: it has run here.
    """
    listed = {one.fingerprint: one for one in ledger.shown}
    found: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=ended):
        is_image = trial.candidate.engine == ledger.engine.id and trial.candidate.overlay is None
        is_ours = is_image and trial.bug_id == ledger.bug.id
        if is_ours and trial.outcome is Outcome.VERDICT and trial.device_state.key == ledger.device.state.key:
            found.setdefault(trial.candidate.fingerprint, []).append(trial)
    named = {key: listed.get(key) or rows[-1].candidate for key, rows in found.items()}
    usable = [candidate for key, candidate in named.items() if candidate.compatible or key not in listed]
    return tuple(_Tried(one, tuple(found[one.fingerprint])) for one in newest_first(usable))


def _place_of_tried(tried: Sequence[_Tried]) -> _Place | None:
    """Return the newest that works, else the newest with a verdict: a later `fails` takes no `works` away."""
    chosen = next((one for one in tried if one.works), None) or next(iter(tried), None)
    if chosen is None:
        return None
    wanted = BringUp.WORKS if chosen.works else BringUp.FAILS
    alike = [one for one in chosen.trials if one.bring_up is wanted] or list(chosen.trials)
    deciding = alike[-1]
    return _Place(
        bug=_bug_of(chosen, deciding),
        bring_up=deciding.bring_up,
        candidate=chosen.candidate,
        trial=deciding,
        basis=deciding.basis,
        since=ended(alike[0]),
        artefact=chosen.candidate.image,
        regression=_regression(tried[: tried.index(chosen) + 1], deciding) if chosen.works else None,
    )


def _bug_of(chosen: _Tried, deciding: Trial) -> BugState:
    """Return the bug's state in this content: seen in a bring-up it stands, else as the deciding trial says."""
    if any(one.bug is BugState.PRESENT and Rung.BRING_UP in one.basis for one in chosen.trials):
        return BugState.PRESENT
    said = (one.bug for one in (deciding, *reversed(chosen.trials)) if one.bug is not BugState.UNKNOWN)
    return next(said, BugState.UNKNOWN)


def _regression(tried: Sequence[_Tried], deciding: Trial) -> Trial | None:
    """Return the last failure, after what works, of the same candidate or a newer one."""
    failed = (one for each in tried for one in each.trials if one.bring_up is BringUp.FAILS)
    return max((one for one in failed if ended(one) > ended(deciding)), key=ended, default=None)


def _flip(ledger: Ledger, place: _Place, trials: Sequence[Trial]) -> Flip | None:
    """Return the regression from what works, else how the trials on this device came to what the answer says."""
    if place.trial is None or place.trial.candidate.overlay is not None:
        return None
    if place.regression is not None:
        return flip_between(place.trial, place.regression, ledger.engine, ledger.statics)
    return last_flip(place.trial, (place.bug, place.bring_up), trials, ledger.engine, ledger.statics)


def _place_of_bytes(ledger: Ledger, shown: Sequence[Candidate]) -> _Place:
    """Return what the bytes of the newest artefact say that this device could use: an image, else a wheel."""
    for candidate in shown:
        record = ledger.image_record(candidate.digest)
        if record is not None:
            return _read(record, candidate.image, candidate)
    wheel = ledger.newest_wheel()
    if wheel is None:
        return _Place()
    trial = ledger.probed.get(wheel.digest)
    if trial is None:
        return _read(wheel, wheel.name, None)
    return _Place(trial.bug, trial=trial, basis=trial.basis, since=ended(trial), artefact=wheel.name)


def _read(record: StaticRecord, artefact: str, candidate: Candidate | None) -> _Place:
    if record.reading.state is BugState.UNKNOWN:
        return _Place(candidate=candidate)
    return _Place(record.reading.state, candidate=candidate, basis=(Rung.STATIC,), since=record.at, artefact=artefact)


def _waits_for(view: _View) -> Iterator[Waiting]:
    """Yield a trial where there is something to try, else the build that is missing, and a release without one."""
    place, ledger = view.place, view.ledger
    release = ledger.release_without_image()
    if place.bug is not BugState.FIXED:
        yield _trial_or_build(view, "bug")
    if place.bring_up is not BringUp.WORKS:
        if view.to_try is not None or release is None:
            yield _trial_or_build(view, "bring_up")
        if release is not None:
            name = public(release.fact.version) or release.fact.name
            what = f"{ledger.engine.title} {name}: no image {_for_l4t(ledger)}"
            yield Waiting("bring_up", what, release.fact.published_at or release.first_seen)


def _trial_or_build(view: _View, question: Literal["bug", "bring_up"]) -> Waiting:
    ready, ledger = view.to_try, view.ledger
    if ready is None:
        return Waiting(question, _wanted_build(ledger), ledger.fix_seen_at or view.place.since)
    held = f" ({ready.waiting_for})" if ready.waiting_for else ""
    return Waiting(question, f"a trial of {ready.image}{held}", ready.first_seen)


def _wanted_build(ledger: Ledger) -> str:
    component, architecture = ledger.bug.component, ledger.device.architecture
    image = _ARCHITECTURE_WORDS.get(architecture, f"an image for {architecture}")
    needs = f"{component} ≥ {ledger.fix.version}" if ledger.fix else f"a {component} that carries the fix"
    return f"{image} {_for_l4t(ledger)} with {needs}"


def _for_l4t(ledger: Ledger) -> str:
    l4t = parse_version(ledger.device.state.l4t)
    return f"for r{l4t.major}" if l4t else "for this device"


def _headline(view: _View) -> str:
    place, ledger = view.place, view.ledger
    failure = place.trial.failure_class if place.trial else None
    said = _HEADLINES[place.bring_up, place.bug].format(
        engine=ledger.engine.shown_title,
        device=ledger.device.name,
        artefact=place.artefact,
        why=f" ({failure.value})" if failure else "",
    )
    if place.regression is not None:
        said += f"; trial {place.regression.id} of {place.regression.candidate.image} failed later, a regression"
    elif view.flip is not None and view.flip.is_regression:
        said += f"; trial {view.flip.before} worked, a regression"
    if view.flip is not None and view.flip.is_regression and view.flip.moved:
        said += f" (moved: {', '.join(view.flip.moved)})"
    if ledger.fix is not None and place.bug is not BugState.FIXED:
        said += f"; {_fixed_upstream(view, ledger.fix)}"
    return f"{said}."


def _fixed_upstream(view: _View, fix: Fix) -> str:
    """Return where the fix is, and what of it there is for this device."""
    ledger = view.ledger
    said = f"fixed upstream in {fix.component} {fix}"
    for fix_of_engine in (ledger.fixes[one] for one in ledger.bug.dependents if one in ledger.fixes):
        said += f", first {_title(ledger, fix_of_engine.component)} with it {fix_of_engine}"
    device = jetpack_line(ledger.device.state.l4t) or ledger.device.name
    if (wheel := ledger.usable_fix()) is not None:
        probe = ledger.probed.get(wheel.digest)
        said += f", for {device} as {wheel.name}"
        said += f" (the probe saw it fixed here in trial {probe.id})" if probe else ""
        said += ", in no image yet" if view.to_try is None else ""
    else:
        said += f", {'nothing' if view.to_try is None else 'not known'} yet for {device}"
    return f"{said}: waits for {_trial_or_build(view, 'bug').what}"


def _title(ledger: Ledger, component: str) -> str:
    return ledger.engine.title if component == ledger.engine.id else component


def _next_step(view: _View, auto_missing: Sequence[str], stale: Mapping[str, str]) -> str:
    parts = [_step(view, bool(auto_missing)), *filter(None, (view.to_confirm,))]
    if auto_missing:
        are = "is" if len(auto_missing) == 1 else "are"
        parts.append(f"automatic trials are off until {', '.join(auto_missing)} {are} set in config.toml")
    if view.place.bring_up is BringUp.WORKS:
        stale = {}  # whoever has what works waits for no source
    parts += [f"{name}: {sentence}" for name, sentence in islice(stale.items(), _STALE_NAMED)]
    if len(stale) > _STALE_NAMED:
        more = len(stale) - _STALE_NAMED
        parts.append(f"{more} more {'source is' if more == 1 else 'sources are'} stale: `watcher sources`")
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _step(view: _View, auto_is_off: bool) -> str:
    place, ready = view.place, view.to_try
    if place.bring_up is BringUp.WORKS and place.trial is not None:
        return f"use it: `watcher trial show {place.trial.id}` says what ran, and how"
    if ready is not None and ready.due:
        by_itself = f"; left to itself it waits for: {ready.waiting_for}" if ready.waiting_for else ""
        return f"watcher tries {ready.image} next{by_itself}"
    if ready is not None and ready.waiting_for and not auto_is_off:
        return f"watcher will try {ready.image}; it waits for: {ready.waiting_for}"
    if ready is not None:
        return f"`watcher trial run` tries {ready.image}"
    failed = place.trial.failure_class if place.trial else None
    if place.bug is not BugState.PRESENT and failed in _STEPS:
        return _STEPS[failed]
    return f"wait for {_wanted_build(view.ledger)}{_elsewhere(view.ledger)}"


def _elsewhere(ledger: Ledger) -> str:
    """Return what an upgrade would open; else the newest image which this device cannot use now, and why."""
    if (upgrade := best_upgrade(ledger)) is not None:
        return f"; {upgrade} would open {', '.join(filter(None, (upgrade.candidate.image, upgrade.fix)))}"
    told = (one for one in ledger.shown if not one.compatible and one.reasons)
    newest = next(iter(newest_first(told, ledger.ranks)), None)
    return f"; {newest.image} {newest.reasons[0]}" if newest else ""
