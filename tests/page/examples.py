"""A year as the page shows it, made by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from watcher.model.answer import Answer, Waiting
from watcher.model.device import DeviceState
from watcher.model.facts import Event, EventKind, Fact, FactKind, LookError, SourceState
from watcher.model.trial import Acceptance, Candidate, Outcome, Score, ServiceReport, ServiceState, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, Evidence, FailureClass, Rung, StaticReading, StaticRecord
from watcher.page.facts import Excerpt, KeptLog, PageFacts, SourceRow, StageSpan, Totals, TrialDetails

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ASSERT_LINE = (
    'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/pytorch/c10/cuda/CUDACachingAllocator.cpp":1131, '
    "please report a bug to PyTorch."
)


def wheel(version: str, state: BugState, *, index: str = "torch-jp6-cu126", days: float = 10) -> StaticRecord:
    name = f"torch-{version}-cp310-cp310-linux_aarch64.whl"
    why = "the host sends only whole files" if state is BugState.UNKNOWN else "read"
    reading = StaticReading(name, "wheel", state, why, torch=version)
    return StaticRecord(index, "torch", name, version, f"sha256:{name}", reading, NOW - days * DAY)


def image(tag: str, state: BugState, torch: str, days: float = 3) -> StaticRecord:
    name = f"ghcr.io/nvidia-ai-iot/vllm:{tag}"
    reading = StaticReading(name, "image", state, "read", torch=torch)
    return StaticRecord("images", "vllm", name, torch, f"sha256:{tag}", reading, NOW - days * DAY)


def event(
    kind: FactKind,
    name: str,
    days: float,
    change: EventKind = EventKind.NEW,
    published: float | None = None,
    source: str = "vllm-releases",
) -> Event:
    stamp = None if published is None else NOW - published * DAY
    return Event(
        source, change, Fact(kind, name, url="https://example.org/a?b=1&c=2", published_at=stamp), NOW - days * DAY
    )


def candidate(tag: str) -> Candidate:
    return Candidate("vllm", f"ghcr.io/nvidia-ai-iot/vllm:{tag}", "sha256:" + "ab" * 32, f"f-{tag}", version="0.33.0")


def trial(number: int, days: float, bug: BugState, bring_up: BringUp, tag: str = "0.32.0-r36.4-cu129-24.04") -> Trial:
    """Return a trial that took six minutes and reached a verdict."""
    began = NOW - days * DAY
    fails = bring_up is BringUp.FAILS
    return Trial(
        candidate(tag),
        DeviceState("36.4.4", "540.4.0", "boot"),
        "cuda-allocator",
        began,
        id=number,
        finished_at=began + timedelta(minutes=6),
        stage=Stage.DONE,
        outcome=Outcome.VERDICT,
        bug=bug,
        bring_up=bring_up,
        failure_class=FailureClass.ALLOCATOR_NVML_ASSERT if fails else None,
        reason="the engine died on the allocator's NVML assert"
        if fails
        else "ready after 84 s, answered, called a tool",
        starts=(Start("recommended", Stage.READY, bring_up, exit_code=1 if fails else None, log="logs/3-0.gz"),),
        evidence=(
            Evidence(Rung.STATIC, "torch/lib/libc10_cuda.so: the assert that names CUDACachingAllocator.cpp"),
            *([Evidence(Rung.BRING_UP, ASSERT_LINE, "nvml-assert", 123)] if fails else []),
        ),
        basis=(Rung.STATIC, Rung.BRING_UP),
        acceptance=None if fails else Acceptance(True, True, True, Score(30, 32), None, 1.44, None, "minimum"),
        displaced=("container:zoe-ollama",),
        away_seconds=212.4,
    )


PRESENT = Answer(
    "orin-nx",
    "cuda-allocator",
    BugState.PRESENT,
    BringUp.FAILS,
    "The bug is still there: vLLM fails on orin-nx with ghcr.io/nvidia-ai-iot/vllm:0.32.0-r36.4-cu129-24.04 "
    "(allocator-nvml-assert); torch 2.14.0 carries the fix.",
    candidate=candidate("0.32.0-r36.4-cu129-24.04"),
    basis=(Rung.STATIC, Rung.BRING_UP),
    since=NOW - 200 * DAY,
    trial_id=3,
    fixed_in={"torch": "2.14.0", "vllm": "0.33.0"},
    waits_for=(
        Waiting("bug", "an arm64 image for r36 with torch ≥ 2.14.0", NOW - 82 * DAY),
        Waiting("bring_up", "vLLM 0.33.0: no image for r36", NOW - 21 * DAY),
    ),
    next_step="Wait for an arm64 image for r36 with torch ≥ 2.14.0; automatic trials are off until trial.displace and "
    "schedule.window are set in config.toml; `watcher trial run` tries one by hand.",
)
STATICS = (
    *(wheel(f"2.{minor}.0", BugState.PRESENT, days=200 - minor) for minor in range(5, 14)),
    wheel("2.14.0", BugState.FIXED, index="torch-official-cu130", days=82),
    wheel("2.14.1", BugState.FIXED, index="torch-official-cu130", days=53),
    wheel("2.15.0", BugState.UNKNOWN, index="torch-official-cu130", days=25),
    image("0.32.0-r36.4-cu129-24.04", BugState.PRESENT, "2.10.0", days=30),
    image("0.33.0-r39.2-cu132", BugState.FIXED, "2.14.0", days=12),
)
EVENTS = (
    *(event(FactKind.RELEASE, f"v0.{20 + at}.0", 300 - 22 * at, published=301 - 22 * at) for at in range(14)),
    *(event(FactKind.WHEEL, f"torch-2.{10 + at}.0.whl", 290 - 60 * at, source="torch-jp6-cu126") for at in range(5)),
    *(event(FactKind.IMAGE, f"0.{25 + at}.0-r36.4", 200 - 30 * at, source="images") for at in range(7)),
    *(event(FactKind.IMAGE, f"latest-{at}", 61 - at / 10, EventKind.REBUILT, source="images") for at in range(5)),
    event(FactKind.DEB, "nvidia-l4t-core r36.5", 100, source="l4t-r36"),
    event(FactKind.DEB, "nvidia-jetpack r39.2", 150, source="l4t-r39"),
    event(FactKind.THREAD, "pytorch/pytorch#185240", 170, EventKind.EDITED, source="threads"),
    event(FactKind.ITEM, "JetPack 7.2.1 announced", 95, published=96, source="forum"),
)
STATE = SourceState("torch-jp6-cu126", "simple-index", "", NOW - 310 * DAY, NOW, NOW, NOW - 10 * DAY)
BEFORE = tuple(
    ("vllm-releases", Fact(FactKind.RELEASE, f"v0.1{at}.0", f"0.1{at}.0", published_at=NOW - (340 - 6 * at) * DAY))
    for at in range(5)
)
FAILING = replace(
    STATE,
    failures=3,
    told=True,
    last_ok=NOW - DAY,
    error=LookError("SourceUnavailable", "the host answers 503"),
)
SOURCES = (
    SourceRow(
        "torch-jp6-cu126",
        "simple-index",
        ("https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/torch/",),
        42,
        replace(STATE, newest="2.10.0", newest_at=NOW - 10 * DAY),
    ),
    SourceRow(
        "vllm-releases", "github-releases", ("https://github.com/vllm-project/vllm/releases",), 90, state=FAILING
    ),
    SourceRow(
        "l4t-r36",
        "apt",
        ("https://example.org/common", "https://example.org/t234"),
        6,
        state=STATE,
        stale="nothing new since 2026-01-22",
    ),
    SourceRow("threads", "github-threads"),
    SourceRow("device", "device", state=STATE, enabled=False),
)
WITHOUT_VERDICT = replace(
    trial(5, 2, BugState.UNKNOWN, BringUp.UNTRIED),
    starts=(),
    evidence=(),
    displaced=(),
    failure_class=None,
    acceptance=None,
)
TRIALS = (
    replace(WITHOUT_VERDICT, outcome=Outcome.BENCH, reason="the registry answered 503", failed_stage=Stage.PULL),
    replace(
        WITHOUT_VERDICT,
        id=4,
        outcome=Outcome.REFUSED,
        reason="85 °C is too hot",
        failed_stage=Stage.PREFLIGHT,
        retry_at=NOW - 2 * DAY + timedelta(hours=1),
    ),
    trial(3, 30, BugState.PRESENT, BringUp.FAILS),
    trial(2, 120, BugState.PRESENT, BringUp.WORKS, "0.29.0-r36.4"),
    trial(1, 200, BugState.PRESENT, BringUp.FAILS, "0.25.0-r36.4"),
)
LOG_LINES = (
    "Loading safetensors checkpoint shards: 100% Completed | 2/2 [00:31<00:00, 15.52s/it]",
    "Model loading took 2.28 GiB memory and 34.7 seconds",
    "Error: NvMap error 12: failed to allocate 268435456 bytes",
    ASSERT_LINE,
    "Exception raised from getFreeMutex at /pytorch/c10/cuda/CUDACachingAllocator.cpp:1131",
    "EngineCore failed to start.",
    "RuntimeError: Engine core initialization failed. See root cause above.",
)
_LENGTHS = (
    (Stage.PREFLIGHT, 0.3),
    (Stage.PULL, 94.0),
    (Stage.INSPECT, 4.1),
    (Stage.PROBE, 9.6),
    (Stage.DISPLACE, 3.2),
    (Stage.SETTLE, 6.0),
    (Stage.START, 1.1),
    (Stage.READY, 176.0),
    (Stage.TEARDOWN, 2.4),
    (Stage.RESTORE, 23.5),
)
SPANS = tuple(StageSpan(stage, seconds) for stage, seconds in _LENGTHS)
_WORKS = {Stage.READY: 84.0, Stage.ACCEPT: 61.0}
WORKED = tuple(
    span
    for stage, seconds in _LENGTHS
    for span in (
        StageSpan(stage, _WORKS.get(stage, seconds)),
        *([StageSpan(Stage.ACCEPT, _WORKS[Stage.ACCEPT])] if stage is Stage.READY else []),
    )
)
DETAILS = {
    3: TrialDetails(
        SPANS,
        (Excerpt(0, "recommended", tuple(enumerate(LOG_LINES, 120)), frozenset({123})),),
        (KeptLog(0, "logs/trial-3/start-0.log.gz", 41_300),),
    ),
    2: TrialDetails(WORKED, (), (KeptLog(0, "logs/trial-2/start-0.log.gz", 38_100),)),
    5: TrialDetails((StageSpan(Stage.PREFLIGHT, 0.2), StageSpan(Stage.PULL, 12.0))),
    6: TrialDetails(WORKED, (), (KeptLog(0, "logs/trial-6/start-0.log.gz", 52_000),)),
}
TOTALS = Totals(
    {Outcome.VERDICT: 3, Outcome.BENCH: 1, Outcome.REFUSED: 1},
    636.5,
    {"slack:1f2e3d4c": 0, "mailtos:0a1b2c3d": 2},
    NOW,
    1.25,
)
OWED = ServiceReport("container:zoe-ollama", ServiceState.DOWN, "owed since 2026-11-23 11:40 UTC")
YEAR = PageFacts(
    "orin-nx",
    "torch",
    "vllm",
    PRESENT,
    NOW,
    STATICS,
    EVENTS,
    BEFORE,
    SOURCES,
    TRIALS,
    details=DETAILS,
    totals=TOTALS,
)
FIXED = replace(
    YEAR,
    answer=replace(
        PRESENT,
        bug=BugState.FIXED,
        bring_up=BringUp.WORKS,
        headline="vLLM works on orin-nx with ghcr.io/nvidia-ai-iot/vllm:0.33.0-r36.4, and the bug is fixed in it.",
        waits_for=(),
        trial_id=6,
        next_step="Use it: `watcher trial show 6` says what ran, and how.",
    ),
    trials=(trial(6, 1, BugState.FIXED, BringUp.WORKS, "0.33.0-r36.4"), *TRIALS),
)
NOTHING = PageFacts(
    "orin-nx",
    "torch",
    "vllm",
    Answer("orin-nx", "cuda-allocator", BugState.UNKNOWN, BringUp.UNTRIED, "Nothing is known yet of a build of vLLM."),
    NOW,
)
