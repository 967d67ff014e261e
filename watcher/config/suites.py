"""Read a suite of phrases: JSON of tools, phrases and the calls that are wanted. Every fault is told with its place."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from watcher.config.place import PACKAGE
from watcher.model.suite import Phrase, Suite, WantedCall

BUILTIN = "builtin"
BUILTIN_FILE = PACKAGE / "suites" / "builtin.json"
_MOST_BYTES, _MOST_PHRASES, _MOST_CALLS = 2_000_000, 1000, 8
_KEYS = {"suite": {"tools", "phrases", "accuracy"}, "phrase": {"say", "calls"}, "call": {"name", "arguments"}}
_SHAPES = {"list": list, "object": dict}


def read_suite(name: str, base: Path, faults: list[str]) -> Suite:
    """Return the suite of `acceptance.suite`; what is wrong with it is added to `faults`, and then it is empty."""
    file = BUILTIN_FILE if name == BUILTIN else base / Path(name).expanduser()
    try:
        document = _document(file)
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        faults.append(f"acceptance.suite: {name} could not be read: {why}")
        return Suite()
    found = list(_faults(document))
    faults += [f"acceptance.suite: {name}: {fault}" for fault in found]
    return Suite() if found else _suite(document)


def _document(file: Path) -> Any:
    with file.open("rb") as opened:
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES // 1_000_000} MB")
    return json.loads(content)


def _suite(document: dict[str, Any]) -> Suite:
    phrases, accuracy = (tuple(map(_phrase, document.get(key, []))) for key in ("phrases", "accuracy"))
    return Suite(tuple(document["tools"]), phrases, accuracy)


def _phrase(row: dict[str, Any]) -> Phrase:
    return Phrase(row["say"], tuple(WantedCall(call["name"], call.get("arguments", {})) for call in row["calls"]))


def _faults(document: Any) -> Iterator[str]:
    if fault := _shape(document, "object", "the file"):
        yield fault
        return
    yield from _unknown(document, "suite", "")
    tools: dict[str, frozenset[str]] = {}
    for index, tool in enumerate(_rows(document, "tools")):
        yield from _tool_faults(tool, f"tools.{index}", tools)
    for key in ("tools", "phrases"):
        if not _rows(document, key):
            yield f"{key}: must be a list with something in it"
    if fault := _shape(document.get("accuracy", []), "list", "accuracy"):
        yield fault
    for key in ("phrases", "accuracy"):
        rows = _rows(document, key)
        if len(rows) > _MOST_PHRASES:
            yield f"{key}: more than {_MOST_PHRASES}"
        for index, row in enumerate(rows[:_MOST_PHRASES]):
            yield from _phrase_faults(row, f"{key}.{index}", tools)


def _tool_faults(tool: Any, place: str, tools: dict[str, frozenset[str]]) -> Iterator[str]:
    """Yield what is wrong with a tool, else enter its name and the arguments that it declares in `tools`."""
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function":
        yield f'{place}: must be {{"type": "function", "function": {{…}}}}'
        return
    name, parameters = function.get("name"), function.get("parameters", {})
    properties = parameters.get("properties", {}) if isinstance(parameters, dict) else None
    if not isinstance(name, str) or not name:
        yield f"{place}.function.name: must be text"
    elif name in tools:
        yield f"{place}.function.name: {name!r} is given twice"
    elif not isinstance(properties, dict):
        yield f"{place}.function.parameters: must be a JSON schema of an object"
    else:
        tools[name] = frozenset(properties)


def _phrase_faults(row: Any, place: str, tools: Mapping[str, frozenset[str]]) -> Iterator[str]:
    if fault := _shape(row, "object", place):
        yield fault
        return
    yield from _unknown(row, "phrase", f"{place}.")
    if not isinstance(row.get("say"), str) or not row["say"].strip():
        yield f"{place}.say: must be text"
    if fault := _shape(row.get("calls"), "list", f"{place}.calls"):
        yield f"{fault} (an empty one: no call is wanted)"
        return
    if len(row["calls"]) > _MOST_CALLS:
        yield f"{place}.calls: more than {_MOST_CALLS}"
    for index, call in enumerate(row["calls"]):
        yield from _call_faults(call, f"{place}.calls.{index}", tools)


def _call_faults(call: Any, place: str, tools: Mapping[str, frozenset[str]]) -> Iterator[str]:
    if fault := _shape(call, "object", place):
        yield fault
        return
    yield from _unknown(call, "call", f"{place}.")
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or name not in tools:
        yield f"{place}.name: there is no tool {name!r}"
        return
    if fault := _shape(arguments, "object", f"{place}.arguments"):
        yield fault
        return
    for key, value in arguments.items():
        if key not in tools[name]:
            yield f"{place}.arguments.{key}: the tool {name} has no such argument"
        if value == []:
            yield f"{place}.arguments.{key}: an empty list leaves nothing that would be right"


def _unknown(table: dict[str, Any], kind: str, prefix: str) -> Iterator[str]:
    yield from (f"{prefix}{key}: unknown key" for key in table if key not in _KEYS[kind])


def _rows(document: dict[str, Any], key: str) -> list[Any]:
    rows = document.get(key)
    return rows if isinstance(rows, list) else []


def _shape(value: Any, kind: str, place: str) -> str | None:
    """Return a fault unless `value` is a `list` or an `object`."""
    return None if isinstance(value, _SHAPES[kind]) else f"{place}: must be {'an' if kind == 'object' else 'a'} {kind}"
