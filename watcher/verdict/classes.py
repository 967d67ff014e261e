"""Who must act on each failure class, and what a person can do next: one table."""

from dataclasses import dataclass

from watcher.model.verdict import FailureClass, Owner


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A failure class for people. `memory` says that another profile, which asks for less, could change it."""

    owner: Owner
    next_step: str
    memory: bool = False


CLASSES: dict[FailureClass, ClassRow] = {
    FailureClass.ALLOCATOR_NVML_ASSERT: ClassRow(
        Owner.UPSTREAM,
        "Wait for an image whose PyTorch carries the fix; until then ask for less memory, so that no allocation fails.",
        memory=True,
    ),
    FailureClass.ALLOCATOR_OTHER_ASSERT: ClassRow(
        Owner.UPSTREAM,
        "This is another fault of PyTorch's allocator: remove expandable_segments from PYTORCH_CUDA_ALLOC_CONF and "
        "look for an upstream report.",
        memory=True,
    ),
    FailureClass.NVMAP_ALLOC_FAILURE: ClassRow(
        Owner.DEVICE,
        "Free memory on the device (stop other users of the GPU, drop the page cache, reboot if it stays), then retry; "
        "L4T 36.4.7 is known to refuse allocations that 36.4.4 granted.",
        memory=True,
    ),
    FailureClass.GENUINE_OOM: ClassRow(
        Owner.DEVICE,
        "Memory was really short: free some, or use a smaller model, context or memory share.",
        memory=True,
    ),
    FailureClass.ARCH_MISMATCH: ClassRow(
        Owner.UPSTREAM, "This build has no code for the device's GPU: use an image that was built for it."
    ),
    FailureClass.DRIVER_RUNTIME: ClassRow(
        Owner.DEVICE, "Check the driver, the NVIDIA container runtime and the libraries that come from the host."
    ),
    FailureClass.PYTHON_DEPS: ClassRow(
        Owner.UPSTREAM, "The packages in this image do not fit together: use another build of it."
    ),
    FailureClass.MODEL_CONFIG: ClassRow(
        Owner.CONFIGURATION, "Change the model or its settings: the engine rejects them."
    ),
    FailureClass.NETWORK_PULL: ClassRow(Owner.BENCH, "Check network, registry access and free disk, then try again."),
    FailureClass.HEALTHY: ClassRow(Owner.NOBODY, "Nothing to do: the engine came up."),
    FailureClass.OTHER_CRASH: ClassRow(
        Owner.UPSTREAM, "Read the log around the line that decides, and look for an upstream report."
    ),
    FailureClass.NO_EVIDENCE: ClassRow(Owner.NOBODY, "Nothing in it tells of a run: give the whole log of the engine."),
    FailureClass.NOT_READY: ClassRow(
        Owner.UPSTREAM, "It did not get ready in time and said nothing: give it longer, or look at what it waits for."
    ),
}

DETAILS = {
    "refused-at-start": "The engine's own check found too little free memory at start: free memory (other programs, "
    "page cache) or lower the memory share, then retry.",
    "context": "Ask for a shorter context, or leave more memory to the cache.",
    "settings": "A setting of ours or yours was rejected: correct the profile's environment or arguments.",
}
_OWNERS = {"settings": Owner.CONFIGURATION}
_OF_THE_PROFILE = frozenset(DETAILS)


def owner_of(failure_class: FailureClass, detail: str | None = None) -> Owner:
    """Return who must act."""
    return _OWNERS.get(detail or "", CLASSES[failure_class].owner)


def next_step(failure_class: FailureClass, detail: str | None = None) -> str:
    """Return one sentence for a person."""
    return DETAILS.get(detail or "", CLASSES[failure_class].next_step)


def is_bench(failure_class: FailureClass) -> bool:
    """Return whether our side failed, so that a trial says nothing about the candidate."""
    return CLASSES[failure_class].owner is Owner.BENCH


def depends_on_profile(failure_class: FailureClass, detail: str | None = None) -> bool:
    """Return whether other arguments could change the result: a shortage of memory, or a setting that was refused."""
    return CLASSES[failure_class].memory or detail in _OF_THE_PROFILE
