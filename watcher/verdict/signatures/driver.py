"""Driver, container runtime and the libraries that come from the host."""

import re

from watcher.model.verdict import FailureClass
from watcher.verdict.signatures.row import Signature, either

DRIVER = FailureClass.DRIVER_RUNTIME

SIGNATURES = (
    Signature(
        id="driver-too-old",
        failure_class=DRIVER,
        hints=("insufficient", "too old", "forward compat", "display driver", "unsupported driver", "nvidia driver"),
        pattern=either(
            r"driver version is insufficient|cudaErrorInsufficientDriver|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
            r"NVIDIA driver .{0,60}?too old|nvidia driver is too old or missing",
            r"forward compatibility was attempted",
            r"unsupported display driver|Found no NVIDIA driver|built for (?:NVIDIA|CUDA) Driver",
            r"(?:requires?|needs?) (?:an? )?(?:NVIDIA )?(?:CUDA )?driver (?:version )?(?:release )?(?:>=|\d+)",
            flags=re.IGNORECASE,
        ),
        title="the driver is missing or older than what the build needs",
        weight=70,
        taught_by="vllm/driver-too-old",
        any_level=True,
    ),
    Signature(
        id="container-runtime",
        failure_class=DRIVER,
        hints=(
            "runtime name",
            "select device driver",
            "nvidia-container",
            "cdi",
            "error running hook",
            "error running prestart hook",
            "nvidia-ctk",
            "csv mode",
        ),
        pattern=either(
            r"[Uu]nknown (?:or invalid )?runtime (?:name|specified)",
            r"could not select device driver",
            r"nvidia-container-(?:cli|runtime)\S*:.{0,80}?(?:error|fail|cannot|could not|no such|not )",
            r"error running (?:prestart )?hook",
            r"unresolvable CDI devices|failed to inject CDI|CDI device injection failed",
            r"failed to (?:construct|create) (?:OCI )?(?:spec modifier|NVIDIA Container Runtime)",
        ),
        title="Docker could not hand the GPU to the container",
        weight=72,
        taught_by="docker/nvidia-runtime-unknown",
    ),
    Signature(
        id="missing-library",
        failure_class=DRIVER,
        hints=(
            "cannot open shared object",
            "could not load library",
            "unable to load",
            "could not load dynamic",
            "file too short",
            "cannot load shared",
        ),
        pattern=either(
            r"\blib[\w.+-]+\.so[\w.]*: (?:cannot open shared object|file too short)",
            r"[Cc]ould not load (?:dynamic )?library '?\S*lib(?:cu|nv)\w+",
            r"[Uu]nable to load any of \{?libcud",
            r"[Uu]nable to load (?:cudart|\S*libcu\w+|\S*libnv\w+)",
        ),
        unless=re.compile(r"libtorch_hip|libtensorflow|amd_|rocm|xpu|intel", re.IGNORECASE),
        title="a shared library of CUDA or of the driver is not there",
        weight=70,
        taught_by="vllm/libcudart-missing",
    ),
    Signature(
        id="nvml",
        failure_class=DRIVER,
        hints=("nvml", "nvidia-smi has failed", "nvrm"),
        pattern=either(
            r"\bNVMLError\w*\b",
            r"[Ff]ailed to initialize NVML|NVML: Driver/library version mismatch|nvml error:"
            r"|NVML initialization failed",
            r"NVIDIA-SMI has failed because",
            r"nvmlInit\w*.{0,40}?(?:failed|error|returned)",
            r"NvRmMem\w+ failed|NvRmGpuLibOpen failed|NVRM: (?:API mismatch|RmInitAdapter failed)",
            flags=re.IGNORECASE,
        ),
        unless=re.compile(r"NVML_SUCCESS|omitting per-process", re.IGNORECASE),
        title="NVML or the kernel driver does not answer",
        weight=66,
        taught_by="vllm/nvml-rejects-the-device",
    ),
    Signature(
        id="no-device",
        failure_class=DRIVER,
        hints=(
            "no cuda",
            "cuda-capable",
            "cudagetdevicecount",
            "cuda unknown error",
            "device type",
            "no compatible gpu",
            "nvrmmem",
            "nvrmgpu",
            "cuda error:",
            "failed to initialize cuda",
            "cuda initialization",
            "cuinit",
        ),
        pattern=either(
            r"no CUDA-capable device|No CUDA GPUs are available|no CUDA devices? (?:found|detected|available)",
            r"Unexpected error from cudaGetDeviceCount|cudaGetDeviceCount.{0,30}?(?:failed|returned [1-9])",
            r"CUDA unknown error - this may be due to",
            r"Failed to infer device type|no compatible GPUs were discovered",
            r"NvRmMem\w+ failed|NvRmGpuLibOpen failed",
            r"failed to initialize CUDA|failed call to cuInit",
            r"CUDA error: (?:system not yet initialized|initialization error|invalid device ordinal"
            r"|CUDA-capable device\(s\) is/are busy|operation not supported|OS call failed)",
            flags=re.IGNORECASE,
        ),
        title="no usable GPU was found",
        weight=64,
        taught_by="ollama/no-compatible-gpu",
        any_level=True,
    ),
    Signature(
        id="nvml-warning",
        failure_class=DRIVER,
        hints=("initialize nvml",),
        pattern=re.compile(r"Can't initialize NVML"),
        title="PyTorch warns that NVML cannot be initialised",
        weight=30,
        taught_by="pytorch/nvml-warning-then-crash",
        any_level=True,
    ),
)
