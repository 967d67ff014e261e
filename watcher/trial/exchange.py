"""What is asked of a started engine, over HTTP: is it well, does it answer, stream, call a tool."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from watcher.model.suite import Tool
from watcher.trial.dialects import Dialect, OpenAI, is_same_model, models_in, where_it_lies
from watcher.trial.metrics import Tally, metric_names
from watcher.trial.phrases import Heard, heard, shown_call

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


_MOST_BYTES = 4_000_000
"""An answer of a few words is never longer; a candidate may send without an end."""
_REMARK = 150
_PATIENCE = 120.0
"""Seconds of silence after which an answer is not waited for any more."""
_METRICS_SECONDS = 10.0
_HEALTH_SECONDS = 5.0
_PHRASE_TOKENS = 192
"""Room for two calls; a model that talks instead is not listened to for long."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Whether the engine did what was asked, and one line of what it said."""

    ok: bool
    text: str


class _NoAnswer(Exception):
    """The engine gave no answer of use; the message says why."""


class _TooLong(Exception):
    """The engine sent more than anybody asked for."""


class _TooLate(Exception):
    """The engine still sends when its time is over."""


class EngineClient:
    """Speaks to one engine. No method raises for what the engine does: that is the candidate's answer."""

    def __init__(self, base_url: str, model: str, health_path: str, dialect: Dialect | None = None) -> None:
        # a connection for each request: llama.cpp closes one after a stream without saying so, and the next request on
        # it would break off, which would be our fault and look like the engine's
        limits = httpx.Limits(max_keepalive_connections=0)
        timeout = httpx.Timeout(_PATIENCE, connect=5)
        self._http = httpx.Client(base_url=base_url, timeout=timeout, limits=limits, trust_env=False)
        self.base_url, self.model = base_url, model
        self._health_path = health_path
        self._dialect = dialect or OpenAI()
        self._tally = Tally()

    def close(self) -> None:
        self._http.close()

    def is_well(self) -> bool:
        """Return whether the health route answers 200 within a few seconds.

        Its body is read, too: an engine whose client hangs up in the middle may log that as an error of its own.
        """
        ends = time.monotonic() + _HEALTH_SECONDS
        try:
            with self._http.stream("GET", self._health_path, timeout=_HEALTH_SECONDS) as response:
                with suppress(httpx.HTTPError, _TooLong, _TooLate):  # its status has said what counts
                    for _ in _bounded(response, ends):
                        pass
                return response.status_code == 200
        except httpx.HTTPError:
            return False

    def complete(self, model: str | None = None) -> Reply:
        """Ask for one plain answer, of another model than the engine's own where one is named; any text will do."""
        body = self._asked(self._dialect.question(model or self.model, PLAIN, 16))
        if isinstance(body, str):
            return Reply(False, body)
        message = self._dialect.message(body)
        text = str(message.get("content") or "").strip()
        return Reply(bool(text) or bool(message.get("tool_calls")), text[:200] or "an empty answer")

    def stream(self) -> Reply:
        """Ask for the same as a stream: at least one piece of text, and its proper end."""
        question = self._dialect.question(self.model, PLAIN, 16, stream=True)
        pieces, closed = 0, False
        try:
            with self._http.stream("POST", self._dialect.route, json=question) as response:
                if response.status_code != 200:
                    return Reply(False, f"the stream was answered with status {response.status_code}")
                for line in _lines(_bounded(response)):
                    piece = self._dialect.piece(line)
                    closed = closed or piece.closes
                    pieces += piece.has_content
        except httpx.HTTPError as error:
            return Reply(False, f"the stream broke off: {type(error).__name__}")
        except _TooLong:
            return Reply(False, "the stream does not end")
        return Reply(pieces > 0 and closed, f"{pieces} pieces of text, {_closing(closed)} by {self._dialect.closing}")

    def call_tool(self) -> Reply:
        """Declare one tool, ask for an errand: the right name, arguments that parse and hold what was asked for."""
        body = self._asked(self._dialect.question(self.model, ERRAND, 128, tools=[ADD_TO_LIST]))
        if isinstance(body, str):
            return Reply(False, body)
        message = self._dialect.message(body)
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not calls:
            return Reply(False, f"no tool was called; the engine said: {str(message.get('content'))[:_REMARK]}")
        return self._judged_call(calls[0])

    def ask(self, said: str, tools: Sequence[Tool], seconds: float) -> Heard:
        """Say one phrase with tools declared; an answer that takes longer than `seconds` is none."""
        question = self._dialect.question(self.model, said, _PHRASE_TOKENS, tools=[dict(tool) for tool in tools])
        body = self._answered("POST", self._dialect.route, question, seconds)
        if isinstance(body, str):
            return Heard(fault=body)
        return heard(self._dialect.message(body), self._dialect.arguments)

    def metrics(self) -> frozenset[str]:
        """Return the names of the engine's metrics; of one without a route for them, the figures of its answers."""
        if self._dialect.metrics_route is None:
            return frozenset(self._tally.sums)
        return metric_names(self.scrape())

    def scrape(self) -> str:
        """Return the engine's metrics in Prometheus' form, made of its answers where it has none; "" for none."""
        route = self._dialect.metrics_route
        if route is None:
            return self._tally.text(self.model)
        try:
            return self._fetched("GET", route, seconds=_METRICS_SECONDS)
        except _NoAnswer:
            return ""

    def shortfall(self) -> str | None:
        """Return a sentence when the engine says that the model is not in the GPU's memory; None else."""
        if self._dialect.loaded_route is None:
            return None
        body = self._answered("GET", self._dialect.loaded_route)
        return None if isinstance(body, str) else where_it_lies(body, self.model)

    def other_models(self) -> tuple[str, ...]:
        """Return the further models that the engine has, the smallest first."""
        return tuple(name for name in self._models(self._dialect.models_route) if not is_same_model(name, self.model))

    def loaded_among(self, models: Sequence[str]) -> tuple[str, ...]:
        """Return which of some models are loaded now."""
        loaded = self._models(self._dialect.loaded_route)
        return tuple(model for model in models if any(is_same_model(model, name) for name in loaded))

    def _models(self, route: str | None) -> tuple[str, ...]:
        body = "there is no such route" if route is None else self._answered("GET", route)
        return () if isinstance(body, str) else models_in(body)

    def _asked(self, question: dict[str, Any]) -> dict[str, Any] | str:
        return self._answered("POST", self._dialect.route, question)

    def _answered(
        self, method: str, route: str, question: dict[str, Any] | None = None, seconds: float = math.inf
    ) -> dict[str, Any] | str:
        """Return the engine's JSON object, or a sentence on why there is none."""
        try:
            body = json.loads(self._fetched(method, route, question, seconds))
        except _NoAnswer as why:
            return str(why)
        except (ValueError, RecursionError):
            return "the answer is not JSON"
        if not isinstance(body, dict):
            return "the answer is not a JSON object"
        if question is not None:
            self._tally.add(body)
        return body

    def _fetched(
        self, method: str, route: str, question: dict[str, Any] | None = None, seconds: float = math.inf
    ) -> str:
        """Return the text of an answer with status 200. Raises _NoAnswer with a sentence."""
        ends, timeout = time.monotonic() + seconds, httpx.Timeout(min(seconds, _PATIENCE), connect=5)
        try:
            with self._http.stream(method, route, json=question, timeout=timeout) as response:
                text = b"".join(_bounded(response, ends)).decode(errors="replace")
        except httpx.HTTPError as error:
            raise _NoAnswer(f"the request broke off: {type(error).__name__}") from None
        except _TooLong:
            raise _NoAnswer("the answer does not end") from None
        except _TooLate:
            raise _NoAnswer(f"the answer did not end within {seconds:.0f} s") from None
        if response.status_code != 200:
            raise _NoAnswer(f"the request was answered with status {response.status_code}: {text[:_REMARK]}")
        return text

    def _judged_call(self, call: object) -> Reply:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or function.get("name") != "add_to_list":
            return Reply(False, f"another tool was called: {str(function)[:_REMARK]}")
        try:
            arguments = self._dialect.arguments(function)
        except (ValueError, RecursionError):
            return Reply(False, f"the tool's arguments are not JSON: {str(function.get('arguments'))[:_REMARK]}")
        named = isinstance(arguments, dict) and "milk" in str(arguments.get("item", "")).lower()
        return Reply(named, shown_call("add_to_list", arguments))


def _bounded(response: httpx.Response, ends: float = math.inf) -> Iterator[bytes]:
    """Yield the body. Raises _TooLong where it goes on and on, _TooLate after `ends` on the monotonic clock."""
    length = 0
    for chunk in response.iter_bytes():
        length += len(chunk)
        if length > _MOST_BYTES:
            raise _TooLong
        if time.monotonic() > ends:
            raise _TooLate
        yield chunk


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    yield rest.decode(errors="replace")


def _closing(closed: bool) -> str:
    return "closed" if closed else "not closed"
