"""The project's own log cases: a few header lines, a blank line, the raw log."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "data" / "logs"
REQUIRED = frozenset({"class", "bug", "source"})
OPTIONAL = frozenset({"decides", "truncated"})


@dataclass(frozen=True)
class Case:
    """A log and what it should be read as. `name` is `<engine>/<slug>`.

    `header`: `class`, `bug` and `source` (how the log was made); `decides` (a signature or `none`) and `truncated`.
    """

    name: str
    header: dict[str, str]
    log: bytes


def parse_case(name: str, content: bytes) -> Case:
    """Return the case. Raises ValueError for a header that is unknown, twice or missing."""
    head, _, log = content.partition(b"\n\n")
    pairs = [line.partition(": ")[::2] for line in head.decode().splitlines()]
    header = dict(pairs)
    if not REQUIRED <= header.keys() <= REQUIRED | OPTIONAL or len(pairs) != len(header):
        raise ValueError(f"{name}: headers must be {sorted(REQUIRED)} and may be {sorted(OPTIONAL)}, once each")
    return Case(name, header, log)


def read_cases() -> tuple[Case, ...]:
    """Return all cases, by name."""
    paths = sorted(FOLDER.glob("*/*.log"))
    return tuple(parse_case(str(path.relative_to(FOLDER).with_suffix("")), path.read_bytes()) for path in paths)


CASES = read_cases()
