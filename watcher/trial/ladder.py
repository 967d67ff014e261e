"""The acceptance ladder: which level the measured figures reach, and what a level still lacks. Pure."""

from watcher.model.trial import Acceptance, Score

HOUR, DAY = 3600, 24 * 3600
LEVELS = ("none", "minimum", "target", "stretch")


def reached_level(seen: Acceptance) -> str:
    """Return the highest level whose every criterion was measured and met; what was not measured is not met."""
    if _minimum(seen):
        return "none"
    if _target(seen):
        return "minimum"
    return "target" if _stretch(seen) else "stretch"


def lacking(seen: Acceptance, level: str) -> tuple[str, ...]:
    """Return a line for each criterion of `level`, a name of LEVELS, that was not measured or not met."""
    if level == "minimum":
        return _minimum(seen)
    found = (*_target(seen), *_tool_call(seen))
    return found if level == "target" else (*found, *_stretch(seen))


def _minimum(seen: Acceptance) -> tuple[str, ...]:
    return (*_stable(seen, HOUR, "1h"), *_phrases(seen, 24), *_tool_call(seen))


def _tool_call(seen: Acceptance) -> list[str]:
    if seen.tool_call:
        return []
    return [_told("a tool call", None if seen.tool_call is None else "failed")]


def _target(seen: Acceptance) -> tuple[str, ...]:
    lines = [*_stable(seen, DAY, "24h"), *_phrases(seen, 28)]
    if seen.p95_seconds is None or seen.p95_seconds >= 3:
        lines.append(_told("p95 below 3 s", seen.latency_text))
    if seen.tool_accuracy is None or seen.tool_accuracy.value < 0.95:
        lines.append(_told("95 % of tool calls right", _text(seen.tool_accuracy)))
    return tuple(lines)


def _stretch(seen: Acceptance) -> tuple[str, ...]:
    lines = []
    if not seen.streams:
        lines.append(_told("streaming", None if seen.streams is None else "failed"))
    if not seen.metrics:
        lines.append(_told("metrics", None if seen.metrics is None else "none"))
    if seen.multi_model is not False and (seen.models_loaded or 0) < 2:  # an engine that holds one meets it as it is
        loaded = None if seen.models_loaded is None else f"{seen.models_loaded} of 2"
        lines.append(_told("several models loaded, where the engine can", loaded))
    if seen.noticed_seconds is None or seen.ready_again_seconds is None:
        noticed = (
            None if seen.noticed_seconds is None else f"noticed after {seen.noticed_seconds:.1f} s, not ready again"
        )
        lines.append(_told("recovery noticed and told", noticed))
    return tuple(lines)


def _stable(seen: Acceptance, seconds: int, span: str) -> list[str]:
    if seen.stable_seconds is not None and seen.memory_lasts_seconds is not None:
        hours = seen.memory_lasts_seconds / HOUR
        return [_told(f"stable for {span}", f"its memory grows, and would be used up in {hours:.1f} h")]
    if seen.stable_seconds is not None and seen.stable_seconds >= seconds:
        return []
    measured = None if seen.stable_seconds is None else f"{seen.stable_seconds} s{_since(seen.restarts)}"
    return [f"{_told(f'stable for {span}', measured)}, use --soak {span}"]


def _since(restarts: int | None) -> str:
    return f" since the last of {restarts} restarts" if restarts else ""


def _phrases(seen: Acceptance, of_32: int) -> list[str]:
    score = seen.phrases
    if score is not None and score.total > 0 and score.passed * 32 >= of_32 * score.total:
        return []
    return [_told(f"{of_32} of 32 phrases", _text(score))]


def _text(score: Score | None) -> str | None:
    return score.text if score else None


def _told(criterion: str, measured: str | None) -> str:
    return f"{criterion}: {measured or 'not measured'}"
