"""Finds the lines that are worth a look, at the speed of the C library.

Most lines of a healthy log are the same but for their numbers. A line without its digits is its shape; a shape that was
once seen to hold no hint is dull, and its lines cost no more than a look into a set. Only new shapes are searched: first all
of them at once for the gates (a few short texts of which each hint holds one), then those with a gate for the hints.
"""

from collections.abc import Iterable

from watcher.verdict.signatures import SIGNATURES, Role, Signature

DIGITS = b"0123456789"
MAX_SHAPES = 8192
MAX_SHAPE = 1024
"""Longer lines are not remembered: what is kept stays below some 16 MB."""
GATES: tuple[bytes, ...] = (
    b"rror", b"fail", b"memory", b"alloc", b"kill", b"manifest", b"could", b"not ", b"nvm", b"nvidia", b"cuda", b"exit", b"assert",
    b"invalid", b"support", b"unknown", b"http", b"listening", b"oom", b"kernel", b"driver", b"runtime", b"numpy", b"python", b"max",
    b"require", b"model", b"token", b"tensor", b"denied", b"space", b"unexpected", b"engine", b"code ", b"sig", b"connect", b"mismatch",
    b"import", b"status", b"can't", b"cannot", b"such", b"unable",
)  # fmt: skip
"""In lower case and without digits; a hint that holds none of them is its own gate."""
FENCES = (b"```", b"~~~")


def says_info(raw: bytes) -> bool:
    """Return whether a logger marked this line INFO near its beginning."""
    head = raw[:64]
    return b"INFO" in head and (head.startswith(b"INFO") or b" INFO " in head or b" INFO:" in head)


def counts_on_info(signature: Signature) -> bool:
    """Return whether a signature is sought on INFO lines: the bug's own texts, and those which say that it works."""
    return signature.role in (Role.READY, Role.ALIVE, Role.LISTENING, Role.NOTE) or signature.weight == 100


def _without_digits(hint: str) -> bytes:
    return hint.encode().translate(None, DIGITS)


def _by_gate(signatures: Iterable[Signature]) -> dict[bytes, tuple[bytes, ...]]:
    """Return the hints that each gate opens to."""
    table: dict[bytes, set[bytes]] = {fence: {fence} for fence in FENCES}
    for hint in {_without_digits(hint) for signature in signatures for hint in signature.hints}:
        table.setdefault(next((gate for gate in GATES if gate in hint), hint), set()).add(hint)
    return {gate: tuple(hints) for gate, hints in table.items()}


_ANSWERS = tuple(
    {_without_digits(hint) for row in SIGNATURES if row.role is Role.ALIVE for hint in row.hints}
)
_OTHERS = tuple(row for row in SIGNATURES if row.role is not Role.ALIVE)
_TABLES = {False: _by_gate(_OTHERS), True: _by_gate(row for row in _OTHERS if counts_on_info(row))}


class Sieve:
    """Remembers which shapes are dull. `wants_answer`: lines that tell of an answered request are worth a look now."""

    def __init__(self) -> None:
        self._dull: set[bytes] = set()
        self._answers: set[bytes] = set()
        self.wants_answer = True

    def news(self, block: bytes) -> tuple[set[bytes], list[bytes]]:
        """Return the shapes in the block that are worth a look, and the shape of each line."""
        shapes = block.translate(None, DIGITS).split(b"\n")
        fresh = set(shapes) - self._dull
        if not self.wants_answer:
            fresh -= self._answers
        if not fresh:
            return fresh, shapes
        info = {shape for shape in fresh if says_info(shape)}
        worth = _holding(info, _TABLES[True]) | _holding(fresh - info, _TABLES[False])
        answers = {shape for shape in fresh - worth if _holds(shape.lower(), _ANSWERS)}
        self._remember(fresh - worth - answers, answers)
        return worth | answers if self.wants_answer else worth, shapes

    def settle(self, shape: bytes) -> None:
        """Take a shape as dull that no signature matched, where other numbers would not change that."""
        self._dull.add(shape)

    def _remember(self, dull: set[bytes], answers: set[bytes]) -> None:
        for known, new in ((self._dull, dull), (self._answers, answers)):
            if len(known) > MAX_SHAPES:
                known.clear()
            known |= {shape for shape in new if len(shape) <= MAX_SHAPE} 


def _holding(shapes: set[bytes], table: dict[bytes, tuple[bytes, ...]]) -> set[bytes]:
    """Return the shapes which hold a hint: all are searched at once for the gates, few for the hints."""
    joined = b"\n".join(shapes).lower()
    present = [hint for gate, hints in table.items() if gate in joined for hint in hints if hint in joined]
    return {shape for shape in shapes if _holds(shape.lower(), present)} if present else set()


def _holds(lowered: bytes, hints: Iterable[bytes]) -> bool:
    return any(hint in lowered for hint in hints)
