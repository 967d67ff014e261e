"""The tables of `docs/verdict.md`, made from the tables that the code judges by.

python -m tests.verdict.page            # print them
python -m tests.verdict.page --write    # put them into docs/verdict.md
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from tests.places import CHECKOUT
from tests.verdict.test_judge import BUG
from watcher.model.trial import Stage
from watcher.model.verdict import BugState, FailureClass, LogReading, ProbeReading, Rung, StaticReading, Verdict
from watcher.verdict.classes import CLASSES, DETAILS, owner_of
from watcher.verdict.judge import judge
from watcher.verdict.rungs import Rungs, StartSeen
from watcher.verdict.signatures import SIGNATURES
from watcher.verdict.statistics import chance_hidden, percent

PAGE = CHECKOUT / "docs" / "verdict.md"
STATIC = (None, BugState.PRESENT, BugState.FIXED)
PROBE = ((None, False), (BugState.PRESENT, True), (BugState.FIXED, True))
RUNS = (1, 5, 10, 20, 60)
BEFORE = ((1, 0), (1, 9), (3, 7), (5, 5), (10, 0))
LOG = (None, BugState.UNKNOWN, BugState.PRESENT, BugState.FIXED)


def judged(static: BugState | None, probe: BugState | None, trap: bool, log: BugState | None) -> Verdict:
    """Return the verdict on what three rungs saw; a log is that of a start which failed."""
    start = StartSeen("p", Stage.READY, LogReading(FailureClass.OTHER_CRASH, log), exit_code=1) if log else None
    return judge(
        Rungs(
            bug=BUG,
            static=StaticReading("image", "i", static, "read", copies=("a",)) if static else None,
            probe=ProbeReading(probe, trap, "probed") if probe else None,
            starts=(start,) if start else (),
        )
    )


def rungs_table() -> str:
    rows = [_rungs_row(static, *probe, log) for static, probe, log in product(STATIC, PROBE, LOG)]
    return _table(("bytes", "probe, trap set", "log of a start that failed", "the bug is", "by"), rows)


def _rungs_row(static: BugState | None, probe: BugState | None, trap: bool, log: BugState | None) -> Sequence[str]:
    verdict = judged(static, probe, trap, log)
    by = ", ".join(rung.value for rung in verdict.basis if rung is not Rung.BRING_UP or log is not BugState.UNKNOWN)
    seen = (said.value if said else "not asked" for said in (static, probe))
    return (*seen, _LOGS[log], f"**{verdict.bug.value}**", by or "nothing")


_LOGS = {
    None: "none",
    BugState.UNKNOWN: "does not speak of it",
    BugState.PRESENT: "the assert",
    BugState.FIXED: "the new warning, then the clean error",
}


def classes_table() -> str:
    rows = [(f"`{name.value}`", row.owner.value, _yes(row.memory), row.next_step) for name, row in CLASSES.items()]
    details = [
        (f"… `{name}`", owner_of(FailureClass.OTHER_CRASH, name).value, "yes", step) for name, step in DETAILS.items()
    ]
    return _table(("failure class", "who must act", "another profile may help", "next step"), [*rows, *details])


def signatures_table() -> str:
    rows = sorted(SIGNATURES, key=lambda row: -row.weight)
    told = [(f"`{row.id}`", row.title, f"`{row.failure_class.value}`", row.role.value, str(row.weight)) for row in rows]
    return _table(("signature", "says", "class", "role", "weight"), told)


def repeats_table() -> str:
    head = ("the fault was seen before in", *(f"{runs} clean" for runs in RUNS))
    rows = [
        (f"{failures} of {failures + clean} starts", *(percent(chance_hidden(failures, clean, runs)) for runs in RUNS))
        for failures, clean in BEFORE
    ]
    return _table(head, rows)


TABLES = {
    "rungs": rungs_table,
    "repeats": repeats_table,
    "classes": classes_table,
    "signatures": signatures_table,
}


def page_with_tables(text: str) -> str:
    """Return the page with each table between its two marks."""
    for name, made in TABLES.items():
        begin, end = f"<!-- {name}: made by `python -m tests.verdict.page --write` -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        assert found, f"the page has no place for the table of {name}"
        text = f"{before}{begin}\n\n{made()}\n\n{end}{rest.partition(end)[2]}"
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(head, rows))


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(made() for made in TABLES.values()))


if __name__ == "__main__":
    main()
