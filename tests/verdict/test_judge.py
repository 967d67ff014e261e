"""The rules of DESIGN sections 1 and 8, as a table over what the rungs saw."""

from dataclasses import replace
from pathlib import Path

import pytest

from watcher.config.bugs import BugSettings
from watcher.model.trial import Stage
from watcher.model.verdict import (
    BringUp,
    BugState,
    ByteEvidence,
    FailureClass,
    LogReading,
    Owner,
    ProbeReading,
    Rung,
    StaticReading,
)
from watcher.verdict.classes import CLASSES, next_step, owner_of
from watcher.verdict.judge import bring_up_of, failure_of, judge, may_another_profile_help
from watcher.verdict.rungs import Rungs, StartSeen
from watcher.verdict.scan import scan

BUG = BugSettings(
    id="cuda-allocator",
    title="the assert",
    component="torch",
    failure_class=FailureClass.ALLOCATOR_NVML_ASSERT,
    folder=Path("bugs/cuda-allocator"),
)
ASSERT_LINE = (
    b'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/pytorch/c10/cuda/CUDACachingAllocator.cpp":838, '
    b"please report a bug to PyTorch.\n"
)
CLEAN_ERROR = b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
WARNING = (
    b"[W1120 CUDACachingAllocator.cpp:1402] Warning: nvmlInit_v2 failed; omitting per-process memory info from CUDA "
    b"out-of-memory messages. (function reportProcessMemoryInfo)\n"
)
READY = b"INFO:     Application startup complete.\n"

STATIC = StaticReading(
    "image", "image", BugState.PRESENT, "the assert stands in the library", copies=("/opt/torch.so",)
)
PROBE = ProbeReading(BugState.FIXED, True, "a clean error came", library="/usr/torch.so", text="OutOfMemoryError: …")
WORKING = StartSeen(
    "v1", Stage.ACCEPT, scan([READY]), became_ready=True, completion_ok=True, tool_ok=True, tools_asked=True,
    ended_by_us=True, exit_code=0,
)  # fmt: skip


def read(log: bytes) -> LogReading:
    return scan([log])


def failing(log: bytes = b"", **changes: object) -> StartSeen:
    start = StartSeen("v1", Stage.READY, read(log) if log else None, exit_code=1)
    return replace(start, **changes)  # type: ignore[arg-type]


FAILED_WITH_ASSERT = failing(ASSERT_LINE)
FAILED_FIXED = failing(WARNING + CLEAN_ERROR)
FAILED_CLEAN = failing(CLEAN_ERROR)


@pytest.mark.parametrize(
    ("static", "probe", "trap", "start", "expected", "basis"),
    [
        # bytes alone
        ("present", None, False, None, "present", ["static"]),
        ("fixed", None, False, None, "fixed", ["static"]),
        ("unknown", None, False, None, "unknown", []),
        (None, None, False, None, "unknown", []),
        # the probe counts only where its trap was set
        ("present", "fixed", False, None, "present", ["static"]),
        ("fixed", "present", False, None, "fixed", ["static"]),
        ("unknown", "fixed", False, None, "unknown", []),
        ("unknown", "fixed", True, None, "fixed", ["probe"]),
        ("unknown", "present", True, None, "present", ["probe"]),
        ("fixed", "fixed", True, None, "fixed", ["static", "probe"]),
        # seen on the device beats read from bytes; but fixed against present means two copies
        ("fixed", "present", True, None, "present", ["probe"]),
        ("present", "fixed", True, None, "unknown", ["static", "probe"]),
        # the assert in a bring-up always stands
        ("fixed", "fixed", True, FAILED_WITH_ASSERT, "present", ["bring-up"]),
        (None, None, False, FAILED_WITH_ASSERT, "present", ["bring-up"]),
        # a log says fixed only when the branch was seen to run without asserting
        ("unknown", None, False, FAILED_FIXED, "fixed", ["bring-up"]),
        ("unknown", None, False, FAILED_CLEAN, "unknown", ["bring-up"]),
        ("present", None, False, FAILED_CLEAN, "present", ["static", "bring-up"]),
        ("present", None, False, FAILED_FIXED, "unknown", ["static", "bring-up"]),
        (None, "present", True, FAILED_FIXED, "unknown", ["probe", "bring-up"]),
        # a healthy start proves nothing about the bug
        ("present", None, False, WORKING, "present", ["static", "bring-up", "acceptance"]),
        (None, None, False, WORKING, "unknown", ["bring-up", "acceptance"]),
    ],
)
def test_state_of_the_bug(
    static: str | None, probe: str | None, trap: bool, start: StartSeen | None, expected: str, basis: list[str]
) -> None:
    rungs = Rungs(
        BUG,
        static=replace(STATIC, state=BugState(static)) if static else None,
        probe=replace(PROBE, state=BugState(probe), trap_set=trap) if probe else None,
        starts=(start,) if start else (),
    )
    verdict = judge(rungs)
    assert verdict.bug.value == expected
    assert [rung.value for rung in verdict.basis] == basis


