"""The control, an image known to have the bug: where it does not show it either, a clean answer of today says nothing.

Pure. What was read from bytes needs no control, and neither does an answer that is `present`.
"""

from watcher.model.verdict import BugState, ControlReading, ProbeReading, StaticReading
from watcher.verdict.rungs import Rungs

SHOWED = "which has the bug, showed it under the same conditions"
DID_NOT_SHOW = "which has the bug, did not show it: under the conditions of today a clean answer says nothing"


def wants_control(static: StaticReading | None, probe: ProbeReading, starts_follow: bool) -> bool:
    """Return whether a clean answer of the device could decide: the probe gave one, or a start may give one."""
    if probe.state is not BugState.UNKNOWN:
        return probe.state is BugState.FIXED
    return starts_follow and (static is None or static.state is BugState.UNKNOWN)


def control_of(rungs: Rungs) -> ControlReading | None:
    return rungs.probe.control if rungs.probe else None


def proves_nothing_clean(rungs: Rungs) -> bool:
    """Return whether the control was run and did not show the bug."""
    control = control_of(rungs)
    return control is not None and control.shows is False


def control_text(control: ControlReading) -> str:
    """Return what the evidence says of the control."""
    name = f"the control {control.image}"
    if control.shows is None:
        return f"{name} was not run: {control.reason}"
    return f"{name}, {SHOWED if control.shows else DID_NOT_SHOW}"
