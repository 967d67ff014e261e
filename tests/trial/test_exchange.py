"""What is asked of an engine: against a real process that speaks OpenAI's dialect, and one that talks nonsense."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest

from tests.real.ports import free_port
from tests.real.web import Reply, running_web
from watcher.trial.dialects import dialect_of, is_same_model, models_in, where_it_lies
from watcher.trial.exchange import EngineClient

PROGRAM = Path(__file__).parents[1] / "real" / "stub_program.py"
MODEL = "m"


@contextmanager
def engine(mode: str, **env: str) -> Iterator[EngineClient]:
    port = free_port()
    command = [sys.executable, str(PROGRAM), "serve", "/models/m", "--served-model-name", MODEL, "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port)], env={**os.environ, "STUB_MODE": mode, **env}, stdout=subprocess.DEVNULL
    )
    client = EngineClient(f"http://127.0.0.1:{port}", MODEL, "/health")
    try:
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


def wait_until_well(client: EngineClient) -> None:
    ends = time.monotonic() + 20
    while not client.is_well():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_healthy_engine_answers_streams_and_calls_the_tool() -> None:
    with engine("healthy") as client:
        wait_until_well(client)
        assert client.complete().ok
        assert client.stream().ok
        errand = client.call_tool()
        assert errand.ok, errand.text
        assert "milk" in errand.text


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
def test_who_is_asked_for_its_health_is_heard_out(status: str) -> None:
    """An engine that is still writing when its client hangs up may log that: an error which then reads as its own."""
    ended: list[bytes | str] = []

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\n".encode())
            for piece in (b"we", b"ll"):
                time.sleep(0.2)  # what hangs up after the head does it now
                try:
                    connection.sendall(piece)
                except OSError as error:
                    ended.append(type(error).__name__)
                    return
            try:
                ended.append(connection.recv(1))
            except OSError as error:
                ended.append(type(error).__name__)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = Thread(target=answer, args=(listening,))
        serving.start()
        client = EngineClient(f"http://127.0.0.1:{listening.getsockname()[1]}", MODEL, "/health")
        assert client.is_well() == (status == "200 OK")
        client.close()
        serving.join(20)
    assert ended == [b""]


def test_an_engine_that_calls_no_tool_is_said_so() -> None:
    with engine("healthy", STUB_TOOLS="none") as client:
        wait_until_well(client)
        errand = client.call_tool()
        assert not errand.ok
        assert "no tool was called" in errand.text


def test_an_engine_that_is_not_there_is_an_answer_and_no_error() -> None:
    client = EngineClient("http://127.0.0.1:1", MODEL, "/health")
    assert not client.is_well()
    assert not client.complete().ok
    assert not client.stream().ok
    assert not client.call_tool().ok
    client.close()


def called(name: str, arguments: str) -> bytes:
    """Return an answer that calls a tool."""
    call = {"function": {"name": name, "arguments": arguments}}
    return json.dumps({"choices": [{"message": {"content": None, "tool_calls": [call]}}]}).encode()


NONSENSE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"choices": 3}',
    b'{"choices": [{"message": []}]}',
    b'{"choices": [{"message": {"tool_calls": {"a": 1}}}]}',
    called("add_to_list", "{"),
    called("rm", "{}"),
    called("add_to_list", '{"item": "eggs"}'),
]


@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_an_answer_and_no_error(body: bytes) -> None:
    with running_web() as web:
        web.fallback = lambda _: Reply(200, body, {"Content-Type": "application/json"})
        client = EngineClient(web.url, MODEL, "/health")
        assert not client.call_tool().ok
        assert not client.stream().ok
        client.complete()
        client.close()


def test_a_connection_that_the_engine_closed_without_a_word_is_not_used_again() -> None:
    """llama.cpp closes one after a stream; a request on it would break off and look like the engine's failure."""
    with engine("healthy") as client:
        wait_until_well(client)
        client.complete()
        pool = client._http._transport._pool  # type: ignore[attr-defined]
        assert pool.connections == []


OLLAMAS_NONSENSE = [
    b"",
    b"[]",
    b'{"message": 3, "done": true}',
    b'{"error": "model not found"}',
    b'{"message": {"tool_calls": [{"function": {"name": "add_to_list", "arguments": "milk"}}]}}',
    b'{"message": {"tool_calls": [{"function": {"name": "add_to_list", "arguments": {"item": "eggs"}}}]}}',
]


@pytest.mark.parametrize("body", OLLAMAS_NONSENSE)
def test_nonsense_in_ollamas_dialect_is_an_answer_too(body: bytes) -> None:
    with running_web() as web:
        web.fallback = lambda _: Reply(200, body, {"Content-Type": "application/x-ndjson"})
        client = EngineClient(web.url, MODEL, "/api/version", dialect_of("ollama"))
        assert not client.call_tool().ok
        assert not client.stream().ok
        client.complete()
        assert client.shortfall() is None
        client.close()


@pytest.mark.parametrize("api", ["openai", "ollama"])
def test_an_answer_without_an_end_is_cut_off(api: Literal["openai", "ollama"]) -> None:
    with running_web() as web:
        web.fallback = lambda _: Reply(200, b"x" * 5_000_000, {"Content-Type": "text/plain"})
        client = EngineClient(web.url, MODEL, "/health", dialect_of(api))
        assert client.complete().text == "the answer does not end"
        assert client.stream().text == "the stream does not end"
        client.close()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"name": "m:latest", "size": 10, "size_vram": 0}, "the engine fell back to the CPU"),
        ({"name": "m", "size": 10, "size_vram": 4}, "40 % of the model"),
        ({"name": "m", "size": 10, "size_vram": 10}, None),
        ({"name": "another", "size": 10, "size_vram": 0}, None),
        ({"name": "m", "size": "10", "size_vram": None}, None),
    ],
)
def test_where_ollama_says_that_a_model_lies(row: dict[str, object], told: str | None) -> None:
    said = where_it_lies({"models": [row]}, "m")
    assert (said is None) if told is None else (said is not None and told in said)


def test_the_models_of_an_ollama_are_named_the_smallest_first() -> None:
    rows: list[object] = [
        {"name": "big:70b", "size": 40},
        {"name": "small:latest", "size": 2},
        {"name": "", "size": 1},
        {"size": 1},
        {"name": ["x"], "size": 1},
        "small",
        None,
        {"name": "unsized", "size": "?"},
    ]
    assert models_in({"models": rows}) == ("unsized", "small", "big:70b")
    assert models_in({}) == models_in({"models": 3}) == ()
    assert is_same_model("small", "small:latest")
    assert not is_same_model("small", "small:3b")


def test_other_models_and_loaded_ones_are_asked_for_on_their_routes() -> None:
    tags = {"models": [{"name": "m:latest", "size": 3}, {"name": "other:1b", "size": 2}]}
    with running_web() as web:
        bodies = {"/api/tags": tags, "/api/ps": {"models": [{"name": "m:latest", "size": 3}]}}
        web.fallback = lambda request: Reply(200, json.dumps(bodies[request.path]).encode())
        client = EngineClient(web.url, MODEL, "/", dialect_of("ollama"))
        assert client.other_models() == ("other:1b",)
        assert client.loaded_among((MODEL, "other:1b")) == (MODEL,)
        client.close()
        plain = EngineClient(web.url, MODEL, "/")
        assert (plain.other_models(), plain.loaded_among((MODEL,))) == ((), ()), "no such routes"
        plain.close()
