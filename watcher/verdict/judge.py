"""From what the rungs saw to the two answers of DESIGN section 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from watcher.config.bugs import BugSettings
from watcher.model.verdict import BringUp, BugState, Evidence, FailureClass, Finding, Rung, Verdict
from watcher.verdict.classes import depends_on_profile, is_bench
from watcher.verdict.control import control_of, control_text, proves_nothing_clean
from watcher.verdict.lines import shown
from watcher.verdict.repeated import is_fixed_by, not_seen_in
from watcher.verdict.rungs import Rungs, StartSeen
from watcher.verdict.statistics import k_of_n

__all__ = ["Rungs", "StartSeen", "bring_up_of", "failure_of", "judge", "may_another_profile_help"]

_VAGUE = (FailureClass.OTHER_CRASH, FailureClass.NOT_READY)


@dataclass(frozen=True, slots=True)
class _Bug:
    """The answer to question 1, why, and the rungs which it stands on."""

    state: BugState
    reason: str
    basis: tuple[Rung, ...] = ()


def judge(rungs: Rungs) -> Verdict:
    """Return the verdict on one candidate.

    Question 1 comes from the bytes, the probe where its trap was set, and the engine's log; question 2 from the first
    start that works, else from the one which tells most. Neither answer is drawn from the other.
    """
    bug = _bug(rungs)
    index = _deciding_index(rungs)
    start = None if index is None else rungs.starts[index]
    bring_up = BringUp.UNTRIED if start is None else bring_up_of(start)
    failure_class = _failure_class(rungs, start)
    return Verdict(
        bug=bug.state,
        bring_up=bring_up,
        failure_class=failure_class,
        reason=shown(f"{bug.reason}; {_bring_up_reason(rungs, start, failure_class)}."),
        evidence=_evidence(rungs, index),
        basis=_basis(bug, start, bring_up),
        deciding_start=index,
        bench=failure_class is not None and is_bench(failure_class),
    )


def bring_up_of(start: StartSeen) -> BringUp:
    """Return what one start says; `untried` for one that we ended before it could say anything."""
    if start.works:
        return BringUp.WORKS
    return BringUp.UNTRIED if _was_cut_short(start) else BringUp.FAILS


def failure_of(start: StartSeen, bug: BugSettings) -> FailureClass | None:
    """Return why a start failed; None for one that works or says nothing."""
    if bring_up_of(start) is not BringUp.FAILS:
        return None
    if _shows(start, bug) is BugState.PRESENT:
        return bug.failure_class
    if start.oom_killed:
        return FailureClass.GENUINE_OOM
    if start.finding is not None:
        return FailureClass.GENUINE_OOM if _filled_its_memory(start) else start.finding.failure_class
    if start.cannot_execute is not None or start.died:
        return FailureClass.OTHER_CRASH
    if not start.became_ready:
        return FailureClass.NOT_READY if start.deadline_passed else FailureClass.OTHER_CRASH
    return FailureClass.MODEL_CONFIG if start.completion_ok else FailureClass.OTHER_CRASH


def may_another_profile_help(start: StartSeen, bug: BugSettings) -> bool:
    """Return whether other arguments could change how a start ended: a memory shortage, yes; a missing kernel, no."""
    failure_class = failure_of(start, bug)
    if failure_class is None:
        return False
    return depends_on_profile(failure_class, start.finding.detail if start.finding else None)


def _filled_its_memory(start: StartSeen) -> bool:
    """Return whether a "disk" that is full is a tmpfs of the container's own, or its shared memory."""
    return start.finding is not None and start.finding.signature == "disk-full" and not start.writes_to_disk


def _was_cut_short(start: StartSeen) -> bool:
    """Return whether we ended a start (a signal, the end of the trial) before health or a deadline decided."""
    undecided = not start.became_ready or start.completion_ok is None or (start.tools_asked and start.tool_ok is None)
    told = start.died or start.deadline_passed or start.cannot_execute or start.completion_ok is False
    blamed = start.finding is not None and not start.became_ready
    return start.ended_by_us and undecided and not told and not blamed


