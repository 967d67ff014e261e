"""The fault matrix as rows: the tests run them, and `docs/reliability.md` shows the same rows as its table.

python -m tests.faults.table            # print the table
python -m tests.faults.table --write    # put it into docs/reliability.md
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from tests.places import CHECKOUT

MODULES: tuple[str, ...] = (
    "test_deaths",
    "test_slow_stop",
    "test_displaced",
    "test_other_services",
    "test_candidates",
    "test_keep",
    "test_images",
    "test_control",
    "test_disk",
    "test_container_start",
    "test_clock_and_disk",
)
"""Test modules of this package that have `ROWS`, in the order of the page."""
PAGE = CHECKOUT / "docs" / "reliability.md"
BEGIN, END = "<!-- fault matrix: made by `python -m tests.faults.table --write` -->", "<!-- end of the fault matrix -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault.

    Attributes:
        group: what misbehaves: the program, its container, Docker, the displaced service, the candidate, the disk, the
            clock.
        what: the fault, in words for a person.
        brings_back: what brings the service back.
        verdict: what the trial says afterwards.
        cases: how many test cases show it.
    """

    group: str
    what: str
    brings_back: str
    verdict: str
    cases: int


def rows() -> tuple[Row, ...]:
    return tuple(row for module in MODULES for row in import_module(f"tests.faults.{module}").ROWS)


def table(some: Iterable[Row]) -> str:
    """Return the rows as Markdown, with the number of cases below."""
    some = tuple(some)
    lines = [
        "| who | fault | what brings the service back | the trial says | cases |",
        "| --- | --- | --- | --- | ---: |",
    ]
    lines += [f"| {row.group} | {row.what} | {row.brings_back} | {row.verdict} | {row.cases} |" for row in some]
    return "\n".join([*lines, "", f"{sum(row.cases for row in some)} cases in {len(some)} rows."])


def page_with(text: str, made: str) -> str:
    """Return the page with the table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def main() -> None:
    made = table(rows())
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print(made)


if __name__ == "__main__":
    main()
