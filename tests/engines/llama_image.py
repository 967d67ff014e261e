"""The container image of a real llama.cpp: `llama-server` on the small base; a trial mounts packages and model."""

from typing import TYPE_CHECKING

from tests.engines.build import HERE
from tests.real.base_image import build_image

if TYPE_CHECKING:
    from docker import DockerClient

IMAGE = "dustynv/llama_cpp:b9016-r36.4-cu129-24.04"
SITE, MODEL = "/opt/llama", "/models/m.gguf"
_ENVIRONMENT = ["PATH=/usr/local/bin:/usr/bin:/bin", f"PYTHONPATH={SITE}", "PYTHONDONTWRITEBYTECODE=1"]


def llama_image(client: "DockerClient", tag: str = IMAGE, base: str | None = None, **env: str) -> str:
    """Build the image with `llama-server` and return its id; its packages are mounted by the trial."""
    program = b"#!/usr/bin/python3\n" + (HERE / "llama_server.py").read_bytes()
    conf = {"Env": [*_ENVIRONMENT, *(f"{name}={value}" for name, value in env.items())]}
    return build_image(client, tag, {"/usr/local/bin/llama-server": (program, 0o755)}, conf, base)
