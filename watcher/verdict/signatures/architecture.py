"""Code that was not built for this chip."""

import re

from watcher.model.verdict import FailureClass
from watcher.verdict.signatures.row import Signature, either

ARCH = FailureClass.ARCH_MISMATCH

SIGNATURES = (
    Signature(
        id="no-kernel-image",
        failure_class=ARCH,
        hints=("kernel image", "nokernelimage", "invalid device function", "named symbol not found"),
        pattern=either(
            r"no kernel image is available",
            r"device kernel image is invalid",
            r"cudaErrorNoKernelImageForDevice|CUDA_ERROR_NO_BINARY_FOR_GPU|cudaErrorInvalidKernelImage",
            r"invalid device function|cudaErrorInvalidDeviceFunction",
            r"CUDA.{0,20}?named symbol not found",
        ),
        title="the build holds no code for this GPU",
        weight=74,
        taught_by="pytorch/no-kernel-image",
        after_ready=True,
    ),
    Signature(
        id="ptx-or-assembler",
        failure_class=ARCH,
        hints=("ptx", "gpu-name", "gpu architecture", "passmanager", "recognized processor", "llvm error", "mlir"),
        pattern=either(
            r"PTX was compiled with an unsupported toolchain|UnsupportedPtxVersion|UNSUPPORTED_PTX_VERSION",
            r"a PTX JIT compilation failed|CUDA_ERROR_INVALID_PTX",
            r"is not defined for option '?(?:gpu-name|arch)",
            r"ptxas(?:-\w+)?\s+(?:fatal|error)|PTXAS error|PTX codegen error",
            r"Unsupported (?:gpu|GPU) architecture|nvcc fatal\s*: Unsupported",
            r"requires \.target sm_\d+",
            r"PassManager::run failed|Failures have been detected while processing an MLIR pass pipeline",
            r"is not a recognized processor|LLVM ERROR: Cannot select",
        ),
        title="the compiler or its output does not know this GPU",
        weight=72,
        taught_by="pytorch/ptxas-does-not-know-the-chip",
        after_ready=True,
    ),
    Signature(
        id="unsupported-chip",
        failure_class=ARCH,
        hints=(
            "compute capability",
            "cuda capability",
            "ampere",
            "sm_",
            "incompatible device",
            "exec format error",
            "gpu sm ",
            "in this architecture",
            "targeting appropriate",
            "only supports sm",
            "triton gpu compiler",
            "no device code compatible",
        ),
        pattern=either(
            r"(?:only support(?:s|ed)?|requires?)\b.{0,60}?(?:Ampere|Hopper|Blackwell|Turing"
            r"|compute capability|\bSM ?_?\d)",
            r"compute capability .{0,60}?(?:not supported|unsupported|too (?:low|old)|is required)",
            r"(?:not support(?:ed)?|unsupported|no kernel)\b.{0,60}?\bsm_?\d{2,3}\b",
            r"\bsm_?\d{2,3}a?\b.{0,40}?(?:not supported|unsupported|is not compatible)",
            r"Arch conditional MMA instruction used without targeting",
            r"too old to be supported by the triton GPU compiler|no device code compatible with CUDA arch",
            r"No compiled \w+ for .{0,20}?compute capability",
            r"generated on an incompatible device",
            r"GPU SM \d+ is not supported|not supported in this architecture",
            r"exec format error",
            flags=re.IGNORECASE,
        ),
        unless=re.compile(r"Bfloat16 is only supported|falling back", re.IGNORECASE),
        title="the program says itself that it does not support this chip",
        weight=70,
        taught_by="vllm/kernel-needs-newer-gpu",
    ),
)
