"""The probe from outside: its container, and what its output says.

A bug's `probe.py` asks and judges with its own knowledge; this module knows only what every probe prints, one line of

    WATCHER-PROBE {"trap_set": true, "trap": "…", "saw": "fault|clean|other|nothing", "text": "…",
                   "torch": "…" | null, "library": "…" | null, …}

`trap_set` says that the faulty branch could show itself on this machine, `saw` what showed: the fault, the answer of a
build without it, something else, or nothing. Without a trap both answers are worth nothing. The candidate wrote the
rest of the output and may have written anything.
"""

import json
from typing import Any

from watcher.config.engines import EngineSettings
from watcher.model.container import ContainerSpec
from watcher.model.verdict import BugState, ProbeReading

MARKER = b"WATCHER-PROBE "
ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING")
"""They change which branch of the allocator fails; some count as set even when empty, so they must be absent."""
_LONGEST_LINE = 64 * 1024
_LONGEST_TEXT = 2000


def probe_spec(image: str, source: str, engine: EngineSettings, runtime: str) -> ContainerSpec:
    """Return the container of a probe: the candidate's own Python, nothing mounted, no network.

    Args:
        image: id of the candidate's image.
        source: the bug's `probe.py`; it runs from its text, so that nothing has to reach the container.
    """
    return ContainerSpec(
        image=image,
        entrypoint=("python3", "-c", source),
        env={name: value for name, value in engine.env.items() if name not in ALLOCATOR_VARIABLES},
        writable=engine.writable,
        runtime=runtime,
        network="off",
    )


def read_probe(output: bytes, exit_code: int | None) -> ProbeReading:
    """Return what the probe says; whatever is missing, twofold or malformed makes it unknown."""
    lines = _result_lines(output)
    if not lines:
        return _unknown(f"the probe printed no result (exit code {exit_code})")
    if len(lines) > 1:
        return _unknown("the probe printed more than one result")
    told = _parse(lines[0])
    if told is None:
        return _unknown("the probe's result cannot be read")
    return _judge(told)


def _result_lines(output: bytes) -> tuple[bytes, ...]:
    """Return the different results: a terminal or a log driver may repeat a line, but not change it."""
    found = (line.strip().removeprefix(MARKER) for line in output.splitlines() if line.strip().startswith(MARKER))
    return tuple(dict.fromkeys(found))


def _parse(line: bytes) -> dict[str, Any] | None:
    if len(line) > _LONGEST_LINE:
        return None
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("trap_set"), bool) else None


def _judge(told: dict[str, Any]) -> ProbeReading:
    trap_set, saw = told["trap_set"], _text(told, "saw")
    if saw not in ("fault", "clean"):
        state, reason = BugState.UNKNOWN, f"the probe saw neither the fault nor its absence: {_first_line(told)}"
    elif not trap_set:
        state, reason = BugState.UNKNOWN, f"the trap was not set: {_text(told, 'trap') or 'no reason given'}"
    elif saw == "fault":
        state, reason = BugState.PRESENT, f"the fault showed itself: {_first_line(told)}"
    else:
        state, reason = BugState.FIXED, f"the trap was set and the answer was clean: {_first_line(told)}"
    return ProbeReading(
        state=state,
        trap_set=trap_set,
        reason=reason,
        torch=_text(told, "torch") or None,
        library=_text(told, "library") or None,
        text=_text(told, "text"),
        saw=saw,
    )


def _first_line(told: dict[str, Any]) -> str:
    return next(iter(_text(told, "text").splitlines()), "no text")[:300]


def _text(told: dict[str, Any], key: str) -> str:
    """Return a text of the result without surrogates, which neither the database nor a terminal takes."""
    value = told.get(key)
    return value[:_LONGEST_TEXT].encode(errors="replace").decode() if isinstance(value, str) else ""


def _unknown(reason: str) -> ProbeReading:
    return ProbeReading(BugState.UNKNOWN, trap_set=False, reason=reason)
