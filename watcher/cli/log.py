"""What the service writes to stderr: a line per unit of work, each with its time, as text or as JSON."""

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from watcher.model.text import printable


def log_line(form: str, level: str, line: str, **figures: Any) -> str:
    """Return the line; `figures` are fields of their own in JSON, and left out of text."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    said = printable(line, 2000)
    if form == "json":
        return json.dumps({"time": now, "level": level, "message": said, **figures})
    return f"{now} {said}"


def tell(line: str) -> None:
    with suppress(OSError):  # nobody listens any more: no reason to leave a service down
        print(line, file=sys.stderr, flush=True)
