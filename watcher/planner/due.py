"""What is due: which candidate would be tried by itself now, and what holds the others back.

    after                 again
    a verdict             never for the same content on the same device state and setup
    bench trouble         after a growing delay, `retries` times
    refused               at its `retry_at`
    cancelled             after the cool-down, or at the next `check-now`
    another L4T, driver,  the newest compatible candidate
    model or profile
    several waiting       the newest; the older ones are superseded

What displaces a service is announced first and starts `LEAST_NOTICE` later at the earliest, unless a person asks.

What was there at the first look is never due until the device or the setup changed.

A wheel that is laid over an image is held to the same, in a line of its own behind the images, with these differences:
only its probe is asked, so model and profiles make nothing due again; what the probe said of a wheel over one image
stands over the next; a wheel that was there at the first look stays out. It waits for the window like everything else:
nothing is stopped for it, but it takes memory beside the running service.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo

from watcher.model.device import DeviceFacts
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BugState
from watcher.planner import window
from watcher.planner.boot import QUARANTINE
from watcher.planner.candidates import newest_first

FIRST_DELAY = timedelta(minutes=30)
REFUSED_DELAY = timedelta(days=1)
"""After a refusal that no time cures, such as a wrong mount path: somebody has to change something first."""
LEAST_NOTICE = timedelta(minutes=30)
"""How long before its start a trial that displaces a service is announced, at the least."""
_GROWTH = 4
TOO_SHORT = "a window longer than trial.total, taken trial.repeats times, and acceptance.soak together"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that automatic trials go by.

    Attributes:
        engine: the one which automatic trials bring up.
        auto_missing: what keeps automatic trials off, as keys for a person; empty when they are on.
        hours: the window, None for any time; in `zone`.
        total: how long a trial takes at most, with all repeats and its soak.
        displaces: a trial takes something away from people, who are told beforehand.
    """

    engine: str
    auto_missing: tuple[str, ...] = ()
    cool_down: timedelta = timedelta(hours=6)
    total: timedelta = timedelta(minutes=30)
    retries: int = 3
    displaces: bool = False
    hours: window.Hours = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Standing:
    """Where things stand now.

    Attributes:
        setup: hash of model, profiles and mounts, as kept with each trial.
        quarantined: two trials in a row failed on our side, see `boot.is_quarantined`.
        device_changed: L4T or driver are not those on which the sources were first looked at.
        check_now: a person asked for a check: window, cool-down and notice do not hold anything back.
        announced: when each image, by engine and fingerprint, was first announced for this device and setup.
    """

    device: DeviceFacts
    setup: str
    now: datetime
    paused_until: datetime | None = None
    quarantined: bool = False
    device_changed: bool = False
    check_now: bool = False
    announced: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


def plan(
    candidates: Iterable[Candidate], trials: Sequence[Trial], rules: Rules, standing: Standing
) -> tuple[Candidate, ...]:
    """Return the candidates, newest first, with `due` and `waiting_for` as they are now. At most one is due.

    What is due because a person asks says in `waiting_for` when it would be without them.
    """
    planned = []
    for candidate, hold in _all_held(tuple(candidates), trials, rules, standing):
        due = hold is not None and not hold.reasons
        waiting = "; ".join(hold.reasons) or None if hold else None
        if due and standing.check_now:
            waiting = _waits_by_itself(candidate, rules, standing)
        if candidate.skipped and candidate.compatible:
            waiting = "a person left it out; `watcher skip --undo ID` takes it in again"
        planned.append(replace(candidate, due=due, waiting_for=waiting))
    return tuple(planned)


def _waits_by_itself(candidate: Candidate, rules: Rules, standing: Standing) -> str | None:
    """Return what holds back on the schedule a candidate that somebody's check may try at once."""
    hold = _Hold()
    _hold_for_time(hold, candidate, rules, standing)
    return "; ".join(hold.reasons) or None


def next_due(planned: Iterable[Candidate]) -> Candidate | None:
    """Return what would be tried now, of candidates that `plan` went over."""
    return next((candidate for candidate in planned if candidate.due), None)


def next_start(
    candidates: Iterable[Candidate], trials: Sequence[Trial], rules: Rules, standing: Standing
) -> tuple[Candidate, datetime] | None:
    """Return the next automatic trial and when it starts if nothing else happens; None when none can be foreseen."""
    images = [one for one in candidates if one.overlay is None]  # for an overlay nothing is stopped
    for candidate, hold in _held(images, trials, rules, standing):
        if hold and not hold.is_final and not hold.superseded:
            ready = max(hold.until, standing.now)
            starts = ready if standing.check_now else window.next_start(rules.hours, rules.zone, ready, rules.total)
            return (candidate, starts) if starts else None
    return None


