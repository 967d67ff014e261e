"""The whole table of signatures, one subject per file, and its version."""

import hashlib

from watcher.verdict.signatures import (
    allocator,
    architecture,
    crash,
    driver,
    healthy,
    memory,
    model,
    network,
    python,
)
from watcher.verdict.signatures.row import Role, Signature

SIGNATURES: tuple[Signature, ...] = (
    *allocator.SIGNATURES,
    *memory.SIGNATURES,
    *architecture.SIGNATURES,
    *driver.SIGNATURES,
    *python.SIGNATURES,
    *model.SIGNATURES,
    *network.SIGNATURES,
    *crash.SIGNATURES,
    *healthy.SIGNATURES,
)

VERSION: str = hashlib.sha256(repr(SIGNATURES).encode()).hexdigest()[:12]
"""Changes when any row changes: stored logs are then matched again."""

__all__ = ["SIGNATURES", "VERSION", "Role", "Signature"]
