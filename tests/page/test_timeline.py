"""The picture: where things stand along the time, what is one dot, what is one bar."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from tests.page.examples import DAY, EVENTS, FIXED, NOTHING, NOW, PRESENT, YEAR, event, trial
from watcher.model.facts import Event, EventKind, FactKind
from watcher.model.verdict import BringUp, BugState, Rung
from watcher.page.facts import PageFacts
from watcher.page.timeline import YEAR as A_YEAR
from watcher.page.timeline import Window, bug_spells, dated, engine_spells, moments, timeline, window_of

QUIET = replace(YEAR, events=(), before=(), trials=(), sources=())
Svg = ElementTree.Element


def drawn(facts: PageFacts) -> Svg:
    """Return the picture, which is good XML."""
    return ElementTree.fromstring(timeline(facts, moments(facts)))


def window(facts: PageFacts) -> Window:
    return window_of(facts, moments(facts))


def dots(facts: PageFacts) -> list[tuple[str, float, str]]:
    """Return (class, x, tooltip) of each dot."""
    found = [group for group in drawn(facts).iter("g") if group.get("class", "").startswith("dot")]
    return [(str(one.get("class")), float(str(one[1].get("cx")).rstrip("%")), str(one[0].text)) for one in found]


def test_time_runs_evenly_from_edge_to_edge() -> None:
    window = Window(NOW - 200 * DAY, NOW)
    assert [window.x(NOW - days * DAY) for days in (200, 150, 100, 1, 0)] == [0, 25, 50, 99.5, 100]
    assert (window.x(NOW - 999 * DAY), window.x(NOW + DAY)) == (0, 100), "what is outside stands at the edge"


@pytest.mark.parametrize(("first", "shown"), [(700, 365), (200, 200), (3, 28), (-3, 28)])
def test_it_shows_a_year_or_the_time_since_the_first_thing(first: int, shown: int) -> None:
    shown_time = window(replace(QUIET, events=(event(FactKind.RELEASE, "v1", first),)))
    assert (shown_time.end - shown_time.start, shown_time.end) == (shown * DAY, NOW)


def test_it_begins_with_the_first_look_where_nothing_moved() -> None:
    assert window(replace(QUIET, sources=YEAR.sources)).start == NOW - 310 * DAY


def test_a_year_has_its_months_and_a_short_time_its_weeks() -> None:
    months = list(Window(NOW - A_YEAR, NOW).ticks())
    assert " ".join(name for _, name in months) == "Dec 2026 Feb Mar Apr May Jun Jul Aug Sep Oct Nov"
    assert months[0][0] == datetime(2025, 12, 1, tzinfo=UTC)
    weeks = list(Window(NOW - 28 * DAY, NOW).ticks())
    assert [name for _, name in weeks] == ["2 Nov", "9 Nov", "16 Nov", "23 Nov"]
    assert {when.weekday() for when, _ in weeks} == {0}


@pytest.mark.parametrize(
    ("seen", "published", "change", "days"),
    [
        (10, 12, EventKind.NEW, 12),
        (10, None, EventKind.NEW, 10),
        (10, 5, EventKind.NEW, 10),  # a stamp after it was seen cannot be true
        (10, 3000, EventKind.NEW, 10),  # old content that appeared now
        (10, 40, EventKind.EDITED, 10),  # the stamp is of the first publication
    ],
)
def test_an_event_stands_where_upstream_dates_it_if_that_can_be(
    seen: float, published: float | None, change: EventKind, days: float
) -> None:
    assert dated(event(FactKind.RELEASE, "v1", seen, change, published), NOW) == NOW - days * DAY


def test_what_stands_near_each_other_is_one_larger_dot_that_names_all() -> None:
    near = tuple(event(FactKind.IMAGE, f"tag-{at}", 50 + at / 100) for at in range(9))
    far = event(FactKind.IMAGE, "alone", 150)
    alone, several = dots(replace(QUIET, events=(*near, far), sources=YEAR.sources))
    assert alone[2] == "26 Jun 2026: alone, new (vllm-releases)"
    assert several[2].count("tag-") == 6
    assert several[2].endswith("and 3 more")
    radii = [float(str(circle.get("r"))) for circle in drawn(replace(QUIET, events=(*near, far))).iter("circle")]
    assert radii[1] > radii[0]


def test_the_kind_of_a_dot_is_told_by_its_form() -> None:
    gone = event(FactKind.RELEASE, "gone", 100, EventKind.WITHDRAWN)
    facts = replace(QUIET, events=(event(FactKind.RELEASE, "new", 10), gone), before=YEAR.before)
    kinds = [kind for kind, _, _ in dots(facts)]
    assert sorted(set(kinds)) == ["dot before", "dot change", "dot news"]


def test_each_family_has_a_lane_of_its_own() -> None:
    names = [text.text for text in drawn(YEAR).iter("text") if text.get("class") == "name" and text.text]
    assert names == ["The bug", "The engine", "Builds", "Releases", "Images", "JetPack and L4T", "Threads and feeds",
                     "This device"]  # fmt: skip


def test_nothing_that_moved_is_missing() -> None:
    assert len(moments(YEAR)) == len(EVENTS) + len(YEAR.before)
    told = "\n".join(text for _, _, text in dots(YEAR))
    for one in EVENTS:
        assert one.fact.name in told


def spells(facts: PageFacts) -> list[tuple[str, int, int]]:
    return [
        (spell.state.value, round((NOW - spell.begin) / DAY), round((NOW - spell.end) / DAY))
        for spell in engine_spells(facts)
    ]


def test_a_bar_lasts_until_a_trial_says_something_else() -> None:
    assert spells(YEAR) == [("fails", 200, 120), ("works", 120, 30), ("fails", 30, 0)]
    assert [(spell.state, spell.said_by) for spell in bug_spells(YEAR)] == [(BugState.PRESENT, "trial 1")]
    assert [spell.state for spell in bug_spells(FIXED)] == [BugState.PRESENT, BugState.FIXED]


def test_what_said_nothing_ends_no_bar() -> None:
    silent = trial(7, 5, BugState.UNKNOWN, BringUp.UNTRIED)
    other = replace(
        trial(8, 4, BugState.FIXED, BringUp.WORKS),
        candidate=replace(trial(8, 4, BugState.FIXED, BringUp.WORKS).candidate, engine="ollama"),
    )
    assert spells(replace(YEAR, trials=(other, silent, *YEAR.trials))) == spells(YEAR)


def test_where_nothing_was_tried_the_bytes_speak_of_the_bug_alone() -> None:
    read = replace(PRESENT, basis=(Rung.STATIC,), since=NOW - 40 * DAY, trial_id=None)
    facts = replace(QUIET, answer=read)
    (spell,) = bug_spells(facts)
    assert (spell.state, spell.begin, spell.end) == (BugState.PRESENT, NOW - 40 * DAY, NOW)
    assert engine_spells(facts) == ()
    assert bug_spells(NOTHING) == ()


def test_what_is_waited_for_is_drawn_from_when_on() -> None:
    bars = [group for group in drawn(YEAR).iter("g") if group.get("class") == "bar waiting"]
    texts = [str(bar[0].text) for bar in bars]
    assert texts == [
        "an arm64 image for r36 with torch ≥ 2.14.0, since 2 Sep 2026",
        "vLLM 0.33.0: no image for r36, since 2 Nov 2026",
    ]
    begin, width = (float(str(bars[0][1].get(key)).rstrip("%")) for key in ("x", "width"))
    assert begin == window(YEAR).x(NOW - 82 * DAY)
    assert begin + width == pytest.approx(100)


def test_it_is_told_in_words_for_whoever_cannot_see_it() -> None:
    svg = drawn(YEAR)
    assert (svg.get("role"), svg.get("aria-labelledby")) == ("img", "year-title year-text")
    assert (svg[0].get("id"), svg[1].get("id")) == ("year-title", "year-text")
    told = str(svg[1].text)
    for part in ("Releases: 19 changes.", "The bug: present from 7 May 2026.",
                 "The engine: fails from 7 May 2026, then works from 26 Jul 2026, then fails from 24 Oct 2026.",
                 "The bug waits since 2 Sep 2026 for an arm64 image"):  # fmt: skip
        assert part in told, part


def test_a_clock_that_was_set_back_breaks_nothing() -> None:
    ahead = Event("s", EventKind.NEW, event(FactKind.IMAGE, "later", 1).fact, NOW + timedelta(days=40))
    facts = replace(YEAR, events=(ahead,), trials=(trial(9, -3, BugState.FIXED, BringUp.WORKS),))
    assert [(x, kind) for kind, x, _ in dots(facts)][-1] == (100, "dot news")
