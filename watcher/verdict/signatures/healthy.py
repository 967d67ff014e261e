"""Lines which say that an engine came up or works."""

import re

from watcher.model.verdict import FailureClass
from watcher.verdict.signatures.row import Role, Signature, either

HEALTHY = FailureClass.HEALTHY

SIGNATURES = (
    Signature(
        id="ready",
        failure_class=HEALTHY,
        hints=(
            "startup complete",
            "server is listening on http",
            "fired up and ready",
            "starting the main loop",
            "started http",
            "started grpc",
            "llama runner started",
            "model loaded",
            "uvicorn running",
        ),
        pattern=either(
            r"(?:^|\bINFO\b.{0,60}?)Application startup complete\.",
            r"\bserver is listening on http|starting the main loop",
            r"The server is fired up and ready to roll",
            r"Started (?:HTTPService|GRPCInferenceService) at",
            r"llama runner started in|\bINFO:\s+Uvicorn running on",
            r"^(?:srv\s+)?\w+: model loaded\b",
        ),
        title="the engine is up",
        weight=1,
        taught_by="llama.cpp/healthy",
        role=Role.READY,
        any_level=True,
    ),
    Signature(
        id="answers",
        failure_class=HEALTHY,
        hints=("http/1.", "| 200 |", "log_server_r"),
        pattern=either(
            r"\"(?:POST /\S*|GET /(?:health|ping|v1/models)) HTTP/1\.[01]\"\s+200\b",
            r"\[GIN\].*\|\s*200 \|.*(?:POST)\s+\"/(?:api|v1)/(?:chat|generate|completions|embed)",
            r"log_server_r: .*POST \S+ .* 200\b|request: POST \S+ \S+ 200\b",
        ),
        title="a request was answered",
        weight=1,
        taught_by="vllm/healthy-with-alarming-words",
        role=Role.ALIVE,
        any_level=True,
    ),
    Signature(
        id="asked-to-stop",
        failure_class=HEALTHY,
        hints=("shutdown triggered", "received signal="),
        pattern=re.compile(r"\[shutdown\] .*(?:shutdown triggered|received signal=SIG(?:TERM|INT))"),
        title="the server was asked to end: what it complains of from here on belongs to that",
        weight=0,
        taught_by="vllm/healthy-cpu-0.32",
        role=Role.STOP,
        any_level=True,
    ),
    Signature(
        id="listening",
        failure_class=HEALTHY,
        hints=("listening",),
        pattern=re.compile(r"Listening on \S+:\d+|HTTP server (?:is )?listening", re.IGNORECASE),
        title="a port is open",
        weight=0,
        taught_by="ollama/healthy",
        role=Role.LISTENING,
        any_level=True,
    ),
)
