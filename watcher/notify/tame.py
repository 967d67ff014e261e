"""Words from upstream inside a message: one line, capped, nothing that a chat or a mail program would act on."""

import re
from datetime import timedelta

from watcher.model.text import printable

_LINK = re.compile(r"https?://[^\s<>\"'`|\\^{}()\[\]]{1,400}", re.IGNORECASE)
# (what a chat would act on, what stands there instead): group mentions of Slack, Discord and others; Slack's
# `<!here>`, `<@U…>`, `<#C…>` and `<http://…|words>`; Markdown's link behind other words
_ACTIVE = (
    (re.compile(r"@(?=(?:everyone|here|channel|all|room|group)\b)", re.IGNORECASE), "(at)"),
    (re.compile(r"<(?=[!@#]|https?:|mailto:)", re.IGNORECASE), "< "),
    (re.compile(r"\](?=[(\[])"), "] "),
)


def tame(text: str, most: int = 400) -> str:
    """Return one harmless line of at most `most` characters."""
    line = " ".join(printable(text, most * 2).encode("utf-8", "replace").decode().split())
    for pattern, instead in _ACTIVE:
        line = pattern.sub(instead, line)
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
