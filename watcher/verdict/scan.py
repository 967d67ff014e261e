"""Reads a log of any size in bounded memory: which signatures it shows, and which finding decides.

`sieve` names the lines worth a look, `lines` takes off what loggers put before them, the table of signatures is tried
on what is left, `prose` sorts out what people wrote, `decide` weighs the rest.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from watcher.model.verdict import LogReading
from watcher.verdict.decide import Hit, decide
from watcher.verdict.lines import (
    HELD_BACK,
    MAX_LINE,
    Line,
    before_another,
    blocks,
    is_fence,
    read_line,
    shown,
    uncoloured,
)
from watcher.verdict.prose import HEAD_LINES, Profile, is_mention
from watcher.verdict.sieve import MAX_SHAPE, Sieve, counts_on_info
from watcher.verdict.signatures import SIGNATURES, Role, Signature

ON_INFO = frozenset(signature.id for signature in SIGNATURES if counts_on_info(signature))
BY_ID = {signature.id: signature for signature in SIGNATURES}

HINTS = tuple((hint, signature) for signature in SIGNATURES for hint in signature.hints)
MAX_KNOWN = 512
MAX_HITS = 6
"""Hits kept of one signature, before readiness and after; the first ones and always the last."""
_STRICT = frozenset({"allocator-nvml-assert", "nvml-assert-elsewhere", "allocator-other-assert"})
"""Messages with a fixed text: words of speech around them make a mention."""
_RAISED = re.compile(r"(?:Error|Exception|what\(\))\b.*INTERNAL\s+ASSERT")
_LITERAL = re.compile(r"[\"']NVML_SUCCESS.*[\"'][,)]*$")
_FRAME = re.compile(r"^\s*(?:File \"|[\^~]+\s*$)|^\s{4,}\S")


def scan(chunks: Iterable[bytes]) -> LogReading:
    """Return what a log says. Never raises, whatever the bytes are."""
    scanner = _Scanner()
    for block, ahead in blocks(chunks):
        scanner.take(block, ahead)
    return scanner.reading()


@dataclass(slots=True)
class _Scanner:
    sieve: Sieve = field(default_factory=Sieve)
    hits: dict[tuple[str, int], list[Hit]] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)
    known: dict[bytes, tuple[Hit, ...]] = field(default_factory=dict)
    later: dict[tuple[str, int], tuple[Hit, bytes, int]] = field(default_factory=dict)
    lines: int = 0
    epoch: int = 0
    fences: int = 0
    first: str = ""
    last: str = ""
    ends_whole: bool = True

    def take(self, block: bytes, ahead: bytes) -> None:
        """Look at a block of whole lines; `ahead` follows it and comes again."""
        worth, shapes = self.sieve.news(block)
        if worth or self.profile.seen < HEAD_LINES:
            raws = block.removesuffix(b"\n").split(b"\n")
            self._look([*raws, *ahead.split(b"\n")[:HELD_BACK]], worth, shapes[: len(raws)])
        self.lines += len(shapes) - 1
        self.ends_whole = block.endswith(b"\n")
        self._remember_ends(block)

    def _look(self, raws: list[bytes], worth: set[bytes], shapes: list[bytes]) -> None:
        begin = 0
        while begin < len(shapes) and self.profile.seen < HEAD_LINES:
            hit = shapes[begin] in worth and self._is_hit(raws, worth, shapes[begin], begin)
            self.profile.feed(*_plain(raws[begin][:2000]), is_hit=hit)
            begin += 1
        for index in [number for number in range(begin, len(shapes)) if shapes[number] in worth]:
            if shapes[index] in worth:  # still
                self._is_hit(raws, worth, shapes[index], index)

    def _is_hit(self, raws: list[bytes], worth: set[bytes], shape: bytes, index: int) -> bool:
        """Match a line whose shape is worth it; a shape without a match may cease to be so for the whole block."""
        if self.sieve.skips(shape) or self.sieve.is_no_answer(shape, raws[index]):
            return False
        if self._is_seen_enough(known := self.known.get(shape, ())):
            self._note_again(known, raws[index], index)
            return True
        hit = self._match(raws, index, shape)
        if not hit and self.sieve.settles(shape):
            worth.remove(shape)
        return hit

    def _match(self, raws: list[bytes], index: int, shape: bytes) -> bool:
        """Match one line with every signature; return whether any hit."""
        raw = raws[index]
        if is_fence(raw):
            self.fences += 1
            return False
        found: dict[str, Hit | Literal[False]] = {}
        for line in self._worth_parts(raw):
            for signature in _candidates(line):
                hit = None if signature.id in found else self._try(signature, line, raws, index)
                if hit is not None:
                    found[signature.id] = hit
                if hit is False and signature.id in _STRICT:
                    break  # what only mentions the bug is no exception of a run either
        self._learn(shape, raw, [hit for hit in found.values() if hit] if all(found.values()) else [])
        return bool(found)

    def _learn(self, shape: bytes, raw: bytes, hits: Sequence[Hit]) -> None:
        """Remember what a shape says, where neither its numbers nor what stands around it could change that."""
        if not hits or self.fences or self.profile.seen < HEAD_LINES or len(self.known) >= MAX_KNOWN:
            return
        text = shown(read_line(raw).text)
        if all(hit.text == text for hit in hits) and self.sieve.is_without_numbers(shape):
            self.known[shape] = tuple(hits)

    def _is_seen_enough(self, known: Sequence[Hit]) -> bool:
        """Return whether so many hits of all of them are kept that only the last of a log counts still."""
        epoch = min(self.epoch, 1)
        return (
            bool(known)
            and not self.fences
            and all(len(self.hits.get((hit.signature.id, epoch), ())) >= MAX_HITS for hit in known)
        )

    def _note_again(self, known: Sequence[Hit], raw: bytes, index: int) -> None:
        """Keep a line for the end: of an error in each request, or of a restart loop, only the last is read."""
        for hit in known:
            self.later[hit.signature.id, min(self.epoch, 1)] = hit, raw[:MAX_LINE], self.lines + index + 1
            self._want_answer(hit.role)

    @staticmethod
    def _worth_parts(raw: bytes) -> Iterator[Line]:
        """Yield the line, or those parts of a line redrawn by carriage returns in which a hint stands.

        What another process wrote over is looked at alone first, then with what was written behind it.
        """
        if b"\r" not in raw.rstrip(b"\r\n"):
            if head := before_another(raw):
                yield read_line(head)
            yield read_line(raw)
            return
        for part in raw[:MAX_LINE].split(b"\r"):
            lowered = part.decode("utf-8", "replace").lower()
            if any(hint in lowered for hint, _ in HINTS):
                yield read_line(part)

    def _try(self, signature: Signature, line: Line, raws: list[bytes], index: int) -> Hit | Literal[False] | None:
        """Keep a hit and return it; False where the line only mentions it, None where it does not match."""
        if (line.quiet and not signature.any_level) or (line.speech and signature.role is not Role.ALIVE):
            return None
        text = line.text
        match = signature.matches(text)
        if match is None and signature.joins:
            text = next((joined for joined in _joined(line, raws, index) if signature.matches(joined)), "")
            match = signature.matches(text)
        if match is None:
            return None
        if is_mention(text, match.start(), match.end(), signature.id in _STRICT, self.profile.quotes_a_log):
            return False
        return self._keep(signature, line, text, raws, index)

    def _keep(self, signature: Signature, line: Line, text: str, raws: list[bytes], index: int) -> Hit:
        fenced = self.fences % 2 == 1
        hit = Hit(
            signature,
            self.lines + index + 1,
            shown(text),
            fenced=fenced,
            logged=line.logged,
            alone=fenced and _stands_alone(raws, index),
            indented=raws[index][:4] in (b"    ", b"\t"),
        )
        self._store(hit)
        return hit

    def _store(self, hit: Hit) -> None:
        self.epoch += hit.role is Role.READY
        kept = self.hits.setdefault((hit.signature.id, min(self.epoch, 1)), [])
        if len(kept) >= MAX_HITS:
            kept.pop()
        kept.append(hit)
        self._want_answer(hit.role)

    def _want_answer(self, seen: Role) -> None:
        if seen in (Role.CAUSE, Role.DEATH, Role.ALIVE):
            self.sieve.wants_answer = seen is not Role.ALIVE

    def _remember_ends(self, block: bytes) -> None:
        if not self.first:
            self.first = next((text for raw in block[:4096].split(b"\n") if (text := _plain(raw)[0])), "")
        tail = block[-4096:].rstrip().rsplit(b"\n", 1)[-1]
        self.last = _plain(tail)[0] or self.last

    def reading(self) -> LogReading:
        """Return the result of all blocks taken."""
        for key, (known, raw, line) in self.later.items():
            if line > self.hits[key][-1].line:
                self.hits[key][-1] = replace(known, line=line, text=shown(read_line(raw).text))
        hits = [hit for kept in self.hits.values() for hit in kept]
        mentions = {hit.line for hit in hits if self._is_mention(hit)}
        told = sorted((hit for hit in hits if hit.line not in mentions), key=lambda hit: hit.line)
        return decide(told, self.lines + (not self.ends_whole), cut=self._is_cut())

    def _is_mention(self, hit: Hit) -> bool:
        if hit.signature.id in _STRICT and not hit.logged and self._is_of_a_file(hit.text):
            return True
        if hit.indented and self.profile.log_lines and not self.profile.is_document:
            return False
        return self.profile.only_mentions(hit.fenced, hit.alone, hit.logged, hit.signature.id in _STRICT)

    def _is_of_a_file(self, text: str) -> bool:
        """Return whether a message stands in source, or in a file that a command shows, and no run raised it."""
        read = self.profile.reads_files and not _RAISED.search(text)
        return read or (self.profile.source >= 2 and _LITERAL.match(text) is not None)

    def _is_cut(self) -> bool:
        """Return whether the text begins or ends inside a traceback."""
        return bool(_FRAME.match(self.first) or _FRAME.match(self.last))


def _candidates(line: Line) -> tuple[Signature, ...]:
    """Return the signatures whose hints stand in the line, in the order of the table."""
    find = _find_candidates if len(line.text) <= MAX_SHAPE else _find_candidates.__wrapped__
    return find(line.text, line.info)


@lru_cache(maxsize=4096)
def _find_candidates(text: str, info: bool) -> tuple[Signature, ...]:
    lowered = text.lower()
    found = dict.fromkeys([signature.id for hint, signature in HINTS if hint in lowered])
    return tuple(BY_ID[name] for name in found if not info or name in ON_INFO)


def _plain(raw: bytes) -> tuple[str, bool]:
    """Return a line without its logger's prefix but with its indentation, and whether there was one."""
    line = read_line(raw)
    text = uncoloured(raw.decode("utf-8", "replace")).rstrip()
    indent = "" if line.logged else text[: len(text) - len(text.lstrip())]
    return indent + line.text, line.logged


def _joined(line: Line, raws: list[bytes], index: int) -> Iterator[str]:
    """Yield the line with the next ones, as a terminal or a box may have wrapped it."""
    tails = [read_line(raw).text.strip(" │║┃") for raw in raws[index + 1 : index + 4]]
    for count in range(1, len(tails) + 1):
        for glue in (" ", ""):
            yield glue.join([line.text.rstrip(" │║┃"), *tails[:count]])


def _stands_alone(raws: list[bytes], index: int) -> bool:
    """Return whether the fence around a line holds no more than it and three others."""
    before = _count_to_fence(reversed(raws[max(0, index - 12) : index]))
    return before + _count_to_fence(iter(raws[index + 1 : index + 13])) <= 3


def _count_to_fence(raws: Iterator[bytes]) -> int:
    count = 0
    for raw in raws:
        if is_fence(raw):
            return count
        count += bool(raw.strip())
    return count
