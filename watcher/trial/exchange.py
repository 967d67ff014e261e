"""What is asked of a started engine, over HTTP in OpenAI's dialect: is it well, does it answer, stream, call a tool."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

PLAIN = "Say hello."
ERRAND = "Please add milk to my shopping list."
ADD_TO_LIST = {
    "type": "function",
    "function": {
        "name": "add_to_list",
        "description": "Put one item on one of the household's lists.",
        "parameters": {
            "type": "object",
            "properties": {
                "list_name": {"type": "string", "description": "which list, such as shopping"},
                "item": {"type": "string", "description": "what to put on it"},
            },
            "required": ["list_name", "item"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Reply:
    """Whether the engine did what was asked, and one line of what it said."""

    ok: bool
    text: str


class EngineClient:
    """Speaks to one engine. No method raises for what the engine does: that is the candidate's answer."""

    def __init__(self, base_url: str, model: str, health_path: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=httpx.Timeout(120, connect=5), trust_env=False)
        self._model = model
        self._health_path = health_path

    def close(self) -> None:
        self._http.close()

    def is_well(self) -> bool:
        """Return whether the health route answers 200 within a few seconds."""
        try:
            return self._http.get(self._health_path, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def complete(self) -> Reply:
        """Ask for one plain answer; any text will do."""
        body = self._post({"messages": [{"role": "user", "content": PLAIN}], "max_tokens": 16, "temperature": 0})
        if isinstance(body, str):
            return Reply(False, body)
        message = _first_message(body)
        text = str(message.get("content") or "")
        return Reply(bool(text.strip()) or bool(message.get("tool_calls")), text.strip()[:200] or "an empty answer")

    def stream(self) -> Reply:
        """Ask for the same as a stream: at least one piece of text and the closing `[DONE]`."""
        ask = {"messages": [{"role": "user", "content": PLAIN}], "max_tokens": 16, "temperature": 0, "stream": True}
        pieces, done = 0, False
        try:
            with self._http.stream("POST", "/v1/chat/completions", json={"model": self._model, **ask}) as response:
                if response.status_code != 200:
                    return Reply(False, f"the stream was answered with status {response.status_code}")
                for data in _server_sent(response.iter_lines()):
                    done = done or data == "[DONE]"
                    pieces += _has_content(data)
        except httpx.HTTPError as error:
            return Reply(False, f"the stream broke off: {type(error).__name__}")
        return Reply(pieces > 0 and done, f"{pieces} pieces of text, {'closed' if done else 'not closed'} by [DONE]")

    def call_tool(self) -> Reply:
        """Declare one tool, ask for an errand: the right name, arguments that parse and hold what was asked for."""
        body = self._post(
            {
                "messages": [{"role": "user", "content": ERRAND}],
                "tools": [ADD_TO_LIST],
                "tool_choice": "auto",
                "max_tokens": 128,
                "temperature": 0,
            }
        )
        if isinstance(body, str):
            return Reply(False, body)
        message = _first_message(body)
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not calls:
            return Reply(False, f"no tool was called; the engine said: {str(message.get('content'))[:150]}")
        return _judged_call(calls[0])

    def _post(self, ask: dict[str, Any]) -> dict[str, Any] | str:
        """Return the engine's JSON object, or a sentence on why there is none."""
        try:
            response = self._http.post("/v1/chat/completions", json={"model": self._model, **ask})
        except httpx.HTTPError as error:
            return f"the request broke off: {type(error).__name__}"
        if response.status_code != 200:
            return f"the request was answered with status {response.status_code}: {response.text[:150]}"
        try:
            body = response.json()
        except (ValueError, RecursionError):
            return "the answer is not JSON"
        return body if isinstance(body, dict) else "the answer is not a JSON object"


def _first_message(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    message = first.get("message") if isinstance(first, dict) else None
    return message if isinstance(message, dict) else {}


def _judged_call(call: object) -> Reply:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or function.get("name") != "add_to_list":
        return Reply(False, f"another tool was called: {str(function)[:150]}")
    try:
        arguments = json.loads(str(function.get("arguments")))
    except (ValueError, RecursionError):
        return Reply(False, f"the tool's arguments are not JSON: {str(function.get('arguments'))[:150]}")
    named = isinstance(arguments, dict) and "milk" in str(arguments.get("item", "")).lower()
    return Reply(named, f"add_to_list({json.dumps(arguments)[:150]})")


def _server_sent(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


def _has_content(data: str) -> bool:
    try:
        delta = json.loads(data)["choices"][0]["delta"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return bool(isinstance(delta, dict) and (delta.get("content") or delta.get("tool_calls")))
