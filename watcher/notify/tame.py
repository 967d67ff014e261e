"""Words from upstream inside a message: one line, capped, nothing that a chat or a mail program would act on."""

import re

from watcher.model.text import printable

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