def test_two_copies_are_both_named() -> None:
    reason = judge(Rungs(BUG, static=STATIC, probe=PROBE)).reason
    assert "/opt/torch.so" in reason
    assert "/usr/torch.so" in reason


@pytest.mark.parametrize(
    ("start", "bring_up", "failure_class"),
    [
        (WORKING, "works", None),
        (replace(WORKING, tools_asked=False, tool_ok=None), "works", None),
        (replace(WORKING, tool_ok=False), "fails", "model-config"),
        (replace(WORKING, completion_ok=False), "fails", "other-crash"),
        # exit code 0 after readiness, and not by our hand, is a death
        (replace(WORKING, ended_by_us=False), "fails", "other-crash"),
        (replace(WORKING, died_after_ready=True), "fails", "other-crash"),
        (replace(WORKING, oom_killed=True, exit_code=137), "fails", "genuine-oom"),
        (failing(CLEAN_ERROR), "fails", "genuine-oom"),
        (failing(ASSERT_LINE), "fails", "allocator-nvml-assert"),
        (failing(b"ModuleNotFoundError: No module named 'x'\n"), "fails", "python-deps"),
        (failing(), "fails", "other-crash"),
        (failing(exit_code=137, oom_killed=True), "fails", "genuine-oom"),
        (failing(exit_code=None, cannot_execute="no such file"), "fails", "other-crash"),
        (failing(exit_code=None, deadline_passed=True, ended_by_us=True), "fails", "not-ready"),
        (failing(CLEAN_ERROR, exit_code=None, deadline_passed=True, ended_by_us=True), "fails", "genuine-oom"),
        # a log that says "ready" while health never answered is no readiness
        (failing(READY, exit_code=None, deadline_passed=True, ended_by_us=True), "fails", "not-ready"),
        # ended by us before anything was decided
        (failing(exit_code=143, ended_by_us=True), "untried", None),
        (replace(WORKING, completion_ok=None, tool_ok=None), "untried", None),
    ],
)
def test_one_start(start: StartSeen, bring_up: str, failure_class: str | None) -> None:
    verdict = judge(Rungs(BUG, starts=(start,)))
    assert verdict.bring_up.value == bring_up == bring_up_of(start).value
    assert (verdict.failure_class.value if verdict.failure_class else None) == failure_class
    assert verdict.deciding_start == 0
    assert not verdict.bench


def test_the_engine_complaining_of_our_stop_still_works() -> None:
    log = (
        READY
        + b"ERROR 11-20 08:00:00 [a.py:1] vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.\n"
    )
    assert judge(Rungs(BUG, starts=(replace(WORKING, reading=read(log)),))).bring_up is BringUp.WORKS


@pytest.mark.parametrize(
    ("starts", "deciding", "bring_up", "bug"),
    [
        ((FAILED_CLEAN, WORKING, WORKING), 1, "works", "unknown"),
        ((FAILED_WITH_ASSERT, WORKING), 1, "works", "present"),
        ((failing(), FAILED_CLEAN, FAILED_WITH_ASSERT), 2, "fails", "present"),
        ((failing(), FAILED_CLEAN, failing()), 1, "fails", "unknown"),
        ((failing(), failing()), 0, "fails", "unknown"),
    ],
)
def test_several_starts(starts: tuple[StartSeen, ...], deciding: int, bring_up: str, bug: str) -> None:
    verdict = judge(Rungs(BUG, starts=starts))
    assert (verdict.deciding_start, verdict.bring_up.value, verdict.bug.value) == (deciding, bring_up, bug)


