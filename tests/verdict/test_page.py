"""docs/verdict.md says what the code judges by; and laws over every combination of what three rungs can see."""

from itertools import product

import pytest

from tests.verdict.page import LOG, PAGE, PROBE, STATIC, judged, page_with_tables
from watcher.model.verdict import BugState

COMBINATIONS = list(product(STATIC, PROBE, (True, False), LOG))


def test_the_page_shows_the_tables_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with_tables(text), "run: python -m tests.verdict.page --write"


@pytest.mark.parametrize(("static", "probe", "trap", "log"), COMBINATIONS)
def test_laws_of_the_first_answer(
    static: BugState | None, probe: tuple[BugState | None, bool], trap: bool, log: BugState | None
) -> None:
    """Judge each combination by the rules as DESIGN words them, not as the code is written."""
    counted = probe[0] if trap else None
    state = judged(static, probe[0], trap, log).bug
    seen = {static, counted, log} - {None, BugState.UNKNOWN}
    on_device = {counted, log} - {None, BugState.UNKNOWN}
    if log is BugState.PRESENT:
        assert state is BugState.PRESENT, "what a bring-up of this very candidate showed stands"
    elif not seen:
        assert state is BugState.UNKNOWN, "without evidence nothing is known"
    elif len(seen) == 1:
        assert state in seen, "evidence of one voice is followed"
    elif on_device == {BugState.PRESENT}:
        assert state is BugState.PRESENT, "seen on the device beats read from bytes"
    else:
        assert state is BugState.UNKNOWN, "two copies of the library"
    if state is BugState.FIXED:
        assert BugState.FIXED in seen
        assert BugState.PRESENT not in seen
