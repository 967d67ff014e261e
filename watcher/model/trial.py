"""A trial: one candidate on one device state, and what it left on record."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from watcher.model.device import DeviceState
from watcher.model.verdict import BringUp, BugState, Evidence, FailureClass, ProbeReading, Rung

_Z = 1.959964
"""Two-sided 95 % of the normal distribution."""


class Stage(StrEnum):
    PREFLIGHT = "preflight"
    PULL = "pull"
    INSPECT = "inspect"
    PROBE = "probe"
    DISPLACE = "displace"
    SETTLE = "settle"
    START = "start"
    READY = "ready"
    ACCEPT = "accept"
    SOAK = "soak"
    TEARDOWN = "teardown"
    RESTORE = "restore"
    DONE = "done"


class Outcome(StrEnum):
    VERDICT = "verdict"
    BENCH = "bench"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Overlay:
    """A wheel that is laid over an image for the probe.

    Attributes:
        name: file name of the wheel.
        version: public and local version as written.
        digest: `sha256:…` of the file.
        source: the index that shows it.
    """

    component: str
    name: str
    version: str
    digest: str
    url: str
    source: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What could be tried: an engine in an image at the digest for the device's architecture.

    Attributes:
        image: reference with tag, as a person would pull it.
        digest: `sha256:…` of the device's architecture; the image is run by it.
        overlay: what is laid over the image; such a candidate is probed, and never brought up.
        fingerprint: over content (digest, overlays), never over names.
        compatible: with the device as it is now; `reasons` say why not, in words for a person.
        due: would be tried automatically now; `waiting_for` says what holds it back, or would if nobody had asked.
    """

    engine: str
    image: str
    digest: str | None
    fingerprint: str
    source: str = ""
    compatible: bool = False
    reasons: tuple[str, ...] = ()
    due: bool = False
    waiting_for: str | None = None
    version: str | None = None
    published_at: datetime | None = None
    first_seen: datetime | None = None
    baseline: bool = False
    skipped: bool = False
    id: int = 0
    overlay: Overlay | None = None

    @property
    def title(self) -> str:
        """Return how a person calls it: the image, and what is laid over it."""
        return f"{self.overlay.name} over {self.image}" if self.overlay else self.image


class ServiceState(StrEnum):
    RUNNING = "running"
    HEALTHY = "healthy"
    DOWN = "down"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """How a displaced service stands; `service` as in the configuration (`container:zoe-ollama`).

    `is_starting` says of one that is down that its start is under way: it is waited for, not started once more;
    `makes_room` that a person keeps an engine running in its place, so that nothing is wrong with it.
    """

    service: str
    state: ServiceState
    message: str = ""
    is_starting: bool = False
    makes_room: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the engine with one profile; `log` is relative to `data_dir`."""

    profile: str
    stage: Stage
    bring_up: BringUp
    failure_class: FailureClass | None = None
    exit_code: int | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """So many of so many, with the share and its 95 % interval after Wilson."""

    passed: int
    total: int

    @property
    def value(self) -> float:
        return self.passed / self.total if self.total else 0.0

    @property
    def low(self) -> float:
        return max(0.0, self._middle - self._reach) if self.passed else 0.0

    @property
    def high(self) -> float:
        return min(1.0, self._middle + self._reach) if self.passed < self.total else 1.0

    @property
    def text(self) -> str:
        """Return the figures for a person: `30 of 32 (95 % interval 80–98 %)`."""
        return f"{self.passed} of {self.total} (95 % interval {100 * self.low:.0f}–{100 * self.high:.0f} %)"

    @property
    def _middle(self) -> float:
        return (self.passed + _Z**2 / 2) / (self.total + _Z**2)

    @property
    def _reach(self) -> float:
        failed = self.total - self.passed
        spread = self.passed * failed / self.total if self.total else 0.0
        return _Z * math.sqrt(spread + _Z**2 / 4) / (self.total + _Z**2)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was measured of a working engine; None where it was not measured.

    Attributes:
        tool_accuracy: of the requests that want tool calls, how many were answered with the right ones.
        p95_seconds: 95 % of the answers came within so long (nearest rank), asked one after another.
        answers: how many answers `p95_seconds` is taken from.
        metrics: how many kinds of metrics the engine shows, by Prometheus' route or in its answers.
        stable_seconds: how long it was watched without a restart, since it was ready or since the last one.
        restarts: how often it, or a program of it, was seen to have started over meanwhile.
        memory_per_hour: bytes by which its memory grew an hour, in the second half of that time.
        memory_lasts_seconds: after so long that growth would use up what the device has left; None where it is no
            growth, or would take a day.
        multi_model: the engine can hold several models; like all that follows, asked only for the level `stretch`.
        models_loaded: how many of two models that both answered were loaded at once.
        noticed_seconds: after so long its death, by our hand, was noticed.
        ready_again_seconds: after so long it was started again, ready, and answered as before.
    """

    completion: bool = False
    streams: bool | None = None
    tool_call: bool | None = None
    phrases: Score | None = None
    tool_accuracy: Score | None = None
    p95_seconds: float | None = None
    stable_seconds: int | None = None
    level: str = "none"
    answers: int | None = None
    metrics: int | None = None
    restarts: int | None = None
    memory_per_hour: int | None = None
    memory_lasts_seconds: int | None = None
    multi_model: bool | None = None
    models_loaded: int | None = None
    noticed_seconds: float | None = None
    ready_again_seconds: float | None = None

    @property
    def further_texts(self) -> tuple[str, ...]:
        """Return for a person what speaks against its being stable, and what `stretch` alone asks for."""
        told = []
        if self.restarts:
            told.append(f"started over {self.restarts} times while it was watched")
        if self.memory_lasts_seconds is not None:
            told.append(f"its memory grows and would be used up in {self.memory_lasts_seconds / 3600:.1f} h")
        if self.models_loaded is not None:
            told.append(f"{self.models_loaded} of 2 models loaded at once")
        if self.noticed_seconds is not None:
            back = self.ready_again_seconds
            then = "not ready again" if back is None else f"ready again after {back:.1f} s"
            told.append(f"its death noticed after {self.noticed_seconds:.1f} s, {then}")
        return tuple(told)

    @property
    def latency_text(self) -> str | None:
        """Return p95 for a person, with what it was taken from; None where it was not measured."""
        if self.p95_seconds is None:
            return None
        taken = f" (of {self.answers}, one at a time)" if self.answers else ""
        return f"95 % of the answers within {self.p95_seconds:.1f} s{taken}"


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as it stands or stood. `id` is 0 until stored."""

    candidate: Candidate
    device_state: DeviceState
    bug_id: str
    started_at: datetime
    id: int = 0
    finished_at: datetime | None = None
    stage: Stage = Stage.PREFLIGHT
    outcome: Outcome | None = None
    retry_at: datetime | None = None
    failed_stage: Stage | None = None
    bug: BugState = BugState.UNKNOWN
    bring_up: BringUp = BringUp.UNTRIED
    failure_class: FailureClass | None = None
    reason: str = ""
    starts: tuple[Start, ...] = ()
    deciding_start: int | None = None
    evidence: tuple[Evidence, ...] = ()
    basis: tuple[Rung, ...] = ()
    acceptance: Acceptance | None = None
    displaced: tuple[str, ...] = ()
    away_seconds: float | None = None
    owed: tuple[ServiceReport, ...] = ()
    by_hand: bool = False
    setup: str = ""
    """Hash of model, profiles and mounts: a change makes the same content due again."""
    signatures: str | None = None
    """Version of the signatures by which its logs were judged last; None for trials from before it was kept."""
    probe: ProbeReading | None = None
