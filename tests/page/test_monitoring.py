"""The alert rules and the dashboard name only metrics, labels and values that the program writes."""

import json
import re
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.page.examples import OWED, YEAR
from tests.page.screenshots import MOST_BYTES, PICTURES
from tests.places import CHECKOUT
from watcher.page.metrics import families

FOLDER = CHECKOUT / "deploy" / "monitoring"
WRITTEN = {family.name: family for family in families(YEAR)}
_SELECTOR = re.compile(r"\b(watcher_\w+)(?:\{([^}]*)\})?")
_MATCH = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_OF_PROMETHEUS = {"instance", "job"}


def _expressions(place: Any) -> Iterator[str]:
    """Yield everything in the file that asks for a metric."""
    if isinstance(place, dict):
        for key, value in place.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from _expressions(value)
    elif isinstance(place, list):
        for value in place:
            yield from _expressions(value)


def asked() -> list[tuple[str, str]]:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    found = [("alerts", text) for text in _expressions(rules)] + [
        ("dashboard", text) for text in _expressions(dashboard)
    ]
    return [(where, text) for where, text in found if "watcher_" in text]


@pytest.mark.parametrize(("where", "text"), asked())
def test_what_is_asked_for_is_written(where: str, text: str) -> None:
    for name, selector in _SELECTOR.findall(text):
        assert name in WRITTEN, name
        written = WRITTEN[name].samples
        labels = {label for told, _ in written for label in told}
        for label, operator, value in _MATCH.findall(selector):
            assert label in labels | _OF_PROMETHEUS, (name, label)
            if operator == "=":
                assert value in {told.get(label) for told, _ in written}, (name, label, value)
        if WRITTEN[name].kind == "counter":
            assert f"increase({name}" in text, "a counter says nothing by its height"


def test_enough_is_asked_for() -> None:
    names = {name for _, text in asked() for name, _ in _SELECTOR.findall(text)}
    assert len([where for where, _ in asked() if where == "alerts"]) == 8
    assert len(names) >= 14
    assert OWED.service not in "".join(text for _, text in asked())


def test_each_metric_is_explained() -> None:
    told = (CHECKOUT / "docs" / "monitoring.md").read_text()
    assert [name for name in WRITTEN if f"`{name}" not in told] == []


def test_each_alert_says_what_to_do() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
    for rule in rules:
        assert {"summary", "description"} <= rule["annotations"].keys(), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        labels = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        (name, *_) = [name for name, _ in _SELECTOR.findall(rule["expr"])]
        assert labels <= {label for told, _ in WRITTEN[name].samples for label in told}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_pictures_are_there_and_small() -> None:
    for picture in PICTURES:
        path = CHECKOUT / "docs" / f"{picture.name}.png"
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert (width, height) == (picture.width, picture.height), picture.name
        assert len(content) < MOST_BYTES
        assert path.name in (CHECKOUT / "docs" / "monitoring.md").read_text()