def _shows(start: StartSeen, bug: BugSettings) -> BugState:
    """Return what the log of a start says of this bug."""
    if start.reading is None:
        return BugState.UNKNOWN
    if bug.failure_class is FailureClass.ALLOCATOR_NVML_ASSERT:
        return start.reading.bug
    return BugState.PRESENT if start.reading.failure_class is bug.failure_class else BugState.UNKNOWN


def _bug(rungs: Rungs) -> _Bug:
    static = rungs.static.state if rungs.static else BugState.UNKNOWN
    probe = rungs.probe.state if rungs.probe and rungs.probe.trap_set else BugState.UNKNOWN
    logs = {_shows(start, rungs.bug) for start in rungs.starts}
    if BugState.PRESENT in logs:
        return _Bug(BugState.PRESENT, "the bug is present: the engine's own log shows it", (Rung.BRING_UP,))
    if proves_nothing_clean(rungs):
        probe, logs = (BugState.UNKNOWN if _is_fixed(probe) else probe), logs - {BugState.FIXED}
    said = {Rung.STATIC: static, Rung.PROBE: probe, Rung.BRING_UP: max(logs, default=BugState.UNKNOWN, key=_is_fixed)}
    seen = {rung: state for rung, state in said.items() if state is not BugState.UNKNOWN}
    on_device = {state for rung, state in seen.items() if rung is not Rung.STATIC}
    basis = tuple(seen)
    if len(on_device) == 2 or (on_device == {BugState.FIXED} and static is BugState.PRESENT):
        return _Bug(BugState.UNKNOWN, _two_copies(rungs), basis)
    if on_device:
        state = on_device.pop()
        return _Bug(state, f"the bug is {state.value}: seen on the device", _agreeing(seen, state))
    if static is not BugState.UNKNOWN:
        return _Bug(static, f"the bug is {static.value} by the bytes of the build", basis)
    return _by_repeats(rungs)


def _is_fixed(state: BugState) -> bool:
    return state is BugState.FIXED


def _agreeing(seen: Mapping[Rung, BugState], state: BugState) -> tuple[Rung, ...]:
    return tuple(rung for rung, said in seen.items() if said is state)


def _two_copies(rungs: Rungs) -> str:
    """Name both copies of the library: the rungs cannot have seen the same one."""
    read = ", ".join(rungs.static.copies) if rungs.static and rungs.static.copies else "a file of the image"
    loaded = rungs.probe.library if rungs.probe and rungs.probe.library else "the library that was loaded"
    return f"whether the bug is there is unknown: the rungs saw two different copies ({read}; {loaded})"


def _by_repeats(rungs: Rungs) -> _Bug:
    """Return what is left to say where no rung saw anything: clean starts against what earlier ones showed."""
    seen = not_seen_in(rungs)
    if seen is not None and is_fixed_by(rungs, seen) and not proves_nothing_clean(rungs):
        return _Bug(BugState.FIXED, f"the bug is taken for fixed by clean starts alone: {seen}", (Rung.BRING_UP,))
    reasons = [said.reason for said in (rungs.static, rungs.probe) if said and said.reason]
    if (control := control_of(rungs)) is not None and control.shows is False:
        reasons.append(control_text(control))
    told = "whether the bug is there is unknown" + (f" ({'; '.join(reasons)})" if reasons else "")
    return _Bug(BugState.UNKNOWN, told if seen is None else f"{told}: {seen}")


def _deciding_index(rungs: Rungs) -> int | None:
    """Return the first start that works, else the one which tells most, the earliest among equals."""
    if not rungs.starts:
        return None
    ranked = [(_tells(start, rungs.bug), -index) for index, start in enumerate(rungs.starts)]
    return -max(ranked)[1]


def _tells(start: StartSeen, bug: BugSettings) -> int:
    failure_class = failure_of(start, bug)
    if start.works:
        return 5
    if failure_class is None:
        return 0
    if failure_class is bug.failure_class:
        return 4
    if is_bench(failure_class):
        return 1
    return 2 if failure_class in _VAGUE else 3


def _failure_class(rungs: Rungs, start: StartSeen | None) -> FailureClass | None:
    if start is None:
        return rungs.bug.failure_class if rungs.skipped_because_present else None
    return failure_of(start, rungs.bug)


