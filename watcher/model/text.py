"""Text from upstream is untrusted: what may reach a terminal, a log, a message or the page. Spans for people."""

import re
from datetime import timedelta

# control characters (C0 but tab, C1, DEL), and the marks that reorder or hide what a person reads
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_LINK = re.compile(r"https?://[^\s<>\"'`|\\^{}()\[\]]{1,400}", re.IGNORECASE)


def printable(text: str, most: int = 400) -> str:
    """Return one line without control characters, at most `most` long."""
    line = _UNSAFE.sub(" ", text).strip()
    return line if len(line) <= most else line[: most - 1] + "…"


def link(url: str) -> str | None:
    """Return the address when it is a plain web page's, None for anything else."""
    return url if _LINK.fullmatch(url) and printable(url, 500) == url else None


def span(length: timedelta) -> str:
    """Return a length of time for people, in its two largest units: `3 min 32 s`."""
    seconds = round(length.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    shown = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(shown[:2]) or "0 s"
