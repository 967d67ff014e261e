"""Suites of phrases: ours is sound and is what the small model learnt, and a bad one is refused with every place."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engines.build import MODEL
from watcher.config.load import load_settings
from watcher.config.suites import BUILTIN_FILE, read_suite
from watcher.errors import ConfigError
from watcher.trial.phrases import Heard, HeardCall, is_right

LEARNT: dict[str, list[dict[str, Any]]] = json.loads((MODEL / "phrases.json").read_text(encoding="utf-8"))
TOOL = {"type": "function", "function": {"name": "say", "parameters": {"properties": {"text": {}}}}}


def test_ours_is_sound_and_large_enough() -> None:
    faults: list[str] = []
    suite = read_suite("builtin", Path(), faults)
    assert faults == []
    assert len(suite.phrases) == 32
    asked = suite.asked_for("target")
    assert len({phrase.say for phrase in asked}) == len(asked), "each is said once"
    assert sum(bool(phrase.calls) for phrase in asked) >= 66
    assert 0 < sum(not phrase.calls for phrase in suite.phrases) < 8


def test_what_the_small_model_learnt_is_right_by_ours() -> None:
    suite = read_suite("builtin", Path(), [])
    assert [phrase.say for phrase in suite.phrases] == [phrase["say"] for phrase in LEARNT["phrases"]]
    assert list(suite.tools) == LEARNT["tools"]
    for phrase, learnt in zip(suite.phrases, LEARNT["phrases"], strict=True):
        calls = tuple(HeardCall(call["name"], call["arguments"]) for call in learnt["calls"])
        assert is_right(phrase, Heard(calls, learnt.get("answer", "")), suite.declared), phrase.say


BAD: list[tuple[Any, str]] = [
    ([], "the file: must be an object"),
    ({"tools": [TOOL]}, "phrases: must be a list with something in it"),
    ({"tools": [], "phrases": [{"say": "x", "calls": []}]}, "tools: must be a list with something in it"),
    ({"tools": [TOOL, TOOL], "phrases": [{"say": "x", "calls": []}]}, "tools.1.function.name: 'say' is given twice"),
    ({"tools": [{"name": "say"}], "phrases": [{"say": "x", "calls": []}]}, "tools.0: must be {"),
    ({"tools": [TOOL], "phrases": [{"say": "x", "calls": []}], "extra": 1}, "extra: unknown key"),
    ({"tools": [TOOL], "phrases": ["x"]}, "phrases.0: must be an object"),
    ({"tools": [TOOL], "phrases": [{"say": " ", "calls": []}]}, "phrases.0.say: must be text"),
    ({"tools": [TOOL], "phrases": [{"say": "x"}]}, "phrases.0.calls: must be a list"),
    ({"tools": [TOOL], "phrases": [{"say": "x", "calls": [{}]}]}, "phrases.0.calls.0.name: there is no tool None"),
    ({"tools": [TOOL], "phrases": [{"say": "x", "calls": []}], "accuracy": 3}, "accuracy: must be a list"),
    (
        {
            "tools": [TOOL],
            "phrases": [{"say": "x", "calls": [{"name": "say", "arguments": {"tone": "x", "text": []}}]}],
        },
        "phrases.0.calls.0.arguments.tone: the tool say has no such argument",
    ),
    (
        {"tools": [TOOL], "phrases": [{"say": "x", "calls": [{"name": "say", "arguments": {"text": []}}]}]},
        "phrases.0.calls.0.arguments.text: an empty list leaves nothing that would be right",
    ),
]


def faults_of(folder: Path, section: str) -> tuple[str, ...]:
    (folder / "config.toml").write_text(f"[acceptance]\n{section}\n[schedule]\nevery = 'often'\n")
    with pytest.raises(ConfigError) as raised:
        load_settings(folder / "config.toml", {})
    return tuple(raised.value.faults)


@pytest.mark.parametrize(("document", "fault"), BAD, ids=[row[1] for row in BAD])
def test_a_bad_suite_is_told_with_its_place_beside_all_other_faults(tmp_path: Path, document: Any, fault: str) -> None:
    (tmp_path / "ours.json").write_text(json.dumps(document))
    faults = faults_of(tmp_path, "suite = 'ours.json'")
    assert any(line.startswith(f"acceptance.suite: ours.json: {fault}") for line in faults), faults
    assert any(line.startswith("schedule.every: ") for line in faults)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b" " * 3_000_000])
def test_a_file_that_is_no_suite_is_a_fault_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ours.json").write_bytes(content)
    faults = faults_of(tmp_path, "suite = 'ours.json'")
    assert any(line.startswith("acceptance.suite: ours.json") for line in faults), faults


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("suite = 'nowhere.json'", "acceptance.suite: nowhere.json could not be read: No such file or directory"),
        ("suite = 3", "acceptance.suite: "),
        ("command = 'echo \"'", "acceptance.command: its words cannot be told apart: no closing quotation"),
        ("command = ' '", "acceptance.command: must name a program"),
        ("score = '('", "acceptance.score: '(' is not a regular expression"),
        ("score = '(?P<passed>1)'", "acceptance.score: '(?P<passed>1)' has no group total"),
    ],
)
def test_a_bad_key_is_told_with_its_place(tmp_path: Path, section: str, fault: str) -> None:
    faults = faults_of(tmp_path, section)
    assert any(line.startswith(fault) for line in faults), faults


def test_the_builtin_file_has_a_line_for_each_phrase() -> None:
    lines = BUILTIN_FILE.read_text(encoding="utf-8").splitlines()
    assert sum('"say"' in line for line in lines) == 72
