#!/usr/bin/env python3
"""A stand-in for `vllm serve`: prints what vLLM prints, then fails at the KV cache or serves. Standard library only.

The demo's images carry this file as the command `vllm`; the simulated device runs the same code in a thread.
WATCHER_DEMO_TORCH and WATCHER_DEMO_BUG, baked into the image, say what it stands for. It knows the phrases of our suite
by heart: the file stands beside it in the package, and at the same place from it in an image.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

ASSERT = (
    'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":1377,'
    " please report a bug to PyTorch. "
)
CLEAN = (
    "CUDA out of memory. Tried to allocate 1048576.00 GiB. GPU 0 has a total capacity of 15.29 GiB of which 6.02 GiB"
    " is free."
)
_API, _CORE = "(APIServer pid=1) INFO 11-24 02:00:0", "(EngineCore pid=57) "
_OPENING = (
    _API + "1 [utils.py:299] version {vllm}",
    _API + "1 [utils.py:233] non-default args: {{'model': '{model}', 'enable_auto_tool_choice': True}}",
    _API + "2 [model.py:530] Resolved architecture: LlamaForCausalLM",
    _API + "2 [model.py:1545] Using max model len 4096",
    _CORE + "INFO 11-24 02:00:09 [core.py:94] Initializing a V1 LLM engine (v{vllm}) with config: model='{model}'",
    _CORE + "INFO 11-24 02:00:12 [gpu_model_runner.py:4100] Starting to load model {model}...",
    _CORE + "INFO 11-24 02:00:31 [default_loader.py:308] Loading weights took 17.42 seconds",
    _CORE + "INFO 11-24 02:00:32 [gpu_model_runner.py:4190] Model loading took 2.14 GiB memory and 19.8 seconds",
    _CORE + "INFO 11-24 02:00:38 [gpu_worker.py:356] Available KV cache memory: 3.57 GiB",
)
_FAILURE = (
    _CORE + "ERROR 11-24 02:00:39 [core.py:867] EngineCore failed to start.",
    _CORE + "ERROR 11-24 02:00:39 [core.py:867] Traceback (most recent call last):",
    _CORE
    + 'ERROR 11-24 02:00:39 [core.py:867]   File "/opt/vllm/v1/worker/gpu_model_runner.py", line 4719, in initialize',
    _CORE + "ERROR 11-24 02:00:39 [core.py:867]     tensor = torch.zeros(size, dtype=torch.int8, device=self.device)",
    _CORE + "ERROR 11-24 02:00:39 [core.py:867] " + ASSERT,
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}",
)
_READY = (
    _CORE + "INFO 11-24 02:00:39 [kv_cache_utils.py:1291] GPU KV cache size: 33,424 tokens",
    _CORE + "INFO 11-24 02:00:44 [core.py:259] init engine (profile, create kv cache, warmup model) took 6.02 seconds",
    _API + "3 [api_server.py:1020] Starting vLLM server on http://0.0.0.0:8000",
    "(APIServer pid=1) INFO:     Started server process [1]",
    "(APIServer pid=1) INFO:     Application startup complete.",
)


def log_lines(vllm: str, model: str, has_bug: bool) -> Iterator[str]:
    """Yield the log of one start, up to its failure or its readiness."""
    for line in (*_OPENING, *(_FAILURE if has_bug else _READY)):
        yield line.format(vllm=vllm, model=model)


def probe_line(env: Mapping[str, str]) -> str:
    """Return what the bug's probe prints in such an image on a Jetson, where NVML refuses the process query."""
    has_bug, torch = env.get("WATCHER_DEMO_BUG") == "yes", env.get("WATCHER_DEMO_TORCH")
    told = {
        "trap_set": True,
        "trap": "NVML refused the process query with code 3",
        "saw": "fault" if has_bug else "clean",
        "text": ASSERT.removeprefix("RuntimeError: ") if has_bug else CLEAN,
        "torch": torch,
        "library": env.get("WATCHER_DEMO_LIBRARY", "/usr/lib/python3/dist-packages/torch/lib/libc10_cuda.so"),
    }
    return "WATCHER-PROBE " + json.dumps(told)


class EngineServer(ThreadingHTTPServer):
    """The server of a healthy engine. It has its port from the start, and answers there once `open` was called."""

    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        super().__init__((address, port), Engine, bind_and_activate=False)
        self.server_bind()

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which may take long in a network without a way out."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def open(self) -> None:
        """Serve until `shutdown` is called from another thread."""
        self.server_activate()
        self.serve_forever(poll_interval=0.05)


class Engine(BaseHTTPRequestHandler):
    """The routes that a trial asks: health, models, chat completions plain, streamed and with a tool."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self._send(200, b"", "text/plain")
        elif self.path == "/v1/models":
            self._json({"object": "list", "data": [{"id": "watcher-trial", "object": "model", "max_model_len": 4096}]})
        else:
            self._send(404, b'{"detail":"Not Found"}', "application/json")

    def do_POST(self) -> None:
        ask = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path != "/v1/chat/completions":
            self._send(404, b'{"detail":"Not Found"}', "application/json")
        elif ask.get("stream"):
            self._stream(("Hello", ", what", " can I", " do?"))
        else:
            message, reason = _reply(ask)
            choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
            self._json(
                {"id": "chatcmpl-1", "object": "chat.completion", "model": ask.get("model"), "choices": [choice]}
            )

    def _stream(self, pieces: tuple[str, ...]) -> None:
        deltas = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        lines = [json.dumps({"object": "chat.completion.chunk", **delta}) for delta in deltas] + ["[DONE]"]
        self._send(200, "".join(f"data: {line}\n\n" for line in lines).encode(), "text/event-stream")

    def _json(self, document: dict[str, Any]) -> None:
        self._send(200, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the log is the script's."""


def _reply(ask: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the message and why it ends: the calls that a phrase wants where tools are offered, else a sentence."""
    calls = _calls_by_phrase().get(str(ask["messages"][-1].get("content"))) if ask.get("tools") else None
    if not calls:
        return {"content": "Hello, what can I do?" if calls is None else "I will remember that."}, "stop"
    made = [
        {"id": f"call-{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(calls)
    ]
    return {"content": None, "tool_calls": made}, "tool_calls"


@lru_cache(maxsize=1)
def _calls_by_phrase() -> dict[str, list[tuple[str, str]]]:
    """Return the name and the arguments of each wanted call; where several values are right, the first."""
    suite = json.loads((Path(__file__).resolve().parents[1] / "suites" / "builtin.json").read_text(encoding="utf-8"))
    return {row["say"]: [_first_of(call) for call in row["calls"]] for row in suite["phrases"] + suite["accuracy"]}


def _first_of(call: dict[str, Any]) -> tuple[str, str]:
    values = {key: value[0] if isinstance(value, list) else value for key, value in call["arguments"].items()}
    return call["name"], json.dumps(values)


def main() -> None:
    """Act as `vllm serve MODEL … --port PORT` in a container."""
    has_bug = os.environ.get("WATCHER_DEMO_BUG") == "yes"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model = sys.argv[2] if len(sys.argv) > 2 else "model"
    for line in log_lines(os.environ.get("WATCHER_DEMO_VLLM", "0.32.0"), model, has_bug):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        time.sleep(0.05)
    if has_bug:
        sys.exit(1)
    port = int(sys.argv[sys.argv.index("--port") + 1]) if "--port" in sys.argv else 8000
    EngineServer("0.0.0.0", port).open()  # noqa: S104  inside the trial's own network


if __name__ == "__main__":
    main()
