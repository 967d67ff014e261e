"""A stand-alone engine that speaks OpenAI's dialect, run inside containers as `vllm serve MODEL …`.

Python 3.11 standard library only; it imports nothing of this project. What it does is chosen by environment:

    STUB_MODE       healthy | assert | oom | fixed-oom | crash | hang | exit0 | ignore-term | never-ready |
                    die-after-ready
                    as it comes up: fork-away | thread-bomb | flood | crash-loop | fill-files | tls
                    to each question: garbage | endless-body | endless-headers | redirect | closes | hang-requests
    STUB_BAD_STARTS numbers of the starts, as 0,4,5, that fail with the assert whatever the mode (none)
    STUB_COUNT      file on a writable mount in which starts are counted for that (/count/starts)
    STUB_DELAY      seconds until it is ready or fails (0.3)
    STUB_LIFE       seconds after readiness until `die-after-ready` dies (2)
    STUB_TOOLS      `none`: it never calls a tool (calls)
    STUB_ELSEWHERE  where `redirect` points
    STUB_FLOOD      megabytes that `flood` writes (200)
    STUB_SAYS       what `never-ready` says ten times a second (once, that it is still loading)
    STUB_SUITE      a suite of phrases (JSON): it answers each of them with the calls that are wanted (no suite)
    STUB_PHRASES    how it answers phrases of the suite from the STUB_FROM-th on (0): right | wrong | hostile |
                    slow (STUB_PACE seconds each, 1) | trickle (a byte each STUB_PACE seconds) | die | sick
    STUB_MEMORY     bytes that it takes before it is ready (0)
    STUB_FILLS      the folder that `fill-files` fills, up to 2 GB (/tmp)
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODE = os.environ.get("STUB_MODE", "healthy")
DELAY = float(os.environ.get("STUB_DELAY", "0.3"))
LIFE = float(os.environ.get("STUB_LIFE", "2"))
ASSERT = (
    'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":1131, '
    "please report a bug to PyTorch. "
)
WARNING = (
    "[W CUDACachingAllocator.cpp:1204] Warning: nvmlDeviceGetComputeRunningProcesses failed; omitting per-process "
    "memory info from CUDA out-of-memory messages. (function reportProcessMemoryInfo)"
)
OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB. "
    "GPU 0 has a total capacity of 15.29 GiB of which 312.00 MiB is free."
)
ODD_ANSWERS = ("garbage", "endless-body", "endless-headers", "redirect", "closes", "hang-requests")
TEXT = "Hello from the stub engine."


MANNER = os.environ.get("STUB_PHRASES", "right")
FROM = int(os.environ.get("STUB_FROM", "0"))
PACE = float(os.environ.get("STUB_PACE", "1"))
DEEP = "[" * 900 + "]" * 900
HOSTILE: list[Any] = [
    None,
    [],
    {"tool_calls": {"a": 1}},
    {"tool_calls": [None, 7, "x", {"function": None}, {"function": {"name": ["x"], "arguments": {}}}]},
    {"tool_calls": [{"function": {"name": "add_to_list", "arguments": DEEP}}]},
    {"tool_calls": [{"function": {"name": "add_to_list", "arguments": "[" * 100_000}}]},
    {"tool_calls": [{"function": {"name": "add_to_list", "arguments": '{"item": ' + "9" * 5000 + "}"}}]},
    {"tool_calls": [{"function": {"name": "add_to_list", "arguments": "{}"}}] * 20_000},
    {"tool_calls": [{"function": {"name": "\x1b[2J" * 1000, "arguments": '{"\\ud800": "\\udfff"}'}}]},
    {"content": "x" * 3_000_000},
    {"content": {"deep": [[[[]]]]}},
]


class State:
    ready = False
    dead = False
    requests = 0
    phrases = 0


def known_calls() -> dict[str, list[dict[str, Any]]]:
    """Return the wanted calls by what is said; where several values are right, the first."""
    if "STUB_SUITE" not in os.environ:
        return {}
    read = json.loads(Path(os.environ["STUB_SUITE"]).read_text(encoding="utf-8"))
    rows = read["phrases"] + read["accuracy"]
    return {row["say"]: [_chosen(call) for call in row["calls"]] for row in rows}


def _chosen(call: dict[str, Any]) -> dict[str, Any]:
    chosen = {key: value[0] if isinstance(value, list) else value for key, value in call["arguments"].items()}
    return {"name": call["name"], "arguments": chosen}


KNOWN = known_calls()


def say(text: str, level: str = "INFO", process: str = "EngineCore") -> None:
    stamp = time.strftime("%m-%d %H:%M:%S")
    print(f"({process} pid={os.getpid()}) {level} {stamp} [stub.py:1] {text}", flush=True)


def traceback_of(error: str) -> None:
    say("EngineCore failed to start.", "ERROR")
    for line in ("Traceback (most recent call last):", '  File "/opt/stub/core.py", line 7, in allocate', error):
        say(line, "ERROR")
    say("RuntimeError: Engine core initialization failed. See root cause above.", "ERROR", "APIServer")


def fail(error: str) -> None:
    traceback_of(error)
    os._exit(1)


def fork_away() -> None:
    """Leave a grandchild in a session of its own that ignores SIGTERM, and exit well."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(10**6)
        os._exit(0)
    say("went to the background")
    os._exit(0)


