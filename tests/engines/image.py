"""The container image of the slow tier: `vllm` on the small base, its packages and the model mounted from the cache.

3 GB are never copied: the image holds the program and its environment, a trial mounts `SITE` and `MODEL` read-only.
"""

from typing import TYPE_CHECKING

from tests.engines.build import EngineBuild
from tests.real.base_image import build_image

if TYPE_CHECKING:
    from docker import DockerClient

SITE, MODEL = "/opt/site", "/models/tiny"
ASSERT_TEXT = (
    'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":1131, '
    "please report a bug to PyTorch. "
)
"""What the allocator says on the user's device, where the KV cache is allocated."""
PROFILE_ARGS = (
    *("--dtype", "bfloat16", "--max-model-len", "1024", "--max-num-seqs", "4", "--enforce-eager"),
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
)
ULIMITS = {"stack": 67108864}
"""The preset's without `memlock = -1`, which a Docker engine that itself lives in a container may not grant."""
_PROGRAM = b"""#!/usr/bin/python3
import sys

from vllm.entrypoints.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": SITE,
    "PYTHONDONTWRITEBYTECODE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "2",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def vllm_image(client: "DockerClient", tag: str, **fault: str) -> str:
    """Build the image of a real vLLM and return its id; `fault` are the variables of plugin/watcher_test_fault.py."""
    environment = [f"{name}={value}" for name, value in {**_ENVIRONMENT, **fault}.items()]
    return build_image(client, tag, {"/usr/local/bin/vllm": (_PROGRAM, 0o755)}, {"Env": environment})


def mounts(build: EngineBuild) -> tuple[str, str]:
    """Return the `mounts` of `[engines.vllm]` that the image needs."""
    return f"{build.site}:{SITE}", f"{build.model}:{MODEL}"
