"""Images with the two stand-in programs: an engine (`vllm serve …`) and a service that a trial displaces."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.real.base_image import build_image

if TYPE_CHECKING:
    from docker import DockerClient

StubMode = Literal[
    "healthy", "assert", "oom", "fixed-oom", "crash", "hang", "exit0", "ignore-term", "never-ready", "die-after-ready",
    "none", "fork-away", "thread-bomb", "flood", "crash-loop", "fill-files", "tls", "garbage",
    "endless-body", "endless-headers", "redirect", "closes", "hang-requests",
]  # fmt: skip
_HERE = Path(__file__).parent
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECOND = 10**9


def stub_image(
    client: "DockerClient", tag: str, mode: StubMode, files: Mapping[str, tuple[bytes, int]] | None = None, **env: str
) -> str:
    """Build an image whose `vllm` behaves as `mode` says, and return its id.

    `env` are the other STUB_… variables; `files` (path to content and mode) are added, for example a libc10_cuda.so.
    `none` has no `vllm` at all: its command cannot be executed.
    """
    program = {"/usr/local/bin/vllm": (_program("stub_program.py"), 0o755)} if mode != "none" else {}
    conf = {"Env": [_PATH, f"STUB_MODE={mode}", *(f"{name}={value}" for name, value in sorted(env.items()))]}
    return build_image(client, tag, {**program, **(files or {})}, conf)


def service_image(client: "DockerClient", tag: str, health: bool = True, **env: str) -> str:
    """Build the image of a displaced service (port 8080, with a Docker health check each second) and return its id."""
    conf: dict[str, object] = {
        "Env": [_PATH, *(f"{name}={value}" for name, value in sorted(env.items()))],
        "Cmd": ["python3", "/service.py"],
    }
    if health:
        conf["Healthcheck"] = _health_check()
    return build_image(client, tag, {"/service.py": (_program("service_program.py"), 0o755)}, conf)


def _health_check() -> dict[str, object]:
    ask = "import urllib.request as r;r.urlopen('http://127.0.0.1:8080/health',timeout=2)"
    return {"Test": ["CMD", "python3", "-c", ask], "Interval": _SECOND, "Timeout": 10 * _SECOND, "Retries": 1}


def _program(name: str) -> bytes:
    return b"#!/usr/bin/python3\n" + (_HERE / name).read_bytes()
