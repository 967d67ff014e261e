"""From the hits of a log to the finding that decides."""

from collections.abc import Sequence
from dataclasses import dataclass

from watcher.model.verdict import BugState, FailureClass, Finding, LogReading
from watcher.verdict.signatures import Role, Signature

_BUG = "allocator-nvml-assert"
_WARNING = "nvml-query-warning"
_CLEAN_ERROR = "torch-out-of-memory"


@dataclass(frozen=True, slots=True)
class Hit:
    """A signature that matched a line (from 1), and how the line stood in the text."""

    signature: Signature
    line: int
    text: str
    fenced: bool = False
    logged: bool = False
    alone: bool = False
    indented: bool = False

    @property
    def role(self) -> Role:
        return self.signature.role


def decide(hits: Sequence[Hit], lines: int, cut: bool) -> LogReading:
    """Return the reading of a log whose hits are in order of line.

    The heaviest hit decides, the earliest among equals. Once the engine is up, what came before explains nothing any
    more, and what comes after counts only when it ended the service. The bug's own assert always decides.
    """
    deciding = _deciding(hits)
    failure_class = deciding.signature.failure_class if deciding else FailureClass.NO_EVIDENCE
    without_cause = deciding is not None and deciding.role is Role.DEATH and deciding.signature.weight == 20
    return LogReading(
        failure_class=failure_class,
        bug=_bug_state(hits),
        findings=tuple(_finding(hit, hit is deciding) for hit in hits if _is_told(hit, deciding)),
        truncated=cut or without_cause,
        lines=lines,
    )


def _deciding(hits: Sequence[Hit]) -> Hit | None:
    if bug := next((hit for hit in hits if hit.signature.id == _BUG), None):
        return bug
    ready = _ready(hits)
    if ready is None:
        return _heaviest([hit for hit in hits if hit.role in (Role.CAUSE, Role.DEATH)]) or next(
            (hit for hit in hits if hit.role is Role.LISTENING), None
        )
    return _heaviest(_ended_by(hits, ready)) or ready


def _ready(hits: Sequence[Hit]) -> Hit | None:
    """Return the last line that says "ready", else the first answer to a request."""
    told = [hit for hit in hits if hit.role is Role.READY]
    return told[-1] if told else next((hit for hit in hits if hit.role is Role.ALIVE), None)


def _ended_by(hits: Sequence[Hit], ready: Hit) -> list[Hit]:
    """Return what ended a service that was up; empty when it went on, or was seen to come up and asked to end."""
    stops = [hit.line for hit in hits if hit.role is Role.STOP and hit.line > ready.line and ready.role is Role.READY]
    after = [hit for hit in hits if ready.line < hit.line < min(stops, default=hit.line + 1)]
    deaths = [hit for hit in after if hit.role is Role.DEATH and hit.signature.after_ready]
    causes = [hit for hit in after if hit.role is Role.CAUSE and (deaths or hit.signature.after_ready)]
    answered = max((hit.line for hit in after if hit.role is Role.ALIVE), default=0)
    if not deaths and causes and answered > causes[-1].line:
        return []
    return causes + deaths


def _heaviest(hits: Sequence[Hit]) -> Hit | None:
    return max(hits, key=lambda hit: (hit.signature.weight, -hit.line), default=None)


def _bug_state(hits: Sequence[Hit]) -> BugState:
    """Return present for the assert; fixed where the warning which replaced it is followed by the clean error."""
    lines = {name: [hit.line for hit in hits if hit.signature.id == name] for name in (_BUG, _WARNING, _CLEAN_ERROR)}
    if lines[_BUG]:
        return BugState.PRESENT
    if lines[_WARNING] and lines[_CLEAN_ERROR] and max(lines[_CLEAN_ERROR]) >= min(lines[_WARNING]):
        return BugState.FIXED
    return BugState.UNKNOWN


def _is_told(hit: Hit, deciding: Hit | None) -> bool:
    """Leave out what only tells that the engine lived, unless it decides."""
    return hit is deciding or hit.role not in (Role.ALIVE, Role.LISTENING, Role.STOP)


def _finding(hit: Hit, decides: bool) -> Finding:
    signature = hit.signature
    return Finding(signature.id, signature.failure_class, hit.line, hit.text, decides, signature.detail)
