"""The two answers and what they stand on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BugState(StrEnum):
    PRESENT = "present"
    FIXED = "fixed"
    UNKNOWN = "unknown"


class BringUp(StrEnum):
    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


class Rung(StrEnum):
    STATIC = "static"
    PROBE = "probe"
    BRING_UP = "bring-up"
    ACCEPTANCE = "acceptance"


class Owner(StrEnum):
    """Who must act on a failure."""

    UPSTREAM = "upstream"
    CONFIGURATION = "configuration"
    DEVICE = "device"
    BENCH = "bench"
    NOBODY = "nobody"


class FailureClass(StrEnum):
    ALLOCATOR_NVML_ASSERT = "allocator-nvml-assert"
    ALLOCATOR_OTHER_ASSERT = "allocator-other-assert"
    NVMAP_ALLOC_FAILURE = "nvmap-alloc-failure"
    GENUINE_OOM = "genuine-oom"
    ARCH_MISMATCH = "arch-mismatch"
    DRIVER_RUNTIME = "driver-runtime"
    PYTHON_DEPS = "python-deps"
    MODEL_CONFIG = "model-config"
    NETWORK_PULL = "network-pull"
    HEALTHY = "healthy"
    OTHER_CRASH = "other-crash"
    NO_EVIDENCE = "no-evidence"
    NOT_READY = "not-ready"


@dataclass(frozen=True, slots=True)
class Finding:
    """A signature found in a log; `line` counts from 1."""

    signature: str
    failure_class: FailureClass
    line: int
    text: str
    decides: bool = False
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class LogReading:
    """What a whole log says: the findings in order of line, and the class of the one that decides.

    `bug` is what the log says of the bug: present (the assert), fixed (the branch ran without asserting), else unknown.
    """

    failure_class: FailureClass
    bug: BugState
    findings: tuple[Finding, ...] = ()
    truncated: bool = False
    lines: int = 0

    @property
    def deciding(self) -> Finding | None:
        return next((finding for finding in self.findings if finding.decides), None)


@dataclass(frozen=True, slots=True)
class ByteEvidence:
    """A text found in a file of an artefact."""

    member: str
    text: str


@dataclass(frozen=True, slots=True)
class StaticReading:
    """What the bytes of an artefact say.

    Attributes:
        kind: `wheel` or `image`.
        torch: version as the build calls itself, None when there is no torch.
        bytes_read: over the network for a URL, from the file or engine otherwise.
        copies: paths of the libraries that were read (two copies of torch are both reported).
        pin: of a dependent's wheel: what it asks of the component, as in `==2.14.0`; its state follows from that.
    """

    target: str
    kind: str
    state: BugState
    reason: str
    torch: str | None = None
    evidence: tuple[ByteEvidence, ...] = ()
    bytes_read: int = 0
    copies: tuple[str, ...] = ()
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class ControlReading:
    """What the control, an image known to have the bug, showed under the probe in the candidate's place.

    Attributes:
        shows: whether the fault showed itself; None where it was not run, or the probe could not tell.
    """

    image: str
    shows: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """What the probe printed, as far as it could be read.

    Attributes:
        trap_set: NVML's process query was refused, so the faulty branch can show itself.
        state: present, fixed, or unknown when the trap was not set or the text was unclear.
        library: path of the `libc10_cuda.so` that was loaded.
        saw: the probe's own word for what showed: `fault`, `clean`, `other`, `nothing`; "" where it printed no result.
        control: what the control showed beside it, where one was asked.
    """

    state: BugState
    trap_set: bool
    reason: str
    torch: str | None = None
    library: str | None = None
    text: str = ""
    saw: str = ""
    control: ControlReading | None = None


@dataclass(frozen=True, slots=True)
class EarlierStarts:
    """What earlier starts with one profile showed of the bug's failure, on this device and with this setup.

    Attributes:
        failures: how many ended in the bug's own failure class; `clean` how many worked.
        shown_by: fingerprints of the contents that showed it on the present device state.
    """

    profile: str
    failures: int
    clean: int
    shown_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of proof. `signature` and `line` are None for rungs that have none."""

    rung: Rung
    text: str
    signature: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The two answers of one trial and why.

    `failure_class` is None when nothing failed; `bench` is True when our side failed, and the answers then say nothing.
    """

    bug: BugState
    bring_up: BringUp
    failure_class: FailureClass | None
    reason: str
    evidence: tuple[Evidence, ...] = ()
    basis: tuple[Rung, ...] = ()
    deciding_start: int | None = None
    bench: bool = False


@dataclass(frozen=True, slots=True)
class StaticRecord:
    """A static reading as kept in the ledger "which build carries the fix".

    Attributes:
        source: the source whose fact was read; "" for an image read in a trial.
        component: `torch` for a wheel of it, `vllm` for a wheel that pins it; the engine's id for an image.
        name: wheel file name or image reference.
        version: public version of the component; of an image: of the torch inside.
        digest: of the wheel or the image, the key of the record.
    """

    source: str
    component: str
    name: str
    version: str | None
    digest: str
    reading: StaticReading
    at: datetime
