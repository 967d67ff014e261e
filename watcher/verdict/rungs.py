"""What the four rungs saw of one candidate, as the judge takes it."""

from dataclasses import dataclass

from watcher.config.bugs import BugSettings
from watcher.model.trial import Stage
from watcher.model.verdict import EarlierStarts, FailureClass, Finding, LogReading, ProbeReading, StaticReading


@dataclass(frozen=True, slots=True)
class StartSeen:
    """One start of the engine.

    Attributes:
        reading: what its log says; None when there was none.
        became_ready: health answered.
        completion_ok, stream_ok, tool_ok: None where it was not asked.
        tools_asked: the profile declares tools, so a tool call belongs to "works".
        shortfall: the engine's own word that it does not run on the GPU, or not wholly; it works all the same.
        exit_code: None while it ran. It never decides by itself: vLLM exits 0 when its engine dies after readiness.
        oom_killed: Docker's `OOMKilled`, true for the container's own limit only.
        ended_by_us: we stopped it; how it ended says nothing.
        died_after_ready: it was ready and then stopped answering or ended, and not by our hand.
        deadline_passed: it was given up because a deadline passed.
        cannot_execute: why its command could not be executed.
        writes_to_disk: it may write to a disk of the device; otherwise all it may fill is memory.
        stage: how far it came.
    """

    profile: str
    stage: Stage
    reading: LogReading | None = None
    became_ready: bool = False
    completion_ok: bool | None = None
    stream_ok: bool | None = None
    tool_ok: bool | None = None
    tools_asked: bool = False
    shortfall: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    ended_by_us: bool = False
    died_after_ready: bool = False
    deadline_passed: bool = False
    cannot_execute: str | None = None
    writes_to_disk: bool = False

    @property
    def died(self) -> bool:
        """Return whether it ended by itself."""
        return self.died_after_ready or self.oom_killed or (self.exit_code is not None and not self.ended_by_us)

    @property
    def works(self) -> bool:
        """Return whether it was ready, answered, called a tool where asked, and lived until we stopped it."""
        answered = self.completion_ok is True and (not self.tools_asked or self.tool_ok is True)
        return self.became_ready and answered and not self.died

    @property
    def finding(self) -> Finding | None:
        """Return what its log says went wrong, if anything."""
        found = self.reading.deciding if self.reading else None
        return None if found is None or found.failure_class is FailureClass.HEALTHY else found


@dataclass(frozen=True, slots=True)
class Rungs:
    """All that is known of one candidate on one device state.

    Attributes:
        skipped_because_present: no engine was started, because an earlier rung had shown the bug.
        earlier: what starts in earlier trials on this device showed, per profile.
        content: fingerprint of the candidate.
    """

    bug: BugSettings
    static: StaticReading | None = None
    probe: ProbeReading | None = None
    starts: tuple[StartSeen, ...] = ()
    skipped_because_present: bool = False
    earlier: tuple[EarlierStarts, ...] = ()
    content: str = ""
