"""When trials come to another answer: which two, and what moved between them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from watcher.config.engines import EngineSettings
from watcher.model.answer import Flip
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BringUp, BugState, StaticRecord
from watcher.planner.versions import parse_tag

Answers = tuple[BugState, BringUp]
Part = tuple[str, str | None, str | None]


def last_flip(
    deciding: Trial,
    said: Answers,
    trials: Iterable[Trial],
    engine: EngineSettings,
    statics: Iterable[StaticRecord],
) -> Flip | None:
    """Return the two trials between which the answers turned to what is `said` now; None where they never did.

    A trial that leaves a question open contradicts nothing, nor does an answer to what was open before.
    """
    earlier = (one for one in trials if _is_like(one, deciding) and ended(one) < ended(deciding))
    after = deciding
    for one in sorted(earlier, key=ended, reverse=True):
        if _contradicts((one.bug, one.bring_up), said):
            return flip_between(one, after, engine, statics)
        if (one.bug, one.bring_up) == said:
            after = one
    return None


def flip_between(before: Trial, after: Trial, engine: EngineSettings, statics: Iterable[StaticRecord]) -> Flip:
    """Return what moved between two trials of one engine."""
    torch = {one.digest: one.reading.torch for one in statics if one.reading.kind == "image"}
    parts = tuple(_parts(before, after, engine, torch))
    return Flip(
        before=before.id,
        after=after.id,
        moved=tuple(f"{name} {old} → {new}" for name, old, new in parts if old and new and old != new),
        perhaps=tuple(name for name, old, new in parts if not (old and new)),
        is_regression=(before.bring_up, after.bring_up) == (BringUp.WORKS, BringUp.FAILS),
    )


def ended(trial: Trial) -> datetime:
    return trial.finished_at or trial.started_at


def _is_like(one: Trial, deciding: Trial) -> bool:
    is_verdict = one.outcome is Outcome.VERDICT and one.candidate.overlay is None
    return is_verdict and (one.bug_id, one.candidate.engine) == (deciding.bug_id, deciding.candidate.engine)


def _contradicts(before: Answers, now: Answers) -> bool:
    bug = before[0] is not BugState.UNKNOWN and before[0] is not now[0]
    return bug or (BringUp.UNTRIED not in (before[1], now[1]) and before[1] is not now[1])


def _parts(before: Trial, after: Trial, engine: EngineSettings, torch: Mapping[str, str | None]) -> Iterator[Part]:
    """Yield each of the four with what it was and is; what the same image holds cannot have moved."""
    yield "L4T", before.device_state.l4t, after.device_state.l4t
    old, new = before.candidate, after.candidate
    if old.fingerprint == new.fingerprint:
        return
    yield "torch", _torch(before, torch), _torch(after, torch)
    yield engine.title, _version(old), _version(new)
    if old.image != new.image:
        yield "image", old.image, new.image
    else:
        yield f"image {new.image}", _short(old), _short(new)


def _torch(trial: Trial, read: Mapping[str, str | None]) -> str | None:
    """Return the torch that ran in the probe, else the one that was read from the image."""
    probed = trial.probe.torch if trial.probe else None
    return probed or read.get(trial.candidate.digest or "")


def _version(candidate: Candidate) -> str | None:
    tag = candidate.image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return candidate.version or parse_tag(tag).version


def _short(candidate: Candidate) -> str:
    return (candidate.digest or candidate.fingerprint)[:19]
