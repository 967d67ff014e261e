"""Value types of the configuration: durations, sizes, windows, patterns."""

import re
from datetime import time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?i?B)")
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "kiB": 2**10, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # fmt: skip
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def parse_duration(text: object) -> timedelta:
    """Return the timedelta of `90s`, `30m`, `24h`, `7d`. Raises ValueError with the expected form."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is not a duration such as "90s", "30m", "24h" or "7d"')
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def parse_size(text: object) -> int:
    """Return the bytes of `6GB` or `512MiB`. Raises ValueError with the expected form."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in _BYTES:
        raise ValueError(f'{text!r} is not a size such as "6GB" or "512MiB"')
    return int(float(match[1]) * _BYTES[match[2]])


def parse_window(text: object) -> tuple[time, time] | None:
    """Return begin and end of `02:00-06:00`, None for `any`. Raises ValueError with the expected form."""
    if text is None or isinstance(text, tuple):
        return text
    if text == "any":
        return None
    match = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is not a window such as "02:00-06:00", or "any"')
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if begin == end:
        raise ValueError(f'{text!r} begins where it ends; write "any" for the whole day')
    return begin, end


def _patterns(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _compiles(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return patterns


def is_time_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        return bool(name) and ZoneInfo(name) is not None
    except (KeyError, OSError, ValueError):  # no such zone; a folder of zones; not a name at all
        return False


def _strings(value: object) -> object:
    """Let an environment twin give a list as comma-separated text."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Window = Annotated[Any, BeforeValidator(parse_window)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns), AfterValidator(_compiles)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_strings)]


class Section(BaseModel):
    """A table of the configuration: unknown keys are faults, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