def test_without_a_start_nothing_is_said_of_bring_up() -> None:
    verdict = judge(Rungs(BUG, static=STATIC))
    assert (verdict.bring_up, verdict.failure_class, verdict.deciding_start) == (BringUp.UNTRIED, None, None)


def test_left_out_because_the_bug_is_present_carries_the_class_of_the_bug() -> None:
    verdict = judge(Rungs(BUG, static=STATIC, skipped_because_present=True))
    assert verdict.bring_up is BringUp.UNTRIED
    assert verdict.failure_class is FailureClass.ALLOCATOR_NVML_ASSERT


def test_what_the_bench_owns_is_no_evidence() -> None:
    full = failing(b"failed to register layer: no space left on device\n", writes_to_disk=True)
    verdict = judge(Rungs(BUG, starts=(full,)))
    assert verdict.bench


def test_evidence_has_no_control_characters_and_is_short() -> None:
    long = StaticReading(
        "image", "image", BugState.FIXED, "found", evidence=(ByteEvidence("a.so", "\x1b[31mtext\x07\n" + "x" * 999),)
    )
    verdict = judge(Rungs(BUG, static=long, probe=PROBE, starts=(FAILED_WITH_ASSERT,)))
    assert [row.rung for row in verdict.evidence] == [Rung.STATIC, Rung.PROBE, Rung.BRING_UP]
    assert all(len(row.text) <= 400 and row.text.isprintable() for row in verdict.evidence)
    assert verdict.evidence[2].signature == "allocator-nvml-assert"
    assert verdict.evidence[2].line == 1


def test_reason_is_one_line_that_names_bug_and_engine() -> None:
    reason = judge(Rungs(BUG, static=STATIC, starts=(FAILED_CLEAN,))).reason
    assert "present" in reason
    assert "genuine-oom" in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("log", "helps"),
    [
        (CLEAN_ERROR, True),
        (ASSERT_LINE, True),
        (b"NvMapMemAllocInternalTagged: 1075072515 error 12\n", True),
        (b"vllm serve: error: unrecognized arguments: --swap-spaces\n", True),
        (b"RuntimeError: CUDA error: no kernel image is available for execution on the device\n", False),
        (b"ModuleNotFoundError: No module named 'x'\n", False),
        (b"", False),
    ],
)
def test_another_profile_helps_where_memory_or_a_setting_was_refused(log: bytes, helps: bool) -> None:
    assert may_another_profile_help(failing(log), BUG) is helps


def test_a_start_that_works_needs_no_other_profile() -> None:
    assert not may_another_profile_help(WORKING, BUG)
    assert failure_of(WORKING, BUG) is None


def test_another_bug_is_judged_by_its_own_class() -> None:
    other = BUG.model_copy(update={"id": "no-kernel", "failure_class": FailureClass.ARCH_MISMATCH})
    start = failing(b"RuntimeError: CUDA error: no kernel image is available for execution on the device\n")
    assert judge(Rungs(other, starts=(start,))).bug is BugState.PRESENT
    assert judge(Rungs(other, starts=(FAILED_WITH_ASSERT,))).bug is BugState.UNKNOWN


@pytest.mark.parametrize("failure_class", list(FailureClass))
def test_every_class_has_an_owner_and_a_next_step(failure_class: FailureClass) -> None:
    assert failure_class in CLASSES
    assert isinstance(owner_of(failure_class), Owner)
    assert next_step(failure_class).endswith(".")


def test_a_detail_changes_the_advice() -> None:
    plain, refused = next_step(FailureClass.GENUINE_OOM), next_step(FailureClass.GENUINE_OOM, "refused-at-start")
    assert plain != refused
    assert owner_of(FailureClass.OTHER_CRASH, "settings") is Owner.CONFIGURATION


def test_a_full_disk_is_the_bench_only_where_the_engine_may_write_to_one() -> None:
    full = failing(b"OSError: [Errno 28] No space left on device: '/dev/shm/psm_1'\n")
    in_memory = judge(Rungs(BUG, starts=(full,)))
    assert (in_memory.failure_class, in_memory.bring_up, in_memory.bench) == ("genuine-oom", "fails", False)
    assert may_another_profile_help(full, BUG)
    on_disk = judge(Rungs(BUG, starts=(replace(full, writes_to_disk=True),)))
    assert (on_disk.failure_class, on_disk.bench) == ("network-pull", True)
