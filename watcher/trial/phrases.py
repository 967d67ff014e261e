"""Judging what an engine answers to the phrases of a suite: tool calls by name and arguments. Pure.

What an engine says is a stranger's text: nothing here raises for it, however it is built.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watcher.model.suite import Phrase, Suite, WantedCall
from watcher.model.trial import Acceptance, Score

_MOST_CALLS = 32
"""No phrase wants so many: an answer with more is wrong without being read to its end."""
_REMARK = 150
_WRONG_SHOWN = 5
ReadArguments = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class HeardCall:
    """A call as the engine made it; `arguments` is None where they could not be read."""

    name: str
    arguments: object


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer of an engine; `fault` says why there is none."""

    calls: tuple[HeardCall, ...] = ()
    text: str = ""
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one phrase; `seconds` is infinite where no answer came."""

    phrase: Phrase
    is_right: bool
    seconds: float
    said: str


def heard(message: Mapping[str, Any], read_arguments: ReadArguments) -> Heard:
    """Return what a message of either dialect says."""
    rows = message.get("tool_calls") or []
    calls = tuple(_call(row, read_arguments) for row in rows[:_MOST_CALLS]) if isinstance(rows, list) else ()
    content = message.get("content")
    return Heard(calls, content if isinstance(content, str) else "")


def _call(row: object, read_arguments: ReadArguments) -> HeardCall:
    function = row.get("function") if isinstance(row, dict) else None
    if not isinstance(function, dict):
        return HeardCall("", None)
    try:
        arguments = read_arguments(function)
    except (ValueError, RecursionError):
        arguments = None
    name = function.get("name")
    return HeardCall(name if isinstance(name, str) else "", arguments)


def is_right(phrase: Phrase, answer: Heard, declared: Mapping[str, frozenset[str]]) -> bool:
    """Return whether an answer makes exactly the calls that are wanted, in any order; else it must say something."""
    if answer.fault is not None:
        return False
    if not phrase.calls:
        return not answer.calls and bool(answer.text.strip())
    return len(answer.calls) == len(phrase.calls) and _all_matched(phrase.calls, answer.calls, declared)


def _all_matched(
    wanted: Sequence[WantedCall], made: Sequence[HeardCall], declared: Mapping[str, frozenset[str]]
) -> bool:
    """Return whether each wanted call has one of its own; where values have choices, the first fit may be another's."""
    if not wanted:
        return True
    first, rest = wanted[0], wanted[1:]
    return any(
        _fits(first, call, declared) and _all_matched(rest, [*made[:index], *made[index + 1 :]], declared)
        for index, call in enumerate(made)
    )


def _fits(wanted: WantedCall, call: HeardCall, declared: Mapping[str, frozenset[str]]) -> bool:
    """Return whether name and arguments are right; a further argument may be there if the tool declares it."""
    arguments = call.arguments
    if call.name != wanted.name or not isinstance(arguments, dict):
        return False
    if not arguments.keys() <= declared.get(wanted.name, frozenset()) | wanted.arguments.keys():
        return False
    return all(key in arguments and _accepts(value, arguments[key]) for key, value in wanted.arguments.items())


def _accepts(wanted: object, given: object) -> bool:
    return any(_same(each, given) for each in wanted) if isinstance(wanted, list) else _same(wanted, given)


def _same(wanted: object, given: object) -> bool:
    """Compare along what is wanted, which the operator wrote: what is given may be deeper, and is then another."""
    match wanted, given:
        case str(), str():
            return _plain(wanted) == _plain(given)
        case bool(), _:
            return wanted is given
        case dict(), dict():
            return wanted.keys() == given.keys() and all(_same(value, given[key]) for key, value in wanted.items())
        case list(), list():
            return len(wanted) == len(given) and all(map(_same, wanted, given))
        case int() | float(), int() | float():
            return not isinstance(given, bool) and wanted == given
    return wanted is None and given is None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def shown(answer: Heard) -> str:
    """Return one line of what an engine answered."""
    if answer.fault is not None:
        return answer.fault
    if not answer.calls:
        return f"no call, but: {answer.text.strip()[:_REMARK]}" if answer.text.strip() else "an empty answer"
    return ", ".join(shown_call(call.name, call.arguments) for call in answer.calls[:3])


def shown_call(name: str, arguments: object) -> str:
    try:
        return f"{name[:80]}({json.dumps(arguments, ensure_ascii=False)[:_REMARK]})"
    except (ValueError, RecursionError):
        return f"{name[:80]}(arguments that cannot be shown)"


def measured(seen: Acceptance, suite: Suite, answers: Sequence[Answer]) -> Acceptance:
    """Return the figures with those of the answers; what was not asked to its end, or not at all, is not measured."""
    ended = len(answers) == len(suite.phrases) + len(suite.accuracy)
    of_phrases, calling = answers[: len(suite.phrases)], [each for each in answers if each.phrase.calls]
    return replace(
        seen,
        phrases=_score(of_phrases) if len(of_phrases) == len(suite.phrases) else None,
        tool_accuracy=_score(calling) if ended and calling else None,
        p95_seconds=p95([each.seconds for each in answers]),
        answers=len(answers) or None,
    )


def p95(seconds: Sequence[float]) -> float | None:
    """Return the 95th percentile by nearest rank; None where it falls on a request that was not answered."""
    if not seconds:
        return None
    found = sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]
    return round(found, 3) if math.isfinite(found) else None


def told(asked: int, answers: Sequence[Answer]) -> Iterable[str]:
    """Yield what a report says of the answers to so many phrases: how far it came, and what was wrong first."""
    if len(answers) < asked:
        yield f"phrases: {len(answers)} of {asked} were asked in the time of this stage"
    if unanswered := sum(math.isinf(each.seconds) for each in answers):
        yield f"phrases: {unanswered} of {len(answers)} were not answered"
    wrong = [each for each in answers if not each.is_right]
    if wrong:
        yield f"phrases: {len(wrong)} of {len(answers)} answers were wrong" + _first(len(wrong))
    for each in wrong[:_WRONG_SHOWN]:
        yield f"“{each.phrase.say[:_REMARK]}” wants {_wanted(each.phrase)}; answered: {each.said}"


def _first(wrong: int) -> str:
    return f"; the first {_WRONG_SHOWN}:" if wrong > _WRONG_SHOWN else ":"


def _wanted(phrase: Phrase) -> str:
    return ", ".join(shown_call(call.name, dict(call.arguments)) for call in phrase.calls) or "no call"


def _score(answers: Sequence[Answer]) -> Score:
    return Score(sum(each.is_right for each in answers), len(answers))
