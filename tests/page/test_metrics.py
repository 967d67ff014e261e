"""The metrics, read by Prometheus' own parser for Python."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.page.examples import FIXED, NOTHING, NOW, OWED, YEAR
from tests.page.hostile import HOSTILE, facts_of
from watcher.page.facts import PageFacts
from watcher.page.metrics import families, metrics


def parsed(facts: PageFacts) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics(facts))}


def samples(facts: PageFacts) -> dict[tuple[str, ...], float]:
    """Return each value under its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parsed(facts).values()
        for sample in family.samples
    }


def test_what_the_page_says_is_there_as_numbers() -> None:
    found = samples(replace(YEAR, owed=(OWED,)))
    expected = {
        ("watcher_answer_info", "orin-nx", "cuda-allocator", "vllm"): 1,
        ("watcher_bug_state", "present"): 1,
        ("watcher_bug_state", "fixed"): 0,
        ("watcher_bug_state", "unknown"): 0,
        ("watcher_bring_up_state", "fails"): 1,
        ("watcher_bring_up_state", "works"): 0,
        ("watcher_waits", "bug"): 1,
        ("watcher_waits", "bring_up"): 1,
        ("watcher_source_up", "torch-jp6-cu126"): 1,
        ("watcher_source_up", "vllm-releases"): 0,
        ("watcher_source_failed_looks", "vllm-releases"): 3,
        ("watcher_source_stale", "l4t-r36"): 1,
        ("watcher_source_stale", "torch-jp6-cu126"): 0,
        ("watcher_source_facts", "torch-jp6-cu126"): 42,
        ("watcher_source_last_look_timestamp_seconds", "torch-jp6-cu126"): NOW.timestamp(),
        ("watcher_trials_total", "verdict"): 3,
        ("watcher_trials_total", "cancelled"): 0,
        ("watcher_service_away_seconds_total",): 636.5,
        ("watcher_trial_running",): 0,
        ("watcher_owed_services", "overdue"): 1,
        ("watcher_owed_services", "in_trial"): 0,
        ("watcher_undelivered_notices", "mailtos:0a1b2c3d"): 2,
        ("watcher_last_check_duration_seconds",): 1.25,
        ("watcher_last_check_timestamp_seconds",): NOW.timestamp(),
        ("watcher_written_timestamp_seconds",): NOW.timestamp(),
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not [name for name in found if "device" in name[1:] or ("threads" in name[1:2] and "last" in name[0])]


def test_a_service_that_is_away_for_a_reason_is_not_overdue() -> None:
    alive = samples(replace(YEAR, owed=(OWED,), trial_is_alive=True))
    assert (alive["watcher_owed_services", "in_trial"], alive["watcher_owed_services", "overdue"]) == (1, 0)
    assert alive[("watcher_trial_running",)] == 1
    kept = samples(replace(YEAR, owed=(replace(OWED, makes_room=True),)))
    assert (kept["watcher_owed_services", "kept"], kept["watcher_owed_services", "overdue"]) == (1, 0)


def test_what_is_not_known_is_left_out() -> None:
    found = {name[0] for name in samples(NOTHING)}
    assert not {name for name in found if "last_" in name or "since" in name}
    assert "watcher_bug_state" in found


@pytest.mark.parametrize("facts", [YEAR, FIXED, NOTHING], ids=["present", "fixed", "nothing"])
def test_names_follow_the_conventions(facts: PageFacts) -> None:
    for family in parsed(facts).values():
        assert re.fullmatch(r"watcher_[a-z]+(_[a-z]+)*", family.name), family.name
        assert family.documentation.endswith("."), family.name
        names = {sample.name for sample in family.samples}
        assert names == {f"{family.name}_total" if family.type == "counter" else family.name}
        assert not re.search(r"_(ms|minutes|hours|days|kb|mb|percent|count)$", family.name)
        assert ("timestamp" in family.name) <= family.name.endswith("_timestamp_seconds")
        assert family.type in ("gauge", "counter")
    text = metrics(facts)
    told = re.findall(r"^# (HELP|TYPE) (\S+)", text, re.MULTILINE)
    assert len(told) == len(set(told)) == 2 * len(parsed(facts))


def _labels(facts: PageFacts) -> Iterable[tuple[str, str]]:
    return {pair for family in families(facts) for labels, _ in family.samples for pair in labels.items()}


def test_no_label_holds_what_an_upstream_wrote() -> None:
    """Every value is one of a short list, or a name that the configuration gave."""
    named = {"device": {"orin-nx"}, "bug": {"cuda-allocator"}, "engine": {"vllm"}}
    short = {
        "state": {"present", "fixed", "unknown", "works", "fails", "untried", "in_trial", "kept", "overdue"},
        "outcome": {"verdict", "bench", "refused", "cancelled"},
        "question": {"bug", "bring_up"},
        "source": {one.name for one in YEAR.sources},
        "channel": set(YEAR.totals.undelivered),
    }
    for name, value in _labels(YEAR):
        assert name == "version" or value in {**named, **short}[name], (name, value)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_in_their_quotes(text: str) -> None:
    facts = facts_of(text)
    facts = replace(facts, sources=facts.sources[:1])
    known = {family.name for family in families(YEAR)}
    for family in text_string_to_metric_families(metrics(facts)):
        for sample in family.samples:
            assert sample.name in known
            for name, value in sample.labels.items():
                told = text.encode("utf-8", "replace").decode()
                assert value == told or name in ("state", "outcome", "question", "version"), (name, value)
