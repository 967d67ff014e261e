"""The service that a trial displaces: a small HTTP server with a health route. Standard library only.

    GET /          200 and the name in SERVICE_NAME
    GET /health    503 while a file /tmp/ill exists or SERVICE_WARM_UP seconds since the start have not passed, else 200

SERVICE_STOP_SECONDS is how long it takes to end after SIGTERM (0); it then writes the word `saved`, so that a test can
see whether it was given that time.
"""

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STARTED = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        status = 503 if self.path == "/health" and is_ill() else 200
        body = os.environ.get("SERVICE_NAME", "service").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def is_ill() -> bool:
    warm_up = float(os.environ.get("SERVICE_WARM_UP", "0"))
    return Path("/tmp/ill").exists() or time.monotonic() - STARTED < warm_up


def end(_number: int, _frame: object) -> None:
    time.sleep(float(os.environ.get("SERVICE_STOP_SECONDS", "0")))
    print("saved", flush=True)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    print("service up", flush=True)
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("SERVICE_PORT", "8080"))), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:  # a signal that another thread took does not end signal.pause()
        time.sleep(1)