@dataclass(slots=True)
class _Hold:
    """What holds a candidate back that should be tried; nothing in it means that it is due.

    `until` is the last of the times named; `is_final` when no time helps.
    """

    reasons: list[str] = field(default_factory=list)
    until: datetime = _LONG_AGO
    is_final: bool = False
    superseded: bool = False

    def wait(self, reason: str, until: datetime | None = None) -> None:
        self.reasons.append(reason)
        if until is None:
            self.is_final = True
        else:
            self.until = max(self.until, until)


def _all_held(
    candidates: Sequence[Candidate], trials: Sequence[Trial], rules: Rules, standing: Standing
) -> list[tuple[Candidate, _Hold | None]]:
    """Return the images with their holds, then the overlays, which wait until no image is due."""
    images = _held([one for one in candidates if one.overlay is None], trials, rules, standing)
    overlays = _held([one for one in candidates if one.overlay is not None], trials, rules, standing)
    first = next((one for one, hold in images if hold is not None and not hold.reasons), None)
    for _, hold in overlays:
        if first is not None and hold is not None and not hold.reasons:
            hold.wait(f"{first.image} is tried first", standing.now)
    return [*images, *overlays]


def _held(
    candidates: Iterable[Candidate], trials: Sequence[Trial], rules: Rules, standing: Standing
) -> list[tuple[Candidate, _Hold | None]]:
    """Return each candidate with its hold, newest first; None where there is no reason to try it."""
    ranked = newest_first(candidates)
    history = _History(trials, rules.engine, standing)
    newest = next((one for one in ranked if one.compatible and not one.skipped and one.engine == rules.engine), None)
    held: list[tuple[Candidate, _Hold | None]] = []
    ahead: list[Candidate] = []
    for candidate in ranked:
        hold = None
        if history.wants(candidate, is_newest=candidate == newest):
            hold = _hold(candidate, history, rules, standing)
            rival = next((one for one in ahead if _supersedes(one, candidate, history)), None)
            if rival is not None:
                hold = _Hold([f"superseded by {rival.overlay.name if rival.overlay else rival.image}"], superseded=True)
        held.append((candidate, hold))
        if candidate.engine == rules.engine and _runs_ahead(candidate, hold, history, rules):
            ahead.append(candidate)
    return held


def _runs_ahead(candidate: Candidate, hold: _Hold | None, history: "_History", rules: Rules) -> bool:
    """Return whether a candidate stands before older ones: it waits itself, or it had its verdict."""
    if not candidate.compatible or candidate.skipped:
        return False
    return history.verdict_on(candidate) is not None or (
        hold is not None and len(history.bench_on(candidate)) <= rules.retries
    )


def _supersedes(newer: Candidate, older: Candidate, history: "_History") -> bool:
    """Return whether the newer one makes the older pointless: it still waits, or was tried when the older was there."""
    verdict = history.verdict_on(newer)
    return newer.engine == older.engine and (verdict is None or _first_seen(older) <= verdict.started_at)


class _History:
    """The trials of each content, on the device state and setup of now and on others."""

    def __init__(self, trials: Sequence[Trial], engine: str, standing: Standing) -> None:
        self._standing = standing
        self._by_content: dict[tuple[str, str], list[Trial]] = {}
        self._by_wheel: dict[str, list[Trial]] = {}
        for trial in sorted(trials, key=_ended):
            self._by_content.setdefault((trial.candidate.engine, trial.candidate.fingerprint), []).append(trial)
            if trial.candidate.overlay and trial.bug is not BugState.UNKNOWN:
                self._by_wheel.setdefault(trial.candidate.overlay.digest, []).append(trial)
        verdicts = [one for one in trials if one.outcome is Outcome.VERDICT and _brings_up(one.candidate, engine)]
        self._is_new_ground = not any(map(self._is_here, verdicts)) and (bool(verdicts) or standing.device_changed)

    def wants(self, candidate: Candidate, *, is_newest: bool) -> bool:
        """Return whether there is a reason to try it: it is news, or it is the newest on ground that is new."""
        if not candidate.compatible or candidate.skipped or self.verdict_on(candidate):
            return False
        is_called_for = is_newest and self._is_new_ground and candidate.overlay is None
        return not candidate.baseline or is_called_for or bool(self._retryable(candidate))

    def verdict_on(self, candidate: Candidate) -> Trial | None:
        """Return the last verdict on this content, here."""
        of_wheel = self._by_wheel.get(candidate.overlay.digest, []) if candidate.overlay else []
        known = (*self._here(candidate), *filter(self._is_here, of_wheel))
        return next((one for one in reversed(known) if one.outcome is Outcome.VERDICT), None)

    def bench_on(self, candidate: Candidate) -> list[Trial]:
        return [one for one in self._here(candidate) if one.outcome is Outcome.BENCH]

    def last_on(self, candidate: Candidate) -> Trial | None:
        return next(reversed(self._here(candidate)), None)

    def _retryable(self, candidate: Candidate) -> list[Trial]:
        """Return trials that ended without a verdict and were not asked for by hand: these are owed another one."""
        return [one for one in self._here(candidate) if not one.by_hand]

    def _here(self, candidate: Candidate) -> list[Trial]:
        ours = self._by_content.get((candidate.engine, candidate.fingerprint), [])
        return [trial for trial in ours if self._is_here(trial)]

    def _is_here(self, trial: Trial) -> bool:
        same_setup = trial.candidate.overlay is not None or trial.setup == self._standing.setup
        return trial.device_state.key == self._standing.device.state.key and same_setup


