"""What the tiny model learns: sound data, and the very words that a trial uses."""

import json
from typing import Any

import pytest

from tests.engines.build import MODEL
from watcher.trial.exchange import ADD_TO_LIST, ERRAND, PLAIN

LEARNT: dict[str, list[dict[str, Any]]] = json.loads((MODEL / "phrases.json").read_text(encoding="utf-8"))
DECLARED = {tool["function"]["name"]: tool["function"]["parameters"] for tool in LEARNT["tools"]}


def test_there_are_32_different_phrases() -> None:
    assert len({phrase["say"] for phrase in LEARNT["phrases"]}) == 32


@pytest.mark.parametrize("phrase", LEARNT["phrases"], ids=lambda phrase: phrase["say"])
def test_a_phrase_calls_declared_tools_with_their_arguments_or_has_an_answer(phrase: dict[str, Any]) -> None:
    assert phrase["calls"] or phrase["answer"]
    for call in phrase["calls"]:
        assert list(call["arguments"]) == DECLARED[call["name"]]["required"]
        assert all(isinstance(value, str) and value for value in call["arguments"].values())


def test_what_a_trial_asks_is_learnt_word_for_word() -> None:
    (errand,) = (phrase for phrase in LEARNT["phrases"] if phrase["say"] == ERRAND)
    assert errand["calls"] == [{"name": "add_to_list", "arguments": {"list_name": "shopping", "item": "milk"}}]
    assert PLAIN in [line["say"] for line in LEARNT["chat"]]
    assert ADD_TO_LIST in LEARNT["tools"]
