"""Judging answers: which calls are right, and that nothing an engine says raises."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.config.suites import read_suite
from watcher.model.suite import Phrase, Suite, WantedCall
from watcher.model.trial import Acceptance, Score
from watcher.trial.dialects import Ollama, OpenAI
from watcher.trial.phrases import Answer, heard, is_right, measured, p95, shown, told

DECLARED = {
    "add_to_list": frozenset({"list_name", "item", "priority"}),
    "create_event": frozenset({"title", "time", "guests", "private"}),
}
MILK = WantedCall("add_to_list", {"list_name": ["shopping", "shopping list"], "item": "milk"})
BREAD = WantedCall("add_to_list", {"list_name": "shopping", "item": ["bread", "milk"]})
PARTY = WantedCall("create_event", {"title": "party", "guests": 4, "private": True})
NESTED = WantedCall("create_event", {"title": {"de": "Fest"}, "guests": [[1, 2]]})


def message(*calls: tuple[str, Any], content: object = None) -> dict[str, Any]:
    """Return a message as OpenAI's dialect writes it; arguments that are text are taken as they are."""
    rows = [
        {"function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)}}
        for name, given in calls
    ]
    return {"role": "assistant", "content": content, **({"tool_calls": rows} if rows else {})}


def added(item: object, to: object = "shopping", **more: object) -> tuple[str, Any]:
    return "add_to_list", {"list_name": to, "item": item, **more}


PARTY_MADE = {"title": "party", "guests": 4, "private": True}
TABLE = [
    ("as wanted", (MILK,), message(added("milk")), True),
    ("another spelling", (MILK,), message(added("  MiLk ", "Shopping  List")), True),
    ("a declared argument more", (MILK,), message(added("milk", priority="high")), True),
    ("an undeclared argument more", (MILK,), message(added("milk", colour="white")), False),
    ("another item", (MILK,), message(added("oat milk")), False),
    ("a list where text is wanted", (MILK,), message(added(["milk"])), False),
    ("an argument less", (MILK,), message(("add_to_list", {"item": "milk"})), False),
    ("another tool", (MILK,), message(("create_event", {"list_name": "shopping", "item": "milk"})), False),
    ("a tool that is not there", (MILK,), message(("rm", {"item": "milk"})), False),
    ("no call, only text", (MILK,), message(content="I put milk on your shopping list."), False),
    ("twice", (MILK,), message(added("milk"), added("milk")), False),
    ("one of two", (MILK, PARTY), message(added("milk")), False),
    ("both", (MILK, PARTY), message(added("milk"), ("create_event", PARTY_MADE)), True),
    ("both, the other way round", (MILK, PARTY), message(("create_event", PARTY_MADE), added("milk")), True),
    ("the first fit is another's", (BREAD, MILK), message(added("milk"), added("bread")), True),
    ("one call cannot serve two", (BREAD, MILK), message(added("milk"), added("eggs")), False),
    ("a number as a float", (PARTY,), message(("create_event", PARTY_MADE | {"guests": 4.0})), True),
    ("a number as text", (PARTY,), message(("create_event", PARTY_MADE | {"guests": "4"})), False),
    ("true is not 1", (PARTY,), message(("create_event", PARTY_MADE | {"private": 1})), False),
    ("nested values", (NESTED,), message(("create_event", {"title": {"de": " fest"}, "guests": [1, 2]})), True),
    (
        "nested values that differ",
        (NESTED,),
        message(("create_event", {"title": {"de": "x"}, "guests": [1, 2]})),
        False,
    ),
    ("none wanted, none made", (), message(content="I will remember it."), True),
    ("none wanted, one made", (), message(added("milk"), content="Done."), False),
    ("none wanted, nothing said", (), message(content="  "), False),
    ("none wanted, nothing at all", (), {}, False),
    ("not JSON", (MILK,), message(("add_to_list", "{list_name")), False),
    ("not an object", (MILK,), message(("add_to_list", "[1]")), False),
]


@pytest.mark.parametrize(("wanted", "said", "right"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_an_answer_is_right_by_name_and_arguments(
    wanted: tuple[WantedCall, ...], said: dict[str, Any], right: bool
) -> None:
    assert is_right(Phrase("…", wanted), heard(said, OpenAI().arguments), DECLARED) is right


def test_ollama_gives_arguments_as_an_object() -> None:
    said = {
        "tool_calls": [{"function": {"name": "add_to_list", "arguments": {"list_name": "shopping", "item": "milk"}}}]
    }
    assert is_right(Phrase("…", (MILK,)), heard(said, Ollama().arguments), DECLARED)


def deep(levels: int) -> Any:
    value: Any = "milk"
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = [
    {"tool_calls": 7},
    {"tool_calls": [None, 1, [], {"function": 3}, {"function": {"name": None}}]},
    message(("add_to_list", "[" * 100_000)),
    message(("add_to_list", '{"item": ' + "[" * 800 + "]" * 800 + ', "list_name": "shopping"}')),
    message(("add_to_list", '{"item": ' + "9" * 10_000 + "}")),
    message(("add_to_list", '{"item": "\\ud800", "list_name": NaN}')),
    message(*[added("milk")] * 5_000),
    message(("add_to_list" * 100_000, {})),
    {"content": {"text": "hello"}},
    {"content": "\x1b[2J" * 1000},
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("wanted", [(), (MILK,), (NESTED,)], ids=["none", "milk", "nested"])
def test_a_hostile_answer_is_wrong_and_can_be_shown(said: dict[str, Any], wanted: tuple[WantedCall, ...]) -> None:
    answer = heard(said, OpenAI().arguments)
    assert not is_right(Phrase("…", wanted), answer, DECLARED) or not wanted
    assert len(shown(answer)) < 1000


def test_arguments_that_are_deeper_than_can_be_written_are_shown_all_the_same() -> None:
    said = {"tool_calls": [{"function": {"name": "add_to_list", "arguments": deep(100_000)}}]}
    answer = heard(said, Ollama().arguments)
    assert not is_right(Phrase("…", (MILK,)), answer, DECLARED)
    assert "cannot be shown" in shown(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("function"), inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(said=st.dictionaries(st.sampled_from(["content", "tool_calls"]), JSON | st.lists(JSON)))
def test_no_answer_raises(said: dict[str, Any]) -> None:
    for dialect in (OpenAI(), Ollama()):
        answer = heard(said, dialect.arguments)
        is_right(Phrase("…", (MILK,)), answer, DECLARED)
        shown(answer)


def test_the_interval_is_wilsons() -> None:
    assert [round(bound, 3) for bound in (Score(64, 66).low, Score(64, 66).high)] == [0.896, 0.992]
    assert (Score(0, 10).low, round(Score(0, 10).high, 3), Score(10, 10).high) == (0.0, 0.278, 1.0)
    assert Score(59, 59).low > 0.938


def test_p95_is_the_nearest_rank_and_unknown_where_no_answer_came() -> None:
    assert p95([]) is None
    assert p95([float(second) for second in range(100, 0, -1)]) == 95.0
    assert p95([1.0, 2.0]) == 2.0
    assert p95([1.0] * 19 + [math.inf]) == 1.0
    assert p95([1.0] * 18 + [math.inf] * 2) is None


def suite() -> Suite:
    faults: list[str] = []
    found = read_suite("builtin", None, faults)  # type: ignore[arg-type]  # no folder is needed for it
    assert faults == []
    return found


def test_what_was_not_asked_to_its_end_is_not_measured() -> None:
    asked = suite()
    answers = [Answer(phrase, True, 0.5, "") for phrase in asked.asked_for("target")]
    whole = measured(Acceptance(), asked, answers)
    assert (whole.phrases, whole.tool_accuracy, whole.answers) == (Score(32, 32), Score(68, 68), 72)
    some = measured(Acceptance(), asked, answers[:40])
    assert (some.phrases, some.tool_accuracy, some.p95_seconds) == (Score(32, 32), None, 0.5)
    few = measured(Acceptance(), asked, answers[:31])
    assert (few.phrases, few.tool_accuracy, few.answers) == (None, None, 31)
    assert "31 of 72 were asked" in "\n".join(told(72, answers[:31]))
    assert measured(Acceptance(), asked, []).answers is None
