"""What an answer says of the host's rate limit. Pure.

GitHub and Docker Hub's web interface send `X-RateLimit-Limit`, `-Remaining` and `-Reset`; registries send
`RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`, where the window slides and no reset is named.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from watcher.fetch.refusals import PREFIXES, until_reset
from watcher.model.budget import Budget

_COUNT = re.compile(r"\s*(\d{1,9})\s*(?:[;,].*)?", re.ASCII | re.DOTALL)
_LONGEST = timedelta(days=366)
_WINDOW = re.compile(r";\s*w\s*=\s*(\d{1,9})\b", re.ASCII)


def budget_told(headers: Mapping[str, str], host: str, now: datetime) -> Budget | None:
    """Return the budget that an answer names, None where it names none."""
    for prefix in PREFIXES:
        limit, remaining = headers.get(f"{prefix}limit", ""), headers.get(f"{prefix}remaining", "")
        if (left := _count(remaining)) is not None:
            wait = until_reset(headers, now) or _window(limit) or _window(remaining)
            return Budget(host, _count(limit), left, now + min(wait, _LONGEST) if wait else None, now)
    return None


def _count(text: str) -> int | None:
    match = _COUNT.fullmatch(text)
    return int(match[1]) if match else None


def _window(text: str) -> timedelta | None:
    match = _WINDOW.search(text)
    return timedelta(seconds=int(match[1])) if match else None
