"""A stand-in for `ollama serve` on Ollama's own routes, run inside containers.

Python 3.11 standard library only; it imports nothing of this project. What it does is chosen by environment:

    OLLAMA_HOST, OLLAMA_MODELS     as the real one reads them: where it listens, below which folder models lie
    STUB_MODE       healthy | crash-loop (it ends at once, as a shell without a terminal does) | refuses-to-load
    STUB_TOOLS      `none`: it never calls a tool (calls)
    STUB_VRAM       how much of the model, in percent, lies in the GPU's memory (100)
"""

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
SIZE = 2_000_000_000
WORDS = ("Hello", " from", " the", " stand-in", ".")
loaded: list[str] = []


def say(text: str) -> None:
    print(f"time={time.strftime('%Y-%m-%dT%H:%M:%S')}.000Z level=INFO source=stub.go:1 {text}", flush=True)


def has_model(name: str) -> bool:
    """Return whether the model's manifest lies where Ollama keeps it."""
    model, _, tag = name.partition(":")
    folder = Path(os.environ.get("OLLAMA_MODELS", "/root/.ollama/models")) / "manifests" / "registry.ollama.ai"
    return (folder / "library" / model / (tag or "latest")).is_file()


def known_models() -> list[str]:
    """Return the names of the models whose manifests lie there, as the real one lists them."""
    library = Path(os.environ.get("OLLAMA_MODELS", "/root/.ollama/models")) / "manifests/registry.ollama.ai/library"
    return sorted(f"{file.parent.name}:{file.name}" for file in library.glob("*/*"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        print(f'[GIN] {args[1] if len(args) > 1 else ""} | {self.client_address[0]} | "{self.requestline}"', flush=True)

    def do_GET(self) -> None:
        match self.path:
            case "/":
                self.send(200, b"Ollama is running", "text/plain")
            case "/api/version":
                self.send_json({"version": "0.0.0"})
            case "/api/ps":
                self.send_json({"models": [self.row(name) for name in loaded]})
            case "/api/tags":
                self.send_json({"models": [{"name": name, "model": name, "size": SIZE} for name in known_models()]})
            case _:
                self.send(404, b"404 page not found", "text/plain")

    def row(self, name: str) -> dict[str, Any]:
        share = int(os.environ.get("STUB_VRAM", "100"))
        tagged = name if ":" in name else f"{name}:latest"
        return {"name": tagged, "model": tagged, "size": SIZE, "size_vram": SIZE * share // 100}

    def do_POST(self) -> None:
        ask = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        name = str(ask.get("model"))
        if self.path != "/api/chat":
            self.send(404, b"404 page not found", "text/plain")
        elif not has_model(name):
            self.send_json({"error": f"model '{name}' not found"}, 404)
        elif MODE == "refuses-to-load":
            say('msg="model requires more system memory (5.1 GiB) than is available (1.2 GiB)"')
            self.send_json({"error": "model requires more system memory (5.1 GiB) than is available (1.2 GiB)"}, 500)
        else:
            loaded.append(name) if name not in loaded else None
            del loaded[: -int(os.environ.get("OLLAMA_MAX_LOADED_MODELS", "3"))]
            self.answer(name, ask)

    def answer(self, name: str, ask: dict[str, Any]) -> None:
        ending = {"model": name, "done": True, "done_reason": "stop", "eval_count": 5, "eval_duration": 10**9}
        if ask.get("stream", True):  # as the real one: a stream unless told otherwise
            pieces = [{"message": {"role": "assistant", "content": word}, "done": False} for word in WORDS]
            lines = [*pieces, {**ending, "message": {"role": "assistant", "content": ""}}]
            body = "".join(json.dumps(line) + "\n" for line in lines).encode()
            self.send(200, body, "application/x-ndjson")
        else:
            self.send_json({**ending, "message": message(ask)})

    def send_json(self, value: object, status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), "application/json; charset=utf-8")

    def send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def message(ask: dict[str, Any]) -> dict[str, Any]:
    """Return the answer: a call of the first tool where tools are declared, its arguments as an object."""
    tools = ask.get("tools") or []
    if not tools or os.environ.get("STUB_TOOLS") == "none":
        return {"role": "assistant", "content": "".join(WORDS)}
    function = tools[0]["function"]
    arguments = {name: "shopping" if "list" in name else "milk" for name in function["parameters"]["properties"]}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": function["name"], "arguments": arguments}}],
    }


def main() -> None:
    if sys.argv[1:] != ["serve"]:
        sys.exit(f'Error: unknown command {" ".join(sys.argv[1:])!r} for "ollama"')
    if MODE == "crash-loop":
        return
    host, _, port = os.environ.get("OLLAMA_HOST", "127.0.0.1:11434").rpartition(":")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    server = ThreadingHTTPServer((host, int(port)), Handler)
    say(f'msg="Listening on [::]:{port} (version 0.0.0)"')
    if os.environ.get("STUB_VRAM") == "0":
        say('source=gpu.go:377 msg="no compatible GPUs were discovered"')
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
