"""What an answer that is no success means, and how long the upstream wants to be left alone. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from watcher.errors import SourceUnavailable

_REASONS = {
    401: "the upstream wants a login",
    403: "the upstream refuses access",
    404: "the upstream has no such page",
    410: "the upstream has removed this page",
    429: "the upstream was asked too often",
}
PREFIXES = ("x-ratelimit-", "ratelimit-")
"""Of the headers `…limit`, `…remaining` and `…reset`: GitHub's and Docker Hub's own, and those of the IETF's drafts."""
_NO_SPAN = timedelta(seconds=10**9)
"""From here on `…reset` is a moment in seconds since 1970; the drafts send the seconds that are left."""


_LONGEST_DATE = 100


def refusal(status: int, headers: Mapping[str, str], url: str, now: datetime) -> SourceUnavailable:
    """Return the error for a status that is neither success nor expected."""
    wait = wait_asked(headers, now)
    reason = _REASONS.get(status)
    if status == 403 and wait is not None:
        reason = _REASONS[429]
    elif reason is None:
        reason = "the upstream is in trouble" if status >= 500 else "the upstream answered with an unexpected status"
    return SourceUnavailable(reason, retry_after=wait, status=status, url=shown(url))


def wait_asked(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long the upstream asks to be left alone, None when it does not.

    Moments are read against the upstream's own `Date`: the clock of a device without battery may say 1970.
    """
    there = _moment(headers.get("date", "")) or now
    if given := headers.get("retry-after", "").strip():
        return _positive(_seconds(given) or _until(_moment(given), there))
    return wait_when_spent(headers, now)


def wait_when_spent(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long a rate limit that is used up stays so, None while some of it is left.

    A registry's sliding window (`0;w=21600`) names no reset: HEAD costs nothing of it, and most looks are HEAD alone.
    """
    is_spent = any(headers.get(f"{prefix}remaining", "").strip() == "0" for prefix in PREFIXES)
    return until_reset(headers, now) if is_spent else None


def until_reset(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long it is until the rate limit's reset, None where none is named or it is over."""
    told = next((text for prefix in PREFIXES if (text := headers.get(f"{prefix}reset", "").strip())), "")
    span = _seconds(told)
    if span is not None and span >= _NO_SPAN:
        span = _until(_epoch(told), _moment(headers.get("date", "")) or now)
    return _positive(span)


def shown(url: str) -> str:
    """Return the address without login and query, which may hold secrets."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "an unreadable address"


def _positive(wait: timedelta | None) -> timedelta | None:
    return wait if wait is not None and wait > timedelta(0) else None


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=min(int(text), 10**9)) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _until(moment: datetime | None, now: datetime) -> timedelta | None:
    return moment - now if moment else None


def _epoch(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(text: str) -> datetime | None:
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
