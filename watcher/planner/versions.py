"""One comparison per family of versions. The original text is always kept; keys only sort.

PEP 440 for wheels and releases (NVIDIA's builds by their year and month, not by their git hash), Debian order for
packages, an own parser for container tags, whose grammar grew without a specification.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from packaging.version import Version

from watcher.model.facts import Fact, FactKind

OrderKey = tuple[Any, ...]
"""Compares with the keys of the same family only."""

_NVIDIA = re.compile(r"nv(\d+)\.(\d+)(?:\.(\d+))?")
_BUILD_NUMBER = re.compile(r"b[0-9]{3,9}")
_LOWEST = Version("0.dev0")
_LONGEST = 200
"""A longer text says nothing: the caches would keep megabytes of it."""


def parse_version(text: str | None) -> Version | None:
    """Return the PEP 440 version of `2.14.0`, `v0.33.0`, `2.5.0a0+872d972e41.nv24.08`; None for anything else."""
    return _parsed(text) if text and len(text) <= _LONGEST else None


@lru_cache(maxsize=65536)
def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, and Python's own limit on the digits of a number
        return None


def public(text: str | None) -> str | None:
    """Return `2.13.0` of `2.13.0+cu130`, `0.33.0` of `v0.33.0`; None where it is no version."""
    return text.strip().removeprefix("v").split("+", 1)[0] if text and parse_version(text) else None


@lru_cache(maxsize=65536)
def pep440_key(text: str | None) -> OrderKey:
    """Return a key that sorts by public version, then NVIDIA's year and month, then its build number.

    Their local part starts with a git hash, so PEP 440's own order of it says nothing. llama.cpp's `b5283` is a number.
    """
    if text and _BUILD_NUMBER.fullmatch(text):
        return (1, Version(text[1:]), (0, 0, 0), Version(text[1:]), text)
    version = parse_version(text)
    if version is None:
        return (0, _LOWEST, (0, 0, 0), _LOWEST, text or "")
    nvidia = _NVIDIA.search(version.local or "")
    stamp = (int(nvidia[1]), int(nvidia[2]), int(nvidia[3] or 0)) if nvidia else (0, 0, 0)
    shown = Version(version.public) if version.local else version
    return (1, shown, stamp, version, text)


def debian_key(text: str | None) -> OrderKey:
    """Return a key in Debian's order, in which `6.2+b77` is above `6.2` and `6.2~rc1` below it."""
    from debian.debian_support import NativeVersion

    try:
        return (1, NativeVersion(text or ""), text or "")
    except ValueError:
        return (0, NativeVersion("0"), text or "")


def order_key(fact: Fact) -> OrderKey:
    """Return a key which sorts the facts of one source: by version where they have one, then by name."""
    match fact.kind:
        case FactKind.DEB:
            key = debian_key(fact.version)
        case FactKind.IMAGE:
            key = pep440_key(parse_tag(fact.name).version)
        case _:
            key = pep440_key(fact.version)
    return (fact.kind.value, key, fact.name, fact.digest or "")


@dataclass(frozen=True, slots=True)
class TagParts:
    """What a container tag says of its image; None where it does not say.

    Attributes:
        version: of the package, without a leading `v`; llama.cpp's as `b5283`.
        l4t: as in `36.4` or `36.4.0`.
        cuda: as in `12.8`.
        arch: in Docker's words (`arm64`).
        board: `orin` or `thor`.
        sbsa: built for Arm servers (and Thor), not for Tegra's own stack.
        moving: `latest…`: by its name the newest there is.
    """

    version: str | None = None
    l4t: str | None = None
    cuda: str | None = None
    ubuntu: str | None = None
    python: str | None = None
    builder: bool = False
    sbsa: bool = False
    arch: str | None = None
    prerelease: bool = False
    board: str | None = None
    moving: bool = False


_L4T = re.compile(r"r(\d{2}(?:\.\d+)*)(?:\.(?P<rest>[a-z]\w*))?")
_CUDA = re.compile(r"(?:cu|cuda)(\d+)(?:\.(\d+))?")
_UBUNTU = re.compile(r"(?:ubuntu)?(\d\d\.(?:04|10))")
_PYTHON = re.compile(r"cp(\d)(\d+)|py(\d(?:\.\d+)?)")
_PLAIN_VERSION = re.compile(r"v?(\d+(?:\.\d+)*\S*)")
_CANDIDATE = re.compile(r"(?:rc|a|b|alpha|beta|dev)\.?\d+")
_UNFINISHED = frozenset({"pre", "nightly", "dev", "alpha", "beta", "rc", "preview", "test"})
_ARCHITECTURES = {"arm64": "arm64", "aarch64": "arm64", "amd64": "amd64", "x86_64": "amd64", "x64": "amd64"}


@lru_cache(maxsize=65536)
def parse_tag(tag: str) -> TagParts:
    """Return what a tag says. Never raises: the grammar is open, so what is not understood says nothing."""
    # \d would take digits of every script, which nothing below can read
    text = (
        tag.lower().replace("x86_64", "x64").replace("x86-64", "x64") if tag.isascii() and len(tag) <= _LONGEST else ""
    )
    pieces = [piece for piece in text.replace("_", "-").split("-") if piece]
    l4t = _first(_L4T, pieces, "r")
    cuda = _first(_CUDA, pieces, "cu")
    python = _first(_PYTHON, pieces, ("cp", "py"))
    ubuntu = _first(_UBUNTU, pieces[1:], ("1", "2", "ubuntu"))
    words = {*pieces, l4t["rest"]} if l4t else set(pieces)
    version = _tag_version(pieces)
    parsed = parse_version(version)
    return TagParts(
        version=version,
        l4t=l4t[1] if l4t else None,
        cuda=_dotted(cuda) if cuda else None,
        ubuntu=ubuntu[1] if ubuntu else None,
        python=(python[3] or f"{python[1]}.{python[2]}") if python else None,
        builder="builder" in words,
        sbsa="sbsa" in words,
        arch=next((name for word, name in _ARCHITECTURES.items() if word in words), None),
        prerelease=not _UNFINISHED.isdisjoint(words) or (parsed is not None and parsed.is_prerelease),
        board=next((board for board in ("orin", "thor") if board in words), None),
        moving="latest" in words,
    )


def _first(pattern: re.Pattern[str], pieces: list[str], starts: str | tuple[str, ...]) -> re.Match[str] | None:
    """Return the first piece that matches; `starts` spares most pieces the pattern."""
    return next((found for piece in pieces if piece.startswith(starts) and (found := pattern.fullmatch(piece))), None)


def _tag_version(pieces: list[str]) -> str | None:
    """Return the version a tag begins with, or a llama.cpp build number anywhere in it (`server-cuda-b5283`)."""
    if build := _first(_BUILD_NUMBER, pieces, "b"):
        return build[0]
    first = _PLAIN_VERSION.fullmatch(pieces[0]) if pieces else None
    if first is None or parse_version(first[1]) is None:
        return None
    if len(pieces) > 1 and _CANDIDATE.fullmatch(pieces[1]) and parse_version(first[1] + pieces[1]):
        return first[1] + pieces[1]
    return first[1]


def _dotted(cuda: re.Match[str]) -> str:
    """Return `12.8` of `cu128`, `cu12.8` and `cuda12.8`; `13` of `cu13`."""
    digits, minor = cuda[1], cuda[2]
    if minor is None and len(digits) > 2:
        digits, minor = digits[:-1], digits[-1]
    return f"{digits}.{minor}" if minor else digits
