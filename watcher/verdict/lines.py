"""A log as lines: cutting a stream into blocks, and taking off what loggers put before a message."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BLOCK = 112 * 1024
"""Below the size from which the C library asks the kernel for the memory of each copy anew: twice as fast."""
MAX_LINE = 64 * 1024
"""Bytes of one line that are looked at; what stands behind them is not read."""
FENCES = (b"```", b"~~~")
HELD_BACK = 6
"""Lines kept for the next block, so that each line is seen with those which follow it."""

_ANSI = re.compile(
    r"\x1b\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|(?:\x1b|\^\[|\u241b)\[[0-9;?]*[ -/]?[@-~]|\x1b[@-_]"
    r"|(?<!\w)\[\d{1,2}(?:;\d{1,3})*m"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffd]+")
_STAMP = r"\d{4}[-/]\d\d[-/]\d\d[ T-]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIXES = tuple(
    re.compile(text)
    for text in (
        r"[\w.@-]{1,60}\s*\| ",  # compose
        r"[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d (?:\S+ )?[\w@./-]+(?:\[\d+\])?: ",  # journal
        _STAMP + r" \S+ [\w@./-]+\[\d+\]: ",  # journal, ISO
        r"\[\s*\d{1,9}\.\d{6}\] ",  # kernel
        r"<\d{1,3}>",
        r"\[?pod/\S+\]? ",
        r"std(?:out|err) [FP] ",  # containerd
        r"\((?:[\w.]+ )+?(?:pid|ip)=[^)]{1,80}\)\s?",  # vLLM and Ray processes
        r"\[(?:default|[Rr]ank)?\d{0,3}(?:, ?ip=\S+)?\]:\s?",  # torchrun
        r"(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL|FATAL) \d\d-\d\d \d\d:\d\d:\d\d (?:\[?[\w./<>-]+:\d+\]"
        r"|\S+ \S+:\d+\])\s?",
        r"\[?" + _STAMP + r"\]?:?\s*",
        r"\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\]\s*",
        r"\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+",
        r"\d{1,3}\.\d\d\.\d{3}\.\d{3} [A-Z] ",  # llama.cpp
        r"[-\\|/]{1,12}(?=\d{1,3}\.\d\d\.\d{3}\.\d{3} |NvMap)",  # its spinner
        r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ \S+:\d+\] ",  # glog
        r"\[(?:INFO|WARN(?:ING)?|ERROR|DEBUG|FATAL|TRT|TRT-LLM|TensorRT|TensorRT-LLM|[IWEDVF])\]\s*",
        r"(?:ERROR|CRITICAL|FATAL):\s+(?=\S)",
        r"- [\w.<>-]{1,60} - (?=(?:ERROR|CRITICAL|WARNING|INFO|DEBUG) - )",  # Python's logging
        r"\| (?:ERROR|CRITICAL|WARNING|INFO|DEBUG) +\| \S+:\d+ - ",  # loguru
        r"(?:- )?(?:ERROR|CRITICAL|WARNING|INFO|DEBUG) (?:- |\| )",
        r"[│║┃] ",  # boxes of rich
        r"\[[A-Za-z][\w.-]{0,30}\] "  # a supervisor names the process
        r"(?=(?:INFO|WARNING|ERROR|DEBUG)\b|\(\w+ pid=|(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)\b)",
    )
)
_ANOTHER = re.compile(
    rb"(?:INFO|WARNING|ERROR|DEBUG|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[|(?<=[a-z.])\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
    rb"|(?<=[a-z.])[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w@./-]+(?:\[\d+\])?: "
)
"""Begins another writer's line: vLLM's logger anywhere, a time where no blank stands before it."""
_QUIET = re.compile(
    r"\blevel=(?:INFO|WARN|DEBUG|TRACE|info|warn|warning|debug|trace)\b"
    r"|^\W{0,3}(?:INFO|WARNING|WARN|DEBUG|NOTICE|TRACE)\b"
    r"|\[(?:I|W|D|V|INFO|WARN|WARNING|DEBUG|VERBOSE)\]"
    r"|^\d{1,3}\.\d\d\.\d{3}\.\d{3} [IWD] "
    r"|^\[?[IWD]\d{3,4} \d\d:\d\d:\d\d"
    r"|(?:^|[ \]|-])(?:INFO|WARNING|WARN|DEBUG) +(?:[-|:\[]|\d\d-\d\d )"
    r"|\b(?:User|Future|Deprecation|Runtime|Import)Warning:"
)
_NAMES_AN_ERROR = re.compile(r"\blevel=(?:INFO|WARN) .*\berror=\"?(?!nil\b|null\b|none\b|<nil>)\w")
"""Ollama tells on level info why a model was not loaded."""
_CARRIES_SPEECH = re.compile(
    r"(?<![-\w])prompt\b[\"']?\s*[:=]|(?:Received request|Generated response) |non-default args"
    r"|[\"'](?:content|role|messages|prompt|text|title|subject|body|question|comment|description|summary)[\"']\s*:",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is matched.

    Attributes:
        text: without colours and the prefixes of loggers.
        logged: a logger's prefix was there, so a program wrote it.
        quiet: of level info, warning or debug.
        info: of level info, by a mark near its beginning (see `says_info`).
        speech: what somebody asked a model, as servers log it.
    """

    text: str
    logged: bool
    quiet: bool
    info: bool
    speech: bool


