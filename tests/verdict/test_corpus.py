"""The labelled corpus beside the checkout: every bug found, nothing else called one, classes right."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.places import LOG_CORPUS
from watcher.verdict.scan import scan

CLASS_OF_LABEL = {"quoted-not-log": "no-evidence"}
FLOOR = 0.95

pytestmark = pytest.mark.skipif(not LOG_CORPUS.exists(), reason="the log corpus does not stand beside the checkout")


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LOG_CORPUS.read_text().splitlines()]


def test_every_bug_is_found_and_nothing_else_is_called_one(entries: list[dict[str, Any]]) -> None:
    wrong = [
        (entry["id"], entry["label"])
        for entry in entries
        if (scan([entry["log"].encode()]).bug.value == "present") != (entry["verdict"] == "bug")
    ]
    assert wrong == []


def test_classes_are_right(entries: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    table: Counter[tuple[str, str]] = Counter()
    right: Counter[str] = Counter()
    total = Counter(entry["fidelity"] for entry in entries)
    for entry in entries:
        got = scan([entry["log"].encode()]).failure_class.value
        table[entry["label"], got] += 1
        right[entry["fidelity"]] += got == CLASS_OF_LABEL.get(entry["label"], entry["label"])
    with capsys.disabled():
        print()
        for (label, got), count in sorted(table.items()):
            print(f"{label:24} -> {got:24} {count:3}")
        for fidelity, count in sorted(total.items()):
            print(f"{fidelity}: {right[fidelity]} of {count}")
    assert all(right[fidelity] >= FLOOR * count for fidelity, count in total.items())
