"""Lines of a commented TOML file."""

import json
import re
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from watcher.model.text import printable

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 118


def line(key: str, value: Any) -> str:
    """Return `key = value`, on one line."""
    return f"{quoted_key(key)} = {toml(value)}"


def remark(text: str) -> list[str]:
    """Return a sentence as comment lines; what came from outside in it is made harmless."""
    return [f"# {part}" for part in wrap(printable(text, 2000), _WIDTH, break_long_words=False, break_on_hyphens=False)]


def off(key: str, value: Any) -> str:
    """Return the line as an example that is not in force."""
    return f"#{line(key, value)}"


def quoted_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else toml(key)


def toml(value: Any) -> str:
    """Return a value as TOML writes it. A string is one of JSON's, whose escapes TOML shares but for DEL."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(line(key, item) for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def size(count: int) -> str | int:
    """Return bytes as the largest unit that they are a whole number of."""
    for unit, amount in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count and count % amount == 0:
            return f"{count // amount}{unit}"
    return count
