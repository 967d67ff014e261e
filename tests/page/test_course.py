"""How a trial went, as the page tells it: stages with their lengths, starts with their logs, evidence in context."""

import re
from dataclasses import replace

from tests.page.examples import DETAILS, YEAR
from tests.page.test_render import between, read
from watcher.model.trial import Stage
from watcher.page.course import course, size
from watcher.page.facts import StageSpan, TrialDetails


def test_each_stage_has_its_length_and_the_bar_is_as_wide_as_the_whole() -> None:
    page = read(YEAR)
    text = between(page, "Trial 324 Oct", "Trial 2")
    for part in ("preflight 0.3 s", "pull 1 min 34 s", "displace 3.2 s", "ready 2 min 56 s", "restore 24 s"):
        assert part in text, part
    assert "the service is away" in text
    assert "the service is away" not in between(page, "Trial 5", "Trial 4")
    bar = course(YEAR.trials[2], DETAILS[3])
    widths = [float(width) for width in re.findall(r'width="([\d.]+)%" height', bar)]
    assert len(widths) == 10
    assert abs(sum(widths) - 100) < 0.5
    assert bar.count('rect class="away"') == 6, "from displace to restore"


def test_where_nothing_was_put_aside_nothing_is_away() -> None:
    bar = course(replace(YEAR.trials[2], displaced=()), DETAILS[3])
    assert "away" not in bar
    assert "ready" in bar


def test_a_stage_that_came_twice_is_told_once_and_one_that_lasts_says_so() -> None:
    spans = [
        *[StageSpan(stage, 20) for stage in (Stage.START, Stage.READY) * 3],
        StageSpan(Stage.ACCEPT, 61, is_over=False),
    ]
    text = re.sub("<[^>]*>", "", course(YEAR.trials[2], TrialDetails(tuple(spans))))
    assert "start 1 min in 3 times" in text
    assert "accept for 1 min 1 s now" in text
    assert course(YEAR.trials[2], TrialDetails()) == ""
    assert "0.0 s" in course(YEAR.trials[2], TrialDetails((StageSpan(Stage.PULL, 0.0),))), "no division by nothing"


def test_the_evidence_stands_among_the_lines_around_it() -> None:
    page = read(YEAR)
    text = between(page, "Trial 324 Oct", "Trial 2")
    assert "Around it, in the log of start 1 (recommended):120Loading safetensors" in text
    assert re.search(r'<li class="decides"><span class="number">123</span><bdi>RuntimeError', page.markup)
    assert page.markup.count('<li class="decides">') == 1


def test_a_gap_between_lines_is_marked() -> None:
    (told,) = DETAILS[3].excerpts
    apart = replace(told, lines=((3, "one"), (4, "two"), (90, "three")))
    markup = read(replace(YEAR, details={3: TrialDetails(excerpts=(apart,))})).markup
    assert markup.count("⋮") == 1


def test_each_start_leads_to_its_log() -> None:
    page = read(YEAR)
    text = between(page, "Trial 324 Oct", "Trial 2")
    assert "Start 1, profile recommended: ✗ fails in stage ready, exit code 1 · log, 41 kB compressed" in text
    logs = [link for link in page.links if link.startswith("logs/")]
    assert logs == ["logs/trial-3-start-0.log.gz", "logs/trial-2-start-0.log.gz"]
    assert "Start 1, profile recommended: ✗ fails" in between(page, "Trial 17 May", "Sources"), "a log that is gone"


def test_sizes_are_for_people() -> None:
    assert [size(count) for count in (0, 999, 1000, 41_300, 999_499, 35_900_000)] == [
        *("0 B", "999 B", "1 kB", "41 kB", "999 kB", "35.9 MB")
    ]
