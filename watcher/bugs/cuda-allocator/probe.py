"""Ask one PyTorch whether its CUDA allocator can report that it ran out of memory.

Runs alone inside the candidate, as `python3 -c SOURCE`: standard library and torch only, Python 3.8 and up.
Prints one line, WATCHER-PROBE and a JSON object. README.md beside this file says what each step is for.
"""

import contextlib
import ctypes
import json
import os
import sys

MARKER = "WATCHER-PROBE "
MIB = 1 << 20
ABSURD = 1 << 50  # no machine has it; from 2^60 on PyTorch answers before it reaches the branch in question
NVML_INSUFFICIENT_SIZE = 7  # the query works, only our buffer was too small
ALLOCATOR_VARIABLES = (
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_HIP_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
)
QUERIES = {  # name in the library -> bytes of one process entry
    "nvmlDeviceGetComputeRunningProcesses": 16,
    "nvmlDeviceGetComputeRunningProcesses_v2": 24,
    "nvmlDeviceGetComputeRunningProcesses_v3": 24,
}
ENTRIES = 64


def main():
    told = {"trap_set": False, "trap": "not looked at", "saw": "nothing", "text": "", "torch": None, "library": None}
    try:
        probe(told)
    except BaseException as error:  # a result is owed whatever happens in here
        told["text"] = told["text"] or describe(error)
    say(told)


def probe(told):
    prepare()
    torch = import_torch(told)
    told["nvml"] = ask_nvml(pci_bus_id(torch))
    told["trap_set"], told["trap"] = is_trap_set(told["nvml"])
    if torch is None or not has_device(torch, told):
        return
    told["library"] = loaded_library()
    for size in (MIB, ABSURD):
        allocate(torch, size, told)
        if told["saw"] != "nothing":
            return
    told["saw"], told["text"] = "other", "an allocation of 2^50 bytes was granted"


def prepare():
    """Take away what would lead into another branch, and the working folder, where a source tree may lie."""
    for name in ALLOCATOR_VARIABLES:
        os.environ.pop(name, None)
    sys.path[:] = [entry for entry in sys.path if entry]


def import_torch(told):
    try:
        import torch
    except BaseException as error:
        told["text"] = "torch cannot be imported: " + describe(error)
        return None
    told["torch"] = str(getattr(torch, "__version__", None))
    return torch


def has_device(torch, told):
    """Return whether there is a CUDA device; the library is loaded and the device opened by this."""
    try:
        torch.cuda.init()
        if torch.cuda.is_available():
            return True
        told["text"] = "torch sees no CUDA device"
    except BaseException as error:
        told["text"] = "no CUDA device: " + describe(error)
    return False


def allocate(torch, size, told):
    """Ask for one block and keep what came of it; nothing is written into it, so nothing has to be there."""
    told["asked_bytes"] = size
    try:
        block = torch.empty(size, dtype=torch.uint8, device="cuda:0")
        del block
    except BaseException as error:
        told["exception"] = type(error).__name__
        told["text"] = str(error)[:4000]
        told["saw"] = judge(error)


def judge(error):
    """Return what an exception shows: by its meaning, never by the line number in it."""
    text = str(error)
    if "NVML_SUCCESS" in text and "INTERNAL ASSERT FAILED" in text and "CUDACachingAllocator.cpp" in text:
        return "fault"
    if type(error).__name__ == "OutOfMemoryError" and "Tried to allocate" in text and "total capacity" in text:
        return "clean"
    return "other"


def pci_bus_id(torch):
    """Return the first device's id as PyTorch writes it for NVML; None where nobody tells it."""
    try:
        told = torch.cuda.get_device_properties(0)
        return "%08x:%02x:%02x.0" % (told.pci_domain_id, told.pci_bus_id, told.pci_device_id)
    except BaseException:  # older torch, or none
        return driver_bus_id()


def driver_bus_id():
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        text, device = ctypes.create_string_buffer(32), ctypes.c_int()
        for code in (
            cuda.cuInit(0),
            cuda.cuDeviceGet(ctypes.byref(device), 0),
            cuda.cuDeviceGetPCIBusId(text, 32, device),
        ):
            if code != 0:
                return None
        domain, _, rest = text.value.decode().lower().partition(":")
        return domain.rjust(8, "0") + ":" + rest
    except BaseException:
        return None


def ask_nvml(bus_id):
    """Return the codes of the questions that PyTorch asks before it reports; stops at the first refusal, as it does."""
    codes = {"library": None, "bus_id": bus_id, "init": None, "handle": None, "queries": {}}
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as error:
        codes["error"] = str(error)
        return codes
    codes["library"] = nvml._name
    codes["init"] = call(nvml, "nvmlInit_v2")
    if codes["init"] != 0:
        return codes
    device = ctypes.c_void_p()
    codes["handle"] = get_handle(nvml, bus_id, device)
    if codes["handle"] != 0:
        return codes
    for name, entry in QUERIES.items():
        count, entries = ctypes.c_uint(ENTRIES), ctypes.create_string_buffer(ENTRIES * entry)
        codes["queries"][name] = call(nvml, name, device, ctypes.byref(count), entries)
    return codes


def get_handle(nvml, bus_id, device):
    if bus_id is None:
        return call(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(device))
    return call(nvml, "nvmlDeviceGetHandleByPciBusId_v2", bus_id.encode(), ctypes.byref(device))


def call(library, name, *arguments):
    """Return the code, None when the library has no such function."""
    try:
        function = getattr(library, name)
    except AttributeError:
        return None
    return int(function(*arguments))


def is_trap_set(nvml):
    """Return whether NVML refuses one of the questions, so that the faulty branch must show itself, and why (not)."""
    if nvml["library"] is None:
        return False, "there is no NVML library"
    plain = nvml["queries"].get("nvmlDeviceGetComputeRunningProcesses")
    asked = (("nvmlInit_v2", nvml["init"]), ("the device handle", nvml["handle"]), ("the process query", plain))
    for name, code in asked:
        if code is None:
            return False, "NVML cannot be asked: it has no function for " + name
        if code not in (0, NVML_INSUFFICIENT_SIZE):
            return True, "NVML refused %s with code %d" % (name, code)
    return False, "NVML granted the process query"


def loaded_library():
    """Return the path of the allocator's library in this very process."""
    try:
        with open("/proc/self/maps") as maps:
            for line in maps:
                path = line.rstrip("\n").partition("/")[2]
                if path.endswith("/libc10_cuda.so"):
                    return "/" + path
    except OSError:  # without /proc nobody can say which copy was loaded; the result says null
        pass
    return None


def describe(error):
    return ("%s: %s" % (type(error).__name__, error))[:4000]


def say(told):
    """Write the line to the real standard output, on a line of its own, and leave before anything can add to it."""
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    line = ("\n" + MARKER + json.dumps(told, default=str) + "\n").encode("ascii")
    while line:
        line = line[os.write(1, line) :]
    os._exit(0)


if __name__ == "__main__":
    main()
