"""What the messages of the tests speak of."""

from dataclasses import replace
from datetime import UTC, datetime

from watcher.model.answer import Answer
from watcher.model.device import DeviceState
from watcher.model.facts import Event, EventKind, Fact, FactKind
from watcher.model.trial import Acceptance, Candidate, Outcome, Score, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, Evidence, FailureClass, Rung

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
CANDIDATE = Candidate("vllm", "ghcr.io/example/vllm:0.33.0-r36.4", "sha256:" + "ab" * 32, "f1", id=4)
FAILED = Trial(
    CANDIDATE,
    DeviceState("36.4.4", "540.4.0", "boot"),
    "cuda-allocator",
    NOON,
    id=3,
    stage=Stage.DONE,
    outcome=Outcome.VERDICT,
    bug=BugState.PRESENT,
    bring_up=BringUp.FAILS,
    failure_class=FailureClass.ALLOCATOR_NVML_ASSERT,
    reason="the engine died on the allocator's NVML assert",
    starts=(Start("recommended", Stage.READY, BringUp.FAILS, exit_code=1, log="logs/3-0.gz"),),
    evidence=(
        Evidence(Rung.STATIC, "libc10_cuda.so holds the assert"),
        Evidence(Rung.BRING_UP, "NVML_SUCCESS == r INTERNAL ASSERT FAILED", "nvml-assert", 123),
    ),
    displaced=("container:zoe-ollama",),
    away_seconds=212.4,
)
WORKED = replace(
    FAILED,
    id=5,
    bug=BugState.FIXED,
    bring_up=BringUp.WORKS,
    failure_class=None,
    reason="ready after 84 s, answered, called a tool",
    evidence=(Evidence(Rung.PROBE, "OutOfMemoryError: CUDA out of memory"),),
    acceptance=Acceptance(True, True, True, Score(30, 32), None, 1.44, None, "minimum"),
)
ANSWER = Answer(
    "orin-nx",
    "cuda-allocator",
    BugState.PRESENT,
    BringUp.FAILS,
    "The bug is still there: vllm fails on orin-nx",
    next_step="wait for an arm64 image for r36 with torch ≥ 2.14",
)


def event(name: str = "v0.33.0", kind: EventKind = EventKind.NEW, url: str = "http://127.0.0.1/v0.33.0") -> Event:
    return Event("vllm-releases", kind, Fact(FactKind.RELEASE, name, url=url), NOON)
