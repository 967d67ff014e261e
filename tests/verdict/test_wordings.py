"""Single wordings, each with its class: what programs print, in the shortest form that must suffice."""

import pytest

from watcher.verdict.scan import scan

WORDINGS = [
    (
        "genuine-oom",
        "[TensorRT-LLM][ERROR] CUDA runtime error in ::cudaMallocAsync(ptr, n, mMemPool->getPool("
        "), mCudaStream->get()): out of memory",
    ),
    (
        "genuine-oom",
        "llama_kv_cache_init: failed to allocate buffer for kv cache\nllama_new_context_with_model"
        ": llama_kv_cache_init() failed for self-attention cache",
    ),
    ("genuine-oom", "Error: model requires more system memory (5.6 GiB) than is available (3.1 GiB)"),
    ("genuine-oom", "Error: llama runner process has terminated: signal: killed"),
    ("genuine-oom", "Error: llama runner process has terminated: cudaMalloc failed: out of memory"),
    (
        "genuine-oom",
        "jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.",
    ),
    (
        "genuine-oom",
        "[E] [TRT] Could not allocate: IBuilder::buildSerializedNetwork: Error Code 2: OutOfMemor"
        "y (Requested size was 123 bytes.)",
    ),
    ("genuine-oom", "docker compose: zoe-vllm exited with code 137"),
    ("genuine-oom", "Nov 20 08:00:01 orin kernel: Out of memory: Killed process 1234 (python3) total-vm:1kB"),
    (
        "genuine-oom",
        "ValueError: Free memory on device (5.2/7.4 GiB) on startup is less than desired GPU memo"
        "ry utilization (0.9, 6.6 GiB).",
    ),
    (
        "genuine-oom",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: can't alloc"
        "ate memory: you tried to allocate 123 bytes. Error code 12 (Cannot allocate memory)",
    ),
    (
        "genuine-oom",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.4 GiB total capacity)",
    ),
    ("genuine-oom", "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB"),
    ("genuine-oom", "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ("nvmap-alloc-failure", "[  120.1] nvmap_alloc_handle: pid 3211 (python3) Failed to allocate 4096 pages"),
    (
        "nvmap-alloc-failure",
        "NvMapMemAllocInternalTagged: 1075072515 error 12\nNvMapMemHandleAlloc: error 0\ntorch.OutO"
        "fMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
    ),
    ("arch-mismatch", "RuntimeError: CUDA error: no kernel image is available for execution on the device"),
    (
        "arch-mismatch",
        "ggml_cuda_compute_forward: MUL_MAT failed\nCUDA error: no kernel image is available for e"
        "xecution on the device\n  current device: 0, in function ggml_cuda_compute_forward",
    ),
    ("arch-mismatch", "nvcc fatal   : Unsupported gpu architecture 'compute_87'"),
    (
        "arch-mismatch",
        "ValueError: type fp8e4nv not supported in this architecture. The supported fp8 dtypes ar"
        "e ('fp8e4b15', 'fp8e5')",
    ),
    (
        "arch-mismatch",
        "UserWarning:\nOrin with CUDA capability sm_87 is not compatible with the current PyTorch "
        "installation.\nThe current PyTorch install supports CUDA capabilities sm_80 sm_90.\nRuntim"
        "eError: CUDA error: no kernel image",
    ),
    ("arch-mismatch", "cudaErrorNoKernelImageForDevice"),
    (
        "arch-mismatch",
        "[TRT] [E] IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Target GPU SM 86"
        " is not supported by this TensorRT release.)",
    ),
    ("arch-mismatch", "triton.compiler.errors: error: sm_110 unsupported"),
    ("arch-mismatch", "exec /usr/bin/bash: exec format error"),
    (
        "driver-runtime",
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
    ),
    ("driver-runtime", "OSError: libcuda.so.1: cannot open shared object file: No such file or directory"),
    ("driver-runtime", "OSError: /usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1: file too short"),
    ("driver-runtime", "RuntimeError: Failed to infer device type, please set the environment variable"),
    ("driver-runtime", "RuntimeError: No CUDA GPUs are available"),
    ("driver-runtime", "Failed to initialize NVML: Driver/library version mismatch"),
    ("driver-runtime", "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 801: operation not supported"),
    (
        "driver-runtime",
        "NvRmMemInitNvmap failed: error Permission denied\n549: Memory Manager Not supported\n****N"
        "vRmMemMgrInit failed**** error type: 196626",
    ),
    ("driver-runtime", "CUDA error 35: CUDA driver version is insufficient for CUDA runtime version"),
    ("driver-runtime", "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected"),
    ("driver-runtime", "ImportError: libcudnn.so.8: cannot open shared object file: No such file or directory"),
    (
        "driver-runtime",
        "ERROR: This container was built for NVIDIA Driver Release 580.82 or later, but version 5"
        "40.4.0 was detected and compatibility mode is UNAVAILABLE.",
    ),
    ("driver-runtime", "pynvml.nvml.NVMLError_LibraryNotFound: NVML Shared Library Not Found"),
    (
        "driver-runtime",
        "nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/x/merg"
        "ed/usr/lib/libcuda.so: file exists",
    ),
    ("driver-runtime", "Error: failed to open /dev/nvmap\ncudaGetDeviceCount failed: unknown error"),
    ("python-deps", "ImportError: cannot import name 'Qwen2VLForX' from 'transformers'"),
    (
        "python-deps",
        "ImportError: /usr/lib/aarch64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x.so)",
    ),
    ("python-deps", "RuntimeError: operator torchvision::nms does not exist"),
    ("python-deps", "AttributeError: module 'torch' has no attribute 'compiler'"),
    ("python-deps", "AttributeError: '_OpNamespace' '_C' object has no attribute 'rms_norm'"),
    ("python-deps", "importlib.metadata.PackageNotFoundError: No package metadata was found for vllm"),
    ("python-deps", "ERROR: vllm-0.9.0-cp312-cp312-linux_aarch64.whl is not a supported wheel on this platform."),
    ("python-deps", "AssertionError: Torch not compiled with CUDA enabled"),
    (
        "python-deps",
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 f"
        "rom C header, got 88 from PyObject",
    ),
    ("python-deps", "python3: No module named vllm"),
    (
        "python-deps",
        "OSError: /opt/venv/lib/python3.12/site-packages/torchaudio/lib/libtorchaudio.so: undefin"
        "ed symbol: _ZNK5torch8autograd4Node4nameEv",
    ),
    (
        "model-config",
        "ValueError: User-specified max_model_len (32768) is greater than the derived max_model_l"
        "en (max_position_embeddings=8192)",
    ),
    (
        "model-config",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value"
        " error, Invalid repository ID or local directory specified: '/models/x'",
    ),
    (
        "model-config",
        "llama_model_load: error loading model: error loading model architecture: unknown model a"
        "rchitecture: 'qwen3next'",
    ),
    ("model-config", "Error: pull model manifest: file does not exist"),
    ("model-config", "OSError: /models/x does not appear to have a file named config.json."),
    ("model-config", "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name'"),
    (
        "model-config",
        "KeyError: 'qwen3_5_moe'\nValueError: The checkpoint you are trying to load has model type"
        " `qwen3_5` but Transformers does not recognize this architecture.",
    ),
    (
        "model-config",
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
        "Your Xavier GPU has compute capability 7.2.",
    ),
    (
        "model-config",
        "ValueError: The model's max seq len (16384) is larger than the maximum number of tokens "
        "that can be stored in KV cache (7744). Try increasing `gpu_memory_utilization`",
    ),
    (
        "model-config",
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't"
        " find them in the cached files.",
    ),
    ("model-config", "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge"),
    ("model-config", "error: unknown argument: --flash-attn-x"),
    ("model-config", "ValueError: Weight input_size_per_partition = 10944 is not divisible by min_thread_k = 128."),
    (
        "network-pull",
        "Error response from daemon: manifest for dustynv/vllm:r36.5 not found: manifest unknown: manifest unknown",
    ),
    (
        "network-pull",
        "Error response from daemon: pull access denied for foo, repository does not exist or may"
        " require 'docker login'",
    ),
    ("network-pull", "toomanyrequests: You have reached your unauthenticated pull rate limit."),
    (
        "network-pull",
        "ERROR: failed to solve: dustynv/x: failed to resolve source metadata for docker.io/dustynv/x: not found",
    ),
    (
        "network-pull",
        'failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://x": dial'
        " tcp: lookup x: i/o timeout",
    ),
    (
        "network-pull",
        'docker: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lo'
        "okup registry-1.docker.io: Temporary failure in name resolution.",
    ),
    ("network-pull", "write /var/lib/docker/tmp/GetImageBlob123: no space left on device"),
    ("network-pull", "docker: unexpected EOF while pulling"),
    ("network-pull", 'ERROR: Get "https://nvcr.io/v2/": unauthorized: authentication required'),
    ("network-pull", "error pulling image configuration: download failed after attempts=6: EOF"),
    (
        "allocator-other-assert",
        'RuntimeError: !handles_.at(i) INTERNAL ASSERT FAILED at "c10/cuda/CUDACachingAllocator.c'
        'pp":487, please report a bug to PyTorch.',
    ),
    ("allocator-other-assert", "RuntimeError: CUDA driver error: invalid argument"),
    ("allocator-other-assert", "RuntimeError: CUDA driver error: out of memory"),
    ("other-crash", "RuntimeError: CUDA error: an illegal memory access was encountered"),
    ("other-crash", "Segmentation fault (core dumped)"),
    ("other-crash", "ERROR 01-01 00:00:00 [core.py:1] EngineCore failed to start.\nTimeoutError: timed out"),
    (
        "other-crash",
        "SIGSEGV: segmentation violation\nPC=0x0 m=3 sigcode=1 addr=0x0\nsignal arrived during cgo execution",
    ),
    ("other-crash", "GGML_ASSERT(ctx != nullptr) failed"),
    ("other-crash", "CUDA error: unspecified launch failure"),
    ("other-crash", "RuntimeError: CUDA error: unknown error"),
    ("other-crash", "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1, unhandled cuda error"),
    ("other-crash", "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ("other-crash", "RuntimeError: Engine process failed to start. See stack trace for the root cause."),
    (
        "healthy",
        'time=2025-01-01T00:00:00.000Z level=INFO source=server.go:619 msg="llama runner started '
        'in 3.01 seconds"\n[GIN] 2025/01/01 - 00:00:00 | 200 |  2.1s | 127.0.0.1 | POST     "/api/'
        'chat"',
    ),
    (
        "healthy",
        "main: server is listening on http://127.0.0.1:8080 - starting the main loop\nsrv  update_"
        "slots: all slots are idle",
    ),
    ("healthy", 'I0101 00:00:00.000000 1 http_server.cc:4692] "Started HTTPService at 0.0.0.0:8000"'),
    ("healthy", "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)"),
    (
        "healthy",
        '{"tid":"1","level":"INFO","function":"main","msg":"HTTP server listening","port":"8080"}'
        '\n{"level":"INFO","function":"log_server_request","msg":"request","method":"POST","path":'
        '"/completion","status":200}',
    ),
    ("no-evidence", "Has anyone gotten vLLM to run on the Orin NX? Mine says CUDA out of memory."),
    (
        "no-evidence",
        '# Known issues\n\n- `NVML_SUCCESS == r INTERNAL ASSERT FAILED at "../c10/cuda/CUDACachingA'
        'llocator.cpp":838` - masked OOM\n- CUDA out of memory: lower the utilization\n',
    ),
    (
        "no-evidence",
        'This PR replaces the assert NVML_SUCCESS == r INTERNAL ASSERT FAILED at "../c10/cuda/CUD'
        'ACachingAllocator.cpp":838 by a warning so that torch.OutOfMemoryError is raised.',
    ),
    (
        "no-evidence",
        "CUDA OOM could sometimes look like\n\n```\nRuntimeError: NVML_SUCCESS == r INTERNAL ASSERT "
        'FAILED at "../c10/cuda/CUDACachingAllocator.cpp":830, please report a bug to PyTorch. \n`'
        "``\n\nSee the tracker",
    ),
    (
        "no-evidence",
        'except RuntimeError as e:\n    # NVML_SUCCESS == r INTERNAL ASSERT FAILED at "../c10/cuda'
        '/CUDACachingAllocator.cpp":838, please report a bug to PyTorch.\n    if "NVML_SUCCESS" in'
        " str(e):\n        raise MemoryError from e",
    ),
    (
        "no-evidence",
        'def is_oom(e):\n    return "CUDA out of memory" in str(e) or "NVML_SUCCESS == r INTERNAL '
        'ASSERT FAILED at \\"../c10/cuda/CUDACachingAllocator.cpp\\":838" in str(e)',
    ),
    (
        "genuine-oom",
        'time=2026-02-11T19:20:31.101Z level=INFO source=sched.go:450 msg="Load failed" error="model requires more '
        'system memory (11.2 GiB) than is available (6.1 GiB)"',
    ),
    ("genuine-oom", '{"Status":"exited","OOMKilled":true,"ExitCode":137}'),
    ("genuine-oom", "Last State:  Terminated\n  Reason:    OOMKilled"),
    ("no-evidence", '{"Status":"exited","OOMKilled":false,"ExitCode":0}'),
    ("genuine-oom", "slurmstepd: error: Detected 2 oom_kill events in StepId=4.0."),
    ("genuine-oom", "llm.service: A process of this unit has been killed by the OOM killer."),
    ("genuine-oom", "systemd-oomd[5]: Killed /system.slice/llm.scope due to memory used (7) / total (8)"),
    ("genuine-oom", "earlyoom[6]: low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%"),
    (
        "genuine-oom",
        "CUDA error: out of memory\n  current device: 0, in function alloc at /b/ggml-cuda.cu:503\n  "
        "cuMemCreate(&handle, reserve_size, &prop, 0)\n/b/ggml-cuda.cu:96: CUDA error",
    ),
    ("arch-mismatch", "ERROR: CUDA kernel mul has no device code compatible with CUDA arch 870. Aborted (core dumped)"),
    ("arch-mismatch", "RuntimeError: Found a GPU which is too old to be supported by the triton GPU compiler"),
    ("arch-mismatch", "This kernel only supports sm100f.\nRuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"),
    (
        "arch-mismatch",
        "RuntimeError: No compiled scaled_mm for a compute capability less than CUDA device capability: 87",
    ),
    (
        "python-deps",
        "RuntimeError: Detected that PyTorch and torchvision were compiled with different CUDA major versions.",
    ),
    ("python-deps", "TypeError: Descriptors cannot be created directly."),
    (
        "model-config",
        "ValueError: To serve at least one request with the models's max seq len (32768), (4.50 GiB KV cache is needed",
    ),
    (
        "model-config",
        "OSError: We couldn't connect to 'https://huggingface.co' to load this file.\nCheckout your internet "
        "connection or see how to run the library in offline mode.",
    ),
    ("model-config", "TypeError: EngineArgs.__init__() got an unexpected keyword argument 'swap_spaces'"),
    ("model-config", "vllm serve: error: argument --limit-mm-per-prompt: Value {limit:1} cannot be converted"),
    ("model-config", 'error while handling argument "-ngl": stoi'),
    ("model-config", "ValueError: The number of required GPUs exceeds the total number of available GPUs"),
    ("model-config", "ValueError: As of transformers v4.44, default chat template is no longer allowed"),
    ("model-config", "jinja2.exceptions.TemplateSyntaxError: unexpected char '!' at 12"),
    ("model-config", "[TRT] [E] Error Code 1: Serialization (Version tag does not match. Current Version: 239)"),
    ("network-pull", 'Back-off pulling image "x/vllm:r36.5"'),
    ("network-pull", "  Reason:       ErrImagePull"),
    ("network-pull", "error getting credentials - err: exit status 1, out: ``"),
    ("network-pull", "E: Failed to fetch http://ports.example/x.deb  Could not connect"),
    ("other-crash", "[TensorRT-LLM][ERROR] Assertion failed: size == a * b (/code/world.cpp:91)"),
]


@pytest.mark.parametrize(("failure_class", "text"), WORDINGS)
def test_wording_is_read_as_its_class(failure_class: str, text: str) -> None:
    reading = scan([text.encode()])
    assert reading.failure_class.value == failure_class
    assert (reading.bug.value == "present") == (failure_class == "allocator-nvml-assert")
