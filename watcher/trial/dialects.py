"""How an engine is spoken to: OpenAI's routes, and Ollama's own. Pure: what is asked, and what an answer says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one line of a stream says: it carries some of the answer, it ends the stream."""

    has_content: bool = False
    closes: bool = False


class Dialect(Protocol):
    """`route` takes questions; `loaded_route` tells where models lie, `metrics_route` has Prometheus' text.

    `models_route` lists the models that it has. Each of the three is None where the engine has no such route.
    """

    @property
    def route(self) -> str: ...
    @property
    def loaded_route(self) -> str | None: ...
    @property
    def models_route(self) -> str | None: ...
    @property
    def metrics_route(self) -> str | None: ...
    @property
    def closing(self) -> str: ...
    def question(
        self, model: str, said: str, most_tokens: int, tools: Sequence[Table] = (), stream: bool = False
    ) -> Table: ...
    def message(self, body: Table) -> Table: ...
    def arguments(self, function: Mapping[str, Any]) -> object:
        """Return a call's arguments. Raises ValueError or RecursionError where they cannot be read."""

    def piece(self, line: str) -> Piece: ...


class OpenAI:
    """`/v1/chat/completions`; a stream comes as server-sent events, a call's arguments as JSON text."""

    route = "/v1/chat/completions"
    loaded_route = None
    models_route = None
    metrics_route = "/metrics"
    closing = "[DONE]"

    def question(
        self, model: str, said: str, most_tokens: int, tools: Sequence[Table] = (), stream: bool = False
    ) -> Table:
        asked = _asked(model, said, tools) | {"max_tokens": most_tokens, "temperature": 0}
        return asked | ({"tool_choice": "auto"} if tools else {}) | ({"stream": True} if stream else {})

    def message(self, body: Table) -> Table:
        choices = body.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        return _table(_table(first).get("message"))

    def arguments(self, function: Mapping[str, Any]) -> object:
        return json.loads(str(function.get("arguments")))

    def piece(self, line: str) -> Piece:
        if not line.startswith("data:"):
            return Piece()
        data = line.removeprefix("data:").strip()
        if data == self.closing:
            return Piece(closes=True)
        choices = _parsed(data).get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        return Piece(has_content=_says_something(_table(_table(first).get("delta"))))


class Ollama:
    """`/api/chat`; a stream comes as one JSON object a line, a call's arguments as an object."""

    route = "/api/chat"
    loaded_route = "/api/ps"
    models_route = "/api/tags"
    metrics_route = None
    closing = '"done": true'

    def question(
        self, model: str, said: str, most_tokens: int, tools: Sequence[Table] = (), stream: bool = False
    ) -> Table:
        options = {"num_predict": most_tokens, "temperature": 0}
        return _asked(model, said, tools) | {"options": options, "stream": stream}  # it streams unless told not to

    def message(self, body: Table) -> Table:
        return _table(body.get("message"))

    def arguments(self, function: Mapping[str, Any]) -> object:
        return function.get("arguments")

    def piece(self, line: str) -> Piece:
        told = _parsed(line)
        return Piece(_says_something(self.message(told)), closes=told.get("done") is True)


def dialect_of(api: Literal["openai", "ollama"]) -> Dialect:
    match api:
        case "openai":
            return OpenAI()
        case "ollama":
            return Ollama()
    assert_never(api)


def models_in(body: Table) -> tuple[str, ...]:
    """Return the models that Ollama's `/api/tags` or `/api/ps` names, the smallest first."""
    named = [(row.get("size"), row.get("name")) for row in _rows(body)]
    sized = [(size if isinstance(size, int) else 0, name) for size, name in named if isinstance(name, str) and name]
    return tuple(_untagged(name) for _, name in sorted(sized))


def is_same_model(one: str, other: str) -> bool:
    return _untagged(one) == _untagged(other)


def where_it_lies(body: Table, model: str) -> str | None:
    """Return a sentence when Ollama's `/api/ps` shows the model outside the GPU's memory, wholly or in part."""
    row = next(
        (row for row in _rows(body) if model in (row.get("name"), row.get("model"), _untagged(row.get("name")))), None
    )
    size, on_gpu = (row.get("size"), row.get("size_vram")) if row else (None, None)
    if not isinstance(size, int) or not isinstance(on_gpu, int) or size <= 0 or on_gpu >= size:
        return None
    if on_gpu <= 0:
        return "the engine fell back to the CPU: nothing of the model is in the GPU's memory"
    return f"the engine runs in part on the CPU: {100 * on_gpu // size} % of the model is in the GPU's memory"


def _rows(body: Table) -> list[Table]:
    rows = body.get("models")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _untagged(name: object) -> str:
    return str(name).removesuffix(":latest")


def _asked(model: str, said: str, tools: Sequence[Table]) -> Table:
    asked: Table = {"model": model, "messages": [{"role": "user", "content": said}]}
    return asked | ({"tools": list(tools)} if tools else {})


def _says_something(message: Table) -> bool:
    return bool(message.get("content") or message.get("tool_calls"))


def _parsed(text: str) -> Table:
    try:
        return _table(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}
