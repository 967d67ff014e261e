"""The whole table of signatures, one subject per file, and its version."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import fields

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


def version_of(rows: Iterable[Signature]) -> str:
    """Return what changes when anything in any row does; patterns are spelled out, as `repr` cuts long ones off."""
    spelled = [[_spelled(getattr(row, field.name)) for field in fields(row)] for row in rows]
    return hashlib.sha256(repr(spelled).encode()).hexdigest()[:12]


def _spelled(value: object) -> object:
    return (value.pattern, int(value.flags)) if isinstance(value, re.Pattern) else value


VERSION: str = version_of(SIGNATURES)
"""Kept with each verdict: logs of trials that were judged by another one are read again."""

__all__ = ["SIGNATURES", "VERSION", "Role", "Signature", "version_of"]
