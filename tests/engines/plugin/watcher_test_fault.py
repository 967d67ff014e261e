"""A vLLM plugin that makes the real engine fail at a chosen step, as the environment says. Without it, nothing changes.

FAULT_AT_LOAD, FAULT_AT_KV, FAULT_AT_RUN    the text with which the step fails: loading the model, allocating the
                                            KV cache (where a Jetson's allocator asserts), answering a request
FAULT_ACT       `raise` (the default) a RuntimeError of that text, `kill` the process by SIGKILL, `hang`
FAULT_STDERR    printed to stderr right before, as native libraries do
"""

import os
import signal
import sys
import time
from typing import Any, NoReturn

STEPS = {"FAULT_AT_LOAD": "load_model", "FAULT_AT_KV": "initialize_kv_cache", "FAULT_AT_RUN": "execute_model"}


def register() -> None:
    """Put the faults in place; vLLM calls this in every one of its processes."""
    asked = {method: os.environ[name] for name, method in STEPS.items() if os.environ.get(name)}
    if not asked:
        return
    from vllm.v1.worker.cpu_model_runner import CPUModelRunner

    for method, text in asked.items():
        setattr(CPUModelRunner, method, _failing(text))


def _failing(text: str) -> Any:
    def fail(*_args: object, **_named: object) -> NoReturn:
        printed = os.environ.get("FAULT_STDERR")
        if printed:
            print(printed, file=sys.stderr, flush=True)
        act = os.environ.get("FAULT_ACT", "raise")
        if act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if act != "raise":
            time.sleep(1_000_000)
        raise _error(os.environ.get("FAULT_ERROR", "RuntimeError"))(text)

    return fail


def _error(name: str) -> Any:
    import builtins

    import torch

    return getattr(torch, name, None) or getattr(builtins, name)
