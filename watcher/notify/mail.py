"""A message as a mail program shows it: the plain text, laid out in HTML. Pure.

The text is already tame; here it is escaped, and laid out by the shape of its lines alone. Colours are left to the
reader's own theme but for the bar beside the verdict, which says at a glance how it stands.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape

from watcher.model.notice import Message
from watcher.model.text import link

_TONES = {"info": "#3b6ea5", "success": "#2e7d32", "warning": "#b26a00", "failure": "#b3261e"}
_LABEL = re.compile(r"(?P<label>[A-Z][a-z]+(?: [a-z]+){0,3}(?: \([^)]{1,60}\))?):(?= )")
_PAGE = '<div style="font: 15px/1.5 system-ui, sans-serif; max-width: 42em">{}</div>'
_VERDICT = '<p style="font-size: 1.2em; font-weight: 600; border-left: 5px solid {}; padding-left: .6em">{}</p>'


def render_html(message: Message) -> str:
    """Return the HTML of a message's body."""
    verdict, *paragraphs = (part.split("\n") for part in message.body.split("\n\n"))
    bar = _VERDICT.format(_TONES.get(message.type, _TONES["info"]), "<br>".join(map(_line, verdict)))
    return _PAGE.format("\n".join([bar, *map(_paragraph, paragraphs)]))


def _paragraph(lines: Sequence[str]) -> str:
    head, *rest = lines
    if rest and rest[0].startswith("- "):
        rows = "\n".join(f"<li>{'<br>'.join(map(_line, row))}</li>" for row in _rows(rest))
        return f"<p><b>{_line(head)}</b></p>\n<ul>{rows}</ul>"
    shown = f"<b>{escape(head)}</b>" if rest else _line(head)
    return f"<p>{'<br>'.join([shown, *map(_line, rest)])}</p>"


def _rows(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield each row of a list with the lines that belong to it."""
    row: list[str] = []
    for line in lines:
        if line.startswith("  ") and row:
            row.append(line)
            continue
        if row:
            yield row
        row = [line.removeprefix("- ")]
    yield row


def _line(line: str) -> str:
    text = line.strip()
    if (page := link(text)) is not None:
        return f'<a href="{escape(page)}">{escape(page)}</a>'
    if match := _LABEL.match(text):
        return f"<b>{escape(match['label'])}:</b>{escape(text[match.end() :])}"
    return escape(text)
