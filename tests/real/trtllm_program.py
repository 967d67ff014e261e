"""A stand-in for TensorRT's servers on the routes of their documentation, run inside containers.

Python 3.11 standard library only; it imports nothing of this project. Called as `trtllm-serve ENGINE …` it stands for
TensorRT-LLM, called with `--engine-dir` for the server of TensorRT Edge-LLM. Neither calls a tool.
"""

import argparse
import json
import os
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            self.send(200, b"", "text/plain")
        elif self.path == "/metrics":  # JSON, unlike the others
            self.send(200, b"[]", "application/json")
        else:
            self.send(404, b'{"detail":"Not Found"}', "application/json")

    def do_POST(self) -> None:
        ask: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        if self.path != "/v1/chat/completions":
            self.send(404, b'{"detail":"Not Found"}', "application/json")
        elif ask.get("stream"):
            pieces = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("Hel", "lo.")]
            body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
            self.send(200, body.encode(), "text/event-stream")
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
            self.send(200, json.dumps({"object": "chat.completion", "choices": [choice]}).encode(), "application/json")

    def send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", nargs="?")
    parser.add_argument("--engine-dir")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8000)
    for name, kind in (("batch_size", int), ("seq_len", int)):
        parser.add_argument(f"--max_{name}", type=kind)
    parser.add_argument("--kv_cache_free_gpu_memory_fraction", type=float)
    asked = parser.parse_args()
    folder = Path(asked.engine_dir or asked.engine or "")
    if not (folder / "config.json").is_file():
        raise SystemExit(f"RuntimeError: [TensorRT-LLM][ERROR] Error opening engine file: {folder}/config.json")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    HTTPServer((asked.host, asked.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