def _brings_up(candidate: Candidate, engine: str) -> bool:
    return candidate.engine == engine and candidate.overlay is None


def _hold(candidate: Candidate, history: _History, rules: Rules, standing: Standing) -> _Hold:
    hold = _Hold()
    if candidate.engine != rules.engine:
        hold.wait(f"automatic trials bring up {rules.engine} only")
    if rules.auto_missing:
        hold.wait(f"automatic trials are off until {', '.join(rules.auto_missing)} {_is_or_are(rules)} set")
    if standing.quarantined:
        hold.wait(QUARANTINE)
    if standing.paused_until and standing.paused_until > standing.now:
        hold.wait(f"paused until {_stamp(standing.paused_until)}", standing.paused_until)
    _hold_after_trials(hold, candidate, history, rules, standing)
    if not standing.check_now:
        _hold_for_time(hold, candidate, rules, standing)
    return hold


def _hold_after_trials(hold: _Hold, candidate: Candidate, history: _History, rules: Rules, standing: Standing) -> None:
    last, bench = history.last_on(candidate), history.bench_on(candidate)
    if last is not None and last.outcome is None:
        hold.wait(f"trial {last.id} is running")
    elif len(bench) > rules.retries:
        hold.wait(f"given up after {len(bench)} trials that failed on our side; `watcher trial run` tries it by hand")
    elif last is not None and (until := _again_at(last, len(bench), rules, standing)) > standing.now:
        hold.wait(f"again at {_stamp(until)} after {_told(last)}", until)


def _again_at(last: Trial, bench: int, rules: Rules, standing: Standing) -> datetime:
    ended = _ended(last)
    match last.outcome:
        case Outcome.BENCH:
            delay: timedelta = FIRST_DELAY * _GROWTH ** max(bench - 1, 0)
            return max(ended + delay, last.retry_at or ended)
        case Outcome.REFUSED:
            return last.retry_at or (ended if standing.check_now else ended + REFUSED_DELAY)
        case Outcome.CANCELLED:
            return ended if standing.check_now else ended + rules.cool_down
        case _:
            return ended


def _hold_for_time(hold: _Hold, candidate: Candidate, rules: Rules, standing: Standing) -> None:
    settled = _first_seen(candidate) + rules.cool_down
    if not candidate.baseline and settled > standing.now:
        hold.wait(f"cool-down until {_stamp(settled)}", settled)
    if rules.displaces and candidate.overlay is None and not hold.is_final:
        told = standing.announced.get((candidate.engine, candidate.fingerprint), standing.now)
        if (noticed := told + LEAST_NOTICE) > standing.now:
            hold.wait(f"the half hour after its announcement, until {_stamp(noticed)}", noticed)
    if not window.fits(rules.hours, rules.zone, standing.now, rules.total):
        opens = window.next_start(rules.hours, rules.zone, max(standing.now, hold.until), rules.total)
        reason = f"the window, which opens for it at {_stamp(opens)}" if opens else TOO_SHORT
        hold.wait(reason, opens)


def _told(trial: Trial) -> str:
    what = {Outcome.BENCH: "trouble on our side", Outcome.REFUSED: "a refusal"}.get(trial.outcome or Outcome.CANCELLED)
    return f"{what or 'a cancelled trial'}{': ' + trial.reason if trial.reason else ''}"


def _first_seen(candidate: Candidate) -> datetime:
    return candidate.first_seen or _LONG_AGO


def _ended(trial: Trial) -> datetime:
    return trial.finished_at or trial.started_at


def _is_or_are(rules: Rules) -> str:
    return "is" if len(rules.auto_missing) == 1 else "are"


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
