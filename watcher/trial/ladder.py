"""The acceptance ladder: which level the measured figures reach. Pure."""

from watcher.model.trial import Acceptance

HOUR, DAY = 3600, 24 * 3600
LEVELS = ("none", "minimum", "target", "stretch")


def reached_level(seen: Acceptance) -> str:
    """Return the highest level whose every criterion was measured and met; what was not measured is not met."""
    if not (_stable(seen, HOUR) and _phrases(seen, 24) and seen.tool_call):
        return "none"
    fast = seen.p95_seconds is not None and seen.p95_seconds < 3
    if not (_stable(seen, DAY) and _phrases(seen, 28) and fast and _accurate(seen)):
        return "minimum"
    return "target"


def _stable(seen: Acceptance, seconds: int) -> bool:
    return seen.stable_seconds is not None and seen.stable_seconds >= seconds


def _phrases(seen: Acceptance, of_32: int) -> bool:
    return (
        seen.phrases is not None and seen.phrases.total > 0 and seen.phrases.passed * 32 >= of_32 * seen.phrases.total
    )


def _accurate(seen: Acceptance) -> bool:
    return seen.tool_accuracy is not None and seen.tool_accuracy >= 0.95
