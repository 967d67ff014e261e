"""Finds the lines that are worth a look, at the speed of the C library.

Most lines of a healthy log are the same but for their numbers. A line without its digits is its shape; a shape that was
once seen to hold no hint is dull, and its lines cost no more than a look into a set. Only new shapes are searched: all
of them at once, first for the gates (short texts which many hints share), then for the hints behind those found.
"""

import re
from collections.abc import Iterable

from watcher.verdict.lines import FENCES, says_info
from watcher.verdict.signatures import SIGNATURES, Role, Signature

DIGITS = b"0123456789"
MAX_SHAPES = 8192
MAX_SHAPE = 1024
"""Longer lines are not remembered: what is kept stays below some 16 MB."""
GATES: tuple[bytes, ...] = (
    b"rror",
    b"fail",
    b"memory",
    b"alloc",
    b"kill",
    b"manifest",
    b"could",
    b"not ",
    b"nvm",
    b"nvidia",
    b"cuda",
    b"exit",
    b"assert",
    b"invalid",
    b"support",
    b"unknown",
    b"http",
    b"listening",
    b"oom",
    b"kernel",
    b"driver",
    b"runtime",
    b"numpy",
    b"python",
    b"max",
    b"require",
    b"model",
    b"token",
    b"tensor",
    b"denied",
    b"space",
    b"unexpected",
    b"engine",
    b"code ",
    b"sig",
    b"connect",
    b"mismatch",
    b"import",
    b"status",
    b"can't",
    b"cannot",
    b"such",
    b"unable",
)
"""In lower case and without digits; a hint that holds none of them is its own gate."""
_COLOURS = (b"\x1b[m", b"\x1b[;m", b"\x1b[;;m", b"\x1b[;;;;m", b"\x1b[K")
"""Without their digits; they stand within words, too."""


def counts_on_info(signature: Signature) -> bool:
    """Return whether a signature is sought on INFO lines: the bug's own texts, and those which say that it works."""
    return signature.role in (Role.READY, Role.ALIVE, Role.LISTENING, Role.STOP, Role.NOTE) or signature.weight == 100


def _without_digits(hint: str) -> bytes:
    return hint.encode().translate(None, DIGITS)


def _by_gate(signatures: Iterable[Signature]) -> dict[bytes, tuple[bytes, ...]]:
    """Return the hints that each gate opens to."""
    table: dict[bytes, set[bytes]] = {}
    for hint in {_without_digits(hint) for signature in signatures for hint in signature.hints}:
        table.setdefault(next((gate for gate in GATES if gate in hint), hint), set()).add(hint)
    return {gate: tuple(hints) for gate, hints in table.items()}


_OTHERS = tuple(row for row in SIGNATURES if row.role is not Role.ALIVE)
_ANSWERS = _by_gate(row for row in SIGNATURES if row.role is Role.ALIVE)
ANSWERED = b"200"
"""The status without which no signature takes a line for an answered request."""
_DEPENDENT = frozenset(FENCES) | frozenset(
    _without_digits(hint) for row in SIGNATURES for hint in row.hints if row.depends_on_digits or re.search(r"\d", hint)
)
_TABLES = {
    False: _by_gate(_OTHERS) | {fence: (fence,) for fence in FENCES},
    True: _by_gate(row for row in _OTHERS if counts_on_info(row)),
}


class Sieve:
    """Remembers which shapes are dull. `wants_answer`: lines that tell of an answered request are worth a look now."""

    def __init__(self) -> None:
        self._dull: set[bytes] = set()
        self._answers: set[bytes] = set()
        self.wants_answer = True

    def news(self, block: bytes) -> tuple[set[bytes], list[bytes]]:
        """Return the shapes in the block that are worth a look, and the shape of each line."""
        text = block.translate(None, DIGITS)
        for colour in _COLOURS if b"\x1b" in text else ():
            text = text.replace(colour, b"")
        shapes = text.split(b"\n")
        every = set(shapes)
        fresh = every - self._dull - self._answers
        if fresh:
            info = {shape for shape in fresh if says_info(shape)}
            worth = _holding(info, _TABLES[True]) | _holding(fresh - info, _TABLES[False])
            answers = _holding(fresh - worth, _ANSWERS)
            self._remember(fresh - worth - answers, answers)
        else:
            worth = answers = fresh
        if worth or self.wants_answer:
            worth = worth | answers | (every & self._answers)
        return worth, shapes

    def skips(self, shape: bytes) -> bool:
        """Return whether a shape only tells of an answered request while nobody asks for one."""
        return not self.wants_answer and shape in self._answers

    def is_no_answer(self, shape: bytes, raw: bytes) -> bool:
        """Return whether a line could only tell of an answer by its numbers, and has others: a 404 is none."""
        return shape in self._answers and ANSWERED not in raw

    def settles(self, shape: bytes) -> bool:
        """Take a shape as dull which no signature matched, unless other numbers could change that; return whether."""
        if not self.is_without_numbers(shape):
            return False
        self._remember({shape}, set())
        return True

    @staticmethod
    def is_without_numbers(shape: bytes) -> bool:
        """Return whether a shape says the same whatever its numbers are."""
        lowered = shape.lower()
        return not any(hint in lowered for hint in _DEPENDENT)

    def _remember(self, dull: set[bytes], answers: set[bytes]) -> None:
        for known, new in ((self._dull, dull), (self._answers, answers)):
            if len(known) > MAX_SHAPES:
                known.clear()
            known |= {shape for shape in new if len(shape) <= MAX_SHAPE}


def _holding(shapes: set[bytes], table: dict[bytes, tuple[bytes, ...]]) -> set[bytes]:
    """Return the shapes which hold a hint: all are searched at once for the gates, few for the hints."""
    ordered = list(shapes)
    joined = b"\n".join(ordered).lower()
    present = [hint for gate, hints in table.items() if gate in joined for hint in hints if hint in joined]
    found: set[bytes] = set()
    lowered = joined.split(b"\n") if present else []
    for hint in present:
        found.update([shape for shape, low in zip(ordered, lowered, strict=False) if hint in low])
    return found
