"""The device as a source: an upgrade is an edit, a device that cannot be seen any more is trouble."""

import pytest

from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceUnavailable
from watcher.model.device import DeviceFacts, DeviceState

ORIN = DeviceFacts("orin", DeviceState("36.4.7", "540.4.0", "boot"), jetpack="6.2.1")


def test_l4t_and_driver_are_facts(build: Build) -> None:
    source = build('kind = "device"', device=ORIN)
    facts = facts_of(source.poll(None))
    assert {name: fact.version for name, fact in facts.items()} == {"l4t": "36.4.7", "driver": "540.4.0"}
    assert facts["l4t"].detail["_jetpack"] == "6.2.1"
    assert source.traffic.requests == 0


def test_off_a_jetson_there_is_nothing_and_no_trouble(build: Build) -> None:
    first = build('kind = "device"').poll(None)
    assert first.facts == ()
    assert build('kind = "device"').poll(first.cursor).facts == ()


def test_a_device_that_was_seen_and_cannot_be_seen_any_more_is_trouble(build: Build) -> None:
    cursor = build('kind = "device"', device=ORIN).poll(None).cursor
    with pytest.raises(SourceUnavailable, match="cannot be seen any more"):
        build('kind = "device"').poll(cursor)