def bomb() -> None:
    """Take every process that the limit allows, and go on trying."""
    started = 0
    while True:
        try:
            threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()
            started += 1
        except RuntimeError:
            say(f"no more after {started}")
            time.sleep(1)
            os._exit(1)


def flood() -> None:
    line = b"(EngineCore pid=7) INFO the same again and again " + b"x" * 975 + b"\n"
    for _ in range(int(os.environ.get("STUB_FLOOD", "200"))):
        os.write(1, line * 1024)
    fail(ASSERT)


def fill_files() -> None:
    place = Path(os.environ.get("STUB_FILLS", "/tmp")) / "cache"
    with place.open("wb", buffering=0) as file:
        try:
            for _ in range(2000):
                file.write(b"x" * 10**6)
        except OSError as error:
            fail(f"OSError: [Errno {error.errno}] {error.strerror}: '{place}'")


def crash_again_and_again() -> None:
    while True:
        if (child := os.fork()) == 0:
            say("EngineCore failed to start.", "ERROR")
            os._exit(1)
        os.waitpid(child, 0)
        time.sleep(0.5)


def is_bad_start() -> bool:
    """Count this start, and return whether it is one of those that fail."""
    wanted = os.environ.get("STUB_BAD_STARTS", "")
    if not wanted:
        return False
    with Path(os.environ.get("STUB_COUNT", "/count/starts")).open("a") as file:
        number = file.tell()
        file.write(".")
    return str(number) in wanted.split(",")


