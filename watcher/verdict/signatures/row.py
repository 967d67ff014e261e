"""What a signature is: one row of the tables in this package."""

import re
from dataclasses import dataclass
from enum import StrEnum

from watcher.model.verdict import FailureClass

_COUNTS = re.compile(r"\{[\d,]+\}|\[[^\]]*\]")
_LITERAL_DIGIT = re.compile(r"[0-9]")


class Role(StrEnum):
    """What a hit says.

    CAUSE names why something failed. DEATH says that it ended, not why. READY: the engine came up. ALIVE: it answered
    a request. LISTENING: a port is open, which some engines do before they can work. STOP: it was asked to end.
    NOTE decides nothing by itself.
    """

    CAUSE = "cause"
    DEATH = "death"
    READY = "ready"
    ALIVE = "alive"
    LISTENING = "listening"
    STOP = "stop"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Signature:
    """One text that programs print, and what it means.

    Attributes:
        hints: lower-case texts of which one stands in every line that `pattern` can match; each holds a gate of `scan`.
        weight: the heaviest finding of a log decides, the earliest among equals. 100 the bug's own assert; 90-75 texts
            which explain others that come with them; 70 a named cause; 60-50 a named kind of error; 40 a text that only
            leans towards a class; 20 an end without a cause; 5 any traceback.
        unless: a line on which this stands is no hit.
        any_level: also counts on lines of level info, warning and debug.
        after_ready: counts once the engine is up even though no death follows. A DEATH without it is no
            death after readiness (a person may stop a server).
        joins: programs wrap this text; it is also sought over the end of lines.
        taught_by: the case in tests/data/logs that shows it.
    """

    id: str
    failure_class: FailureClass
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    title: str
    weight: int
    taught_by: str
    role: Role = Role.CAUSE
    unless: re.Pattern[str] | None = None
    any_level: bool = False
    after_ready: bool = False
    joins: bool = False
    detail: str | None = None

    @property
    def depends_on_digits(self) -> bool:
        """Return whether the same line with other numbers could match where this one did not."""
        return self.joins or _LITERAL_DIGIT.search(_COUNTS.sub("", self.pattern.pattern)) is not None

    def matches(self, text: str) -> re.Match[str] | None:
        """Return where `text`, a line without its logger's prefix, shows this signature."""
        found = self.pattern.search(text)
        return None if found is None or (self.unless is not None and self.unless.search(text)) else found


def either(*texts: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Return a pattern that finds any of `texts`, which are regular expressions."""
    return re.compile("|".join(f"(?:{text})" for text in texts), flags)
