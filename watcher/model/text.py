"""Text from upstream is untrusted: what may reach a terminal, a log or a message."""

import re

# control characters (C0 but tab, C1, DEL), and the marks that reorder or hide what a person reads
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def printable(text: str, most: int = 400) -> str:
    """Return one line without control characters, at most `most` long."""
    line = _UNSAFE.sub(" ", text).strip()
    return line if len(line) <= most else line[: most - 1] + "…"
