"""Which build carries the fix: what was read from the bytes, newest version first."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from watcher.model.verdict import BugState, StaticRecord
from watcher.page.facts import PageFacts
from watcher.page.markup import chip, day, mark, note, plain, row, said, table, under
from watcher.planner.versions import parse_tag, pep440_key, public

SHOWN, MOST = 8, 60
"""Rows of a component at first sight, and with those that unfold."""


def ledger(facts: PageFacts) -> str:
    """Return one table per component."""
    if not facts.statics:
        return note("No build was read yet.")
    ordered = sorted(facts.statics, key=lambda record: record.component)
    groups = groupby(ordered, key=lambda record: record.component)
    return "".join(_component(facts, name, newest_first(list(records))) for name, records in groups)


def newest_first(records: Sequence[StaticRecord]) -> list[StaticRecord]:
    return sorted(records, key=lambda one: (pep440_key(build_version(one)), one.at, one.name), reverse=True)


def build_version(record: StaticRecord) -> str | None:
    """Return the version of the component itself: of an image (`version` is what is inside) the one in its tag."""
    return parse_tag(record.name.rpartition(":")[2]).version if record.reading.kind == "image" else record.version


def first_fixed(facts: PageFacts, record: StaticRecord) -> Iterator[str]:
    """Yield what this build is the first fixed version of, as in `torch 2.14.0`."""
    if record.reading.state is not BugState.FIXED:
        return
    versions = {record.component: build_version(record)}
    if record.reading.kind == "image":
        versions[facts.component] = record.version
    lowest = facts.answer.fixed_in or {}
    for component, version in versions.items():
        if version is not None and lowest.get(component) == public(version):
            yield f"{component} {public(version)}"


def _component(facts: PageFacts, name: str, records: Sequence[StaticRecord]) -> str:
    rows = [_row(facts, record) for record in records[:MOST]]
    shown = _table(rows[:SHOWN], said(name, 60))
    if len(rows) > SHOWN:
        shown += f"<details><summary>{len(rows) - SHOWN} older ones</summary>{_table(rows[SHOWN:])}</details>"
    if len(records) > MOST:
        shown += note(f"{len(records) - MOST} more: <code>watcher sources</code>")
    return shown


def _table(rows: Sequence[str], caption: str = "") -> str:
    return table("builds", ("Build", "The bug is"), rows, caption)


def _row(facts: PageFacts, record: StaticRecord) -> str:
    version = build_version(record)
    name = said(version, 60) if version else said(record.name, 120)
    inside = f"{plain(facts.component, 40)} {plain(record.version or 'not found', 60)} inside"
    places = [
        said(record.name, 160) if version else "",
        inside if record.reading.kind == "image" else "",
        said(record.source or "read in a trial", 60),
    ]
    firsts = "".join(mark("first", "★", f"first fixed: {first}") for first in first_fixed(facts, record))
    is_told = record.reading.state is BugState.UNKNOWN or record.reading.pin
    reason = under(said(record.reading.reason, 240)) if is_told else ""
    build = f"{name} {firsts}{under(' · '.join(filter(None, places)))}"
    return row(build, f"{chip(record.reading.state)}{reason}{under(f'read {day(record.at)}')}")
