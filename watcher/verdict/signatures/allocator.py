"""PyTorch's CUDA caching allocator: the bug's assert, its kin, and the text which replaced it."""

import re

from watcher.model.verdict import FailureClass
from watcher.verdict.signatures.row import Role, Signature, either

_QUOTE = r"(?:\\*[\"'`“”]{1,2}|&quot;|&#34;|&#x27;)"
_ASSERT = r"NVML_SUCCESS\s*==.{0,160}?INTERNAL\s+ASSERT\s+FAILED\s+at\s*(?:\w+\.py:\d+\s*)?"
"""Where rich wraps a line, the place of the call stands in a column at its right."""

SIGNATURES = (
    Signature(
        id="allocator-nvml-assert",
        failure_class=FailureClass.ALLOCATOR_NVML_ASSERT,
        hints=("nvml_success",),
        # Quotes and the line number tell the message of a run from a mention; the number itself and the
        # build path change with every build. A log may be cut inside the path.
        pattern=re.compile(
            _ASSERT + _QUOTE + r"[^\"']{0,200}?"
            r"(?:CUDACachingAllocator\.\s?cpp" + _QUOTE + r"\s*:\s*\d+|CUDACachingAlloc[\w.]*\s*(?:$|<cut>))"
        ),
        title="the NVML assert of PyTorch's CUDA allocator: an allocation was refused and could not be reported",
        weight=100,
        taught_by="vllm/nvml-assert-at-kv-cache",
        any_level=True,
        after_ready=True,
        joins=True,
    ),
    Signature(
        id="nvml-assert-elsewhere",
        failure_class=FailureClass.DRIVER_RUNTIME,
        hints=("nvml_success",),
        pattern=either(
            _ASSERT + _QUOTE + r"?[^\"']{0,200}?(?:PeerToPeerAccess|driver_api)\.cpp",
            r"Expected NVML_SUCCESS\s*==.{0,160}?to be true, but got false",
        ),
        title="an NVML assert outside the allocator: peer access or the driver API",
        weight=90,
        taught_by="pytorch/nvml-assert-in-peer-access",
        after_ready=True,
        joins=True,
    ),
    Signature(
        id="allocator-other-assert",
        failure_class=FailureClass.ALLOCATOR_OTHER_ASSERT,
        hints=("internal assert failed",),
        pattern=re.compile(
            r"INTERNAL ASSERT FAILED\s+at\s*" + _QUOTE + r"?[^\"']{0,200}?"
            r"(?:CUDACachingAllocator|CUDAMallocAsyncAllocator|CUDAPluggableAllocator|CUDAAllocatorConfig"
            r"|AllocatorConfig|CachingDeviceAllocator|CachingHostAllocator|CUDACachingHostAllocator)\.(?:cpp|h)"
        ),
        unless=re.compile(r"NVML_SUCCESS\s*=="),
        title="another internal assert of PyTorch's allocator",
        weight=85,
        taught_by="pytorch/allocator-pool-assert",
        after_ready=True,
        joins=True,
    ),
    Signature(
        id="cuda-driver-error",
        failure_class=FailureClass.ALLOCATOR_OTHER_ASSERT,
        hints=("cuda driver error:",),
        pattern=re.compile(r"CUDA driver error: (?!.*(?:kernel image|PTX|insufficient))"),
        title="the driver refused a mapping of expandable segments",
        weight=82,
        taught_by="pytorch/expandable-segments-driver-error",
        after_ready=True,
    ),
    Signature(
        id="nvml-query-warning",
        failure_class=FailureClass.GENUINE_OOM,
        hints=("omitting per-process memory info",),
        pattern=re.compile(r"nvml\w+ failed; omitting per-process memory info from CUDA out-of-memory messages"),
        title="the text that replaced the assert: NVML could not be asked, and PyTorch goes on",
        weight=0,
        taught_by="pytorch/fixed-build-out-of-memory",
        role=Role.NOTE,
        any_level=True,
        joins=True,
    ),
)