def says_info(raw: bytes) -> bool:
    """Return whether a logger marked this line INFO near its beginning."""
    return raw.startswith(b"INFO") or raw.find(b" INFO ", 0, 64) >= 0 or raw.find(b" INFO:", 0, 64) >= 0


def blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the stream in blocks of whole lines, each with the lines that follow it, in bounded memory.

    What follows comes again in the next block. The last block may lack its newline.
    """
    buffer = b""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            buffer += chunk[start : start + BLOCK]
            if len(buffer) >= BLOCK:
                cut = _cut(buffer)
                if cut:
                    yield buffer[:cut], buffer[cut:]
                buffer = _capped(buffer[cut:])
    if buffer:
        yield buffer, b""


def _cut(buffer: bytes) -> int:
    """Return where the block ends: before the last few whole lines; 0 when there are none before them."""
    end = len(buffer)
    for _ in range(HELD_BACK + 1):
        end = buffer.rfind(b"\n", 0, end)
        if end < 0:
            return 0
    return end + 1


def _capped(rest: bytes) -> bytes:
    """Return what is carried over, with lines that never end cut to what is looked at."""
    if len(rest) <= MAX_LINE * (HELD_BACK + 2):
        return rest
    return b"\n".join(line[:MAX_LINE] for line in rest.split(b"\n"))


def read_line(raw: bytes) -> Line:
    """Return a raw line as it is matched; of one that carriage returns redrew, the last part."""
    text = raw[:MAX_LINE].decode("utf-8", "replace").rstrip("\r\n").rsplit("\r", 1)[-1]
    bare = _unwrapped(text)
    plain = uncoloured(bare)
    info = says_info(raw)
    rest, quiet = _without_prefixes(plain.strip("\x00 \t"))
    quiet = quiet and not _NAMES_AN_ERROR.search(plain)
    logged = bare is not text or len(rest) < len(plain.strip())
    return Line(rest, logged, quiet or info, info, (quiet or info or not logged) and _is_speech(plain))


def uncoloured(text: str) -> str:
    return _ANSI.sub("", text) if "[" in text else text


def _unwrapped(text: str) -> str:
    """Return the line inside one of Docker's json-file log; any other as it is."""
    if not text.startswith('{"log":'):
        return text
    try:
        inside = json.loads(text)["log"]
    except (ValueError, RecursionError):
        return text
    return inside.rstrip("\r\n").rsplit("\r", 1)[-1] if isinstance(inside, str) else text


def is_fence(raw: bytes) -> bool:
    """Return whether a line opens or closes a code fence, colours and redrawn parts aside."""
    if not any(fence in raw for fence in FENCES):
        return False
    return raw.lstrip()[:3] in FENCES or read_line(raw).text.encode()[:3] in FENCES


def before_another(raw: bytes) -> bytes:
    """Return what stands before the prefix of another writer's line, where one was not ended first; else nothing."""
    found = _ANOTHER.search(raw, 1, MAX_LINE)
    return raw[: found.start()].rstrip() if found else b""


def _without_prefixes(text: str) -> tuple[str, bool]:
    """Return the message, and whether a logger marked it as info, warning or debug."""
    quiet = False
    for _ in range(8):
        quiet = quiet or _QUIET.search(text[:160]) is not None
        found = next((match for prefix in _PREFIXES if (match := prefix.match(text)) and match.end()), None)
        if found is None:
            break
        text = text[found.end() :].lstrip()
    return text, quiet


def _is_speech(plain: str) -> bool:
    return _CARRIES_SPEECH.search(plain[:4000]) is not None


def shown(text: str, limit: int = 400) -> str:
    """Return upstream text as it may be kept: one line, no control or bidirectional characters, of limited length."""
    clean = " ".join(_CONTROL.sub(" ", _ANSI.sub("", text)).split())
    if not clean.isprintable():  # characters for private use, and those which no version of Unicode has yet
        clean = " ".join("".join(char if char.isprintable() else " " for char in clean).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