def come_up(served: str, port: int) -> None:
    say("version 0.0.0 of the stub", process="APIServer")
    say("Starting to load model")
    held = bytearray(int(os.environ.get("STUB_MEMORY", "0")))
    for offset in range(0, len(held), 4096):
        held[offset] = 1
    time.sleep(DELAY)
    say("Loading weights took 0.1 seconds")
    if is_bad_start():
        fail(ASSERT)
    match MODE:
        case "assert":
            fail(ASSERT)
        case "oom":
            fail(OOM)
        case "fixed-oom":
            say(WARNING, "WARNING")
            fail(OOM)
        case "crash":
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            say("Available KV cache memory: 3.00 GiB")
            time.sleep(10**6)
        case "exit0":
            os._exit(0)
        case "fork-away":
            fork_away()
        case "thread-bomb":
            bomb()
        case "flood":
            flood()
        case "crash-loop":
            crash_again_and_again()
        case "fill-files":
            fill_files()
        case "never-ready":
            while True:
                say(os.environ.get("STUB_SAYS", "still loading"))
                time.sleep(0.1 if "STUB_SAYS" in os.environ else 10**6)
    say(f"Starting vLLM server on http://0.0.0.0:{port} as {served}", process="APIServer")
    State.ready = True
    print(f"INFO:     Started server process [{os.getpid()}]", flush=True)
    print("INFO:     Application startup complete.", flush=True)
    if MODE == "die-after-ready":
        time.sleep(LIFE)
        say("EngineCore encountered a fatal error.", "ERROR")
        State.dead = True
        time.sleep(0.5)
        os._exit(0)
    time.sleep(10**6)
    del held


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served = ""

    def log_message(self, format: str, *args: object) -> None:
        print(
            f'INFO:     {self.client_address[0]} - "{self.requestline}" {args[1] if len(args) > 1 else ""}', flush=True
        )

    def do_GET(self) -> None:
        if not State.ready or State.dead:
            self.send(503, b"")
            return
        match self.path:
            case "/health":
                self.send(200, b"")
            case "/v1/models":
                self.send_json(
                    {"object": "list", "data": [{"id": self.served, "object": "model", "max_model_len": 4096}]}
                )
            case "/metrics":
                self.send(200, f"vllm:num_requests_running 0\nstub:requests_total {State.requests}\n".encode())
            case "/version":
                self.send_json({"version": "0.0.0"})
            case _:
                self.send_json({"error": {"message": "not found", "code": 404}}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if MODE in ODD_ANSWERS:
            self.close_connection = True
            self.odd(MODE)
            return
        if not State.ready or State.dead:
            self.send(503, b"")
            return
        ask = json.loads(body)
        State.requests += 1
        if self.path != "/v1/chat/completions":
            self.send_json({"error": {"message": "not found", "code": 404}}, 404)
            return
        if ask.get("model") != self.served:
            self.send_json({"error": {"message": f"no model {ask.get('model')}", "code": 404}}, 404)
            return
        if ask.get("stream"):
            self.stream()
            return
        if len(ask.get("tools") or []) > 1 and self.is_odd_phrase():
            return
        message, reason = answer(ask)
        self.send_json(
            {
                "id": "chatcmpl-stub",
                "object": "chat.completion",
                "model": self.served,
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": {"prompt_tokens": 8, "completion_tokens": 6, "total_tokens": 14},
            }
        )

    def is_odd_phrase(self) -> bool:
        """Return whether the phrase was answered here, in the way that STUB_PHRASES says."""
        number, State.phrases = State.phrases, State.phrases + 1
        if number < FROM:
            return False
        match MANNER:
            case "die":
                say("EngineCore encountered a fatal error.", "ERROR")
                os._exit(0)
            case "sick":
                State.dead = True
                self.send(503, b"")
            case "wrong":
                self.send_json({"choices": [{"message": {"content": "I would rather not."}}]})
            case "hostile":
                self.send_json({"choices": [{"message": HOSTILE[number % len(HOSTILE)]}]})
            case "trickle":
                self.trickle()
            case _:
                time.sleep(PACE if MANNER == "slow" else 0)
                return False
        return True

    def trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while True:
            time.sleep(PACE)
            self.wfile.write(b" ")
            self.wfile.flush()

    def odd(self, mode: str) -> None:
        match mode:
            case "garbage":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n" + bytes(range(256)))
            case "endless-body":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                while True:
                    self.wfile.write(b"[" * 65536)
            case "endless-headers":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    self.wfile.write(b"X-More: and more\r\n" * 1000)
            case "redirect":
                self.send_response(307)
                self.send_header("Location", os.environ["STUB_ELSEWHERE"])
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "hang-requests":
                time.sleep(10**6)
            # "closes": nothing is said

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for word in TEXT.split(" "):
            piece = {"choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def send_json(self, value: object, status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class TlsServer(ThreadingHTTPServer):
    """Says what a TLS server says to whoever does not speak TLS: an alert."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        request.recv(4096)
        request.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
        self.shutdown_request(request)


def answer(ask: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a message and its finish reason: a call of the first tool when one fits, else plain text."""
    tools = ask.get("tools") or []
    said = str(ask["messages"][-1].get("content", ""))
    if not tools or os.environ.get("STUB_TOOLS") == "none":
        return {"role": "assistant", "content": TEXT}, "stop"
    if said in KNOWN:
        return known_answer(KNOWN[said])
    function = tools[0]["function"]
    names = function.get("parameters", {}).get("properties", {})
    arguments = {name: "milk" if "milk" in said.lower() and "list" not in name else "shopping" for name in names}
    call = {
        "id": "call-1",
        "type": "function",
        "function": {"name": function["name"], "arguments": json.dumps(arguments)},
    }
    return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


def known_answer(calls: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    if not calls:
        return {"role": "assistant", "content": "I will remember that."}, "stop"
    made = [
        {"id": f"call-{number}", "type": "function", "function": call | {"arguments": json.dumps(call["arguments"])}}
        for number, call in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}, "tool_calls"


def end(_number: int, _frame: object) -> None:
    say("shutdown asked for", process="APIServer")
    if MODE != "ignore-term":
        os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("model")
    parser.add_argument("--served-model-name")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000)
    asked, others = parser.parse_known_args()
    Handler.served = asked.served_model_name or asked.model
    signal.signal(signal.SIGTERM, end)
    say(f"non-default args: {others}", process="APIServer")
    server = (TlsServer if MODE == "tls" else ThreadingHTTPServer)((asked.host, asked.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        come_up(Handler.served, asked.port)


if __name__ == "__main__":
    main()