def _bring_up_reason(rungs: Rungs, start: StartSeen | None, failure_class: FailureClass | None) -> str:
    if start is None:
        return "the engine was not started" + (" because of it" if rungs.skipped_because_present else "")
    with_profile = f"with profile {start.profile}{_counted(rungs, start)}"
    if start.works:
        return f"the engine works {with_profile}" + (f", but {start.shortfall}" if start.shortfall else "")
    if failure_class is None:
        return "the start was ended before it could tell"
    return f"the engine fails {with_profile} at {start.stage.value} ({failure_class.value}): {_why(start)}"


def _counted(rungs: Rungs, start: StartSeen) -> str:
    """Return how many of several starts with this profile ended alike, and how the others failed."""
    alike = bring_up_of(start)
    told = [one for one in rungs.starts if one.profile == start.profile and bring_up_of(one) is not BringUp.UNTRIED]
    if len(told) < 2:
        return ""
    failed = dict.fromkeys(one.value for one in (failure_of(each, rungs.bug) for each in told) if one)
    others = f"; the others fail ({', '.join(failed)})" if alike is BringUp.WORKS and failed else ""
    return f" in {k_of_n(sum(bring_up_of(one) is alike for one in told), len(told))}{others}"


def _why(start: StartSeen) -> str:
    if start.finding is not None:
        return start.finding.text.rstrip(".")
    if start.oom_killed:
        return "the kernel killed it at the container's memory limit"
    if start.cannot_execute is not None:
        return start.cannot_execute.rstrip(".")
    if start.died:
        code = "" if start.exit_code is None else f" with exit code {start.exit_code}"
        return f"it ended by itself{code}" + (" after it was ready" if start.became_ready else "")
    if not start.became_ready:
        return "it was not ready in time" if start.deadline_passed else "it did not get ready"
    return "no tool call came" if start.completion_ok else "it answered no request"


def _evidence(rungs: Rungs, index: int | None) -> tuple[Evidence, ...]:
    rows: list[Evidence] = []
    if rungs.static:
        rows += [Evidence(Rung.STATIC, shown(f"{row.member}: {row.text}")) for row in rungs.static.evidence]
        rows += [Evidence(Rung.STATIC, shown(rungs.static.reason))] if not rungs.static.evidence else []
    if rungs.probe:
        rows.append(Evidence(Rung.PROBE, shown(rungs.probe.text or rungs.probe.reason)))
    if (control := control_of(rungs)) is not None:
        rows.append(Evidence(Rung.PROBE, shown(control_text(control))))
    for number, start in enumerate(rungs.starts):
        rows += _start_evidence(start, rungs.bug, is_deciding=number == index)
    return tuple(rows)


def _start_evidence(start: StartSeen, bug: BugSettings, is_deciding: bool) -> list[Evidence]:
    """Return the line that decided a start, and those which speak of the bug."""
    findings = start.reading.findings if start.reading else ()
    told = [row for row in findings if row.decides or row.failure_class is bug.failure_class or _is_of_the_fix(row)]
    rows = [Evidence(Rung.BRING_UP, shown(row.text), row.signature, row.line) for row in told]
    if is_deciding and start.became_ready and (start.completion_ok is False or start.tool_ok is False):
        rows.append(Evidence(Rung.ACCEPTANCE, _why(start)))
    elif is_deciding and not start.works and not told:
        rows.append(Evidence(Rung.BRING_UP, shown(_why(start))))
    return rows


def _is_of_the_fix(row: Finding) -> bool:
    return row.signature == "nvml-query-warning"


def _basis(bug: _Bug, start: StartSeen | None, bring_up: BringUp) -> tuple[Rung, ...]:
    """Return the rungs which contributed to either answer, in the order of the ladder."""
    used = set(bug.basis)
    if start is not None and bring_up is not BringUp.UNTRIED:
        used.add(Rung.BRING_UP)
        used |= {Rung.ACCEPTANCE} if start.became_ready and start.completion_ok is not None else set()
    return tuple(rung for rung in Rung if rung in used)
