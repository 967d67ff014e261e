"""What the page says, read by a parser."""

import re
from dataclasses import replace

import pytest

from tests.page.examples import FIXED, NOTHING, NOW, OWED, YEAR, image, wheel
from tests.page.reading import Page
from watcher.model.trial import Stage
from watcher.model.verdict import BringUp, BugState
from watcher.page.facts import PageFacts
from watcher.page.ledger import MOST, newest_first
from watcher.page.render import render
from watcher.page.style import STYLE


def read(facts: PageFacts) -> Page:
    page = Page(render(facts))
    assert page.faults == []
    assert len(page.ids) == len(set(page.ids))
    inner = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert inner <= set(page.ids), "links within the page lead somewhere"
    return page


def between(page: Page, first: str, then: str) -> str:
    return page.text.partition(first)[2].partition(then)[0]


def test_the_answer_stands_first_with_what_it_rests_on() -> None:
    page = read(YEAR)
    said = page.text.partition("The year")[0]
    assert YEAR.answer.headline in said
    assert "as of 23 Nov 2026, 12:00 UTC" in said
    for part in (
        "Is the bug in this build?✗presentWaits for an arm64 image for r36 with torch ≥ 2.14.0since 2 Sep 2026",
        "Does the engine work on this device?✗failsWaits for vLLM 0.33.0: no image for r36since 2 Nov 2026",
        "watcher trial run tries one by hand",
        "Seen inghcr.io/nvidia-ai-iot/vllm:0.32.0-r36.4-cu129-24.04sha256:abab",
        "Known fromstatic, bring-up, trial 3",
        "Since7 May 2026",
        "Fixed intorch 2.14.0, vllm 0.33.0",
    ):
        assert part in said, part
    assert page.title == "orin-nx: present, fails"


def test_what_is_owed_stands_above_everything_and_says_what_to_do() -> None:
    page = read(replace(YEAR, owed=(OWED,)))
    above = page.text.partition(YEAR.answer.headline)[0]
    assert "Not given back yet" in above
    assert "container:zoe-ollama: down. owed since 2026-11-23 11:40 UTC" in above
    assert "Run watcher restore" in above
    alive = read(replace(YEAR, owed=(OWED,), trial_is_alive=True)).text
    assert "A trial is running; it gives back" in alive
    assert "watcher restore" not in alive
    assert "Not given back" not in read(YEAR).text


def test_a_page_about_nothing_claims_nothing() -> None:
    page = read(NOTHING)
    for part in ("?unknown", "–untried", "Fixed inno build that was read", "Nothing has moved", "No build was read yet",
                 "Nothing was tried yet", "No source is configured"):  # fmt: skip
        assert part in page.text, part
    assert "<svg" not in page.markup


def test_the_ledger_is_newest_first_by_version_and_marks_the_first_fixed_one() -> None:
    ledger = between(read(YEAR), "Which build carries the fix", "Last trials")
    order = [f"2.{minor}.0" for minor in range(15, 4, -1)]
    torch = ledger.partition("vllm")[0]
    places = [torch.index(f"torch-{version}-cp310") for version in order]
    assert places == sorted(places), "2.10 is above 2.9"
    assert (
        "2.14.0 ★first fixed: torch 2.14.0torch-2.14.0-cp310-cp310-linux_aarch64.whl · torch-official-cu130" in ledger
    )
    assert torch.count("first fixed") == 1
    assert "?unknownthe host sends only whole filesread 29 Oct 2026" in ledger
    assert "4 older ones" in ledger


def test_an_image_is_marked_for_its_engine_and_for_what_is_inside() -> None:
    ledger = between(read(YEAR), "Which build carries the fix", "Last trials").partition("whl")[2]
    assert "0.33.0 ★first fixed: vllm 0.33.0★first fixed: torch 2.14.0" in ledger
    assert "0.33.0-r39.2-cu132 · torch 2.14.0 inside · images" in ledger
    not_fixed = replace(YEAR, statics=(image("0.33.0-r36.4", BugState.PRESENT, "2.14.0"),))
    assert "first fixed" not in read(not_fixed).text


def test_a_long_ledger_is_counted_not_printed() -> None:
    statics = tuple(wheel(f"2.{minor}.0", BugState.PRESENT) for minor in range(MOST + 15))
    page = read(replace(YEAR, statics=statics))
    assert "15 more: watcher sources" in page.text
    assert page.text.count(".whl") < MOST + 10
    assert [one.version for one in newest_first(statics)][:2] == [f"2.{MOST + 14}.0", f"2.{MOST + 13}.0"]


def test_a_trial_is_told_with_both_answers_reason_and_evidence() -> None:
    page = read(YEAR)
    trial = between(page, "Trial 324 Oct", "Trial 2")
    for part in (
        "✗bug present✗engine fails: allocator-nvml-assert",
        "the engine died on the allocator's NVML assert",
        "Put aside and given back: container:zoe-ollama, away for 3 min 32 s",
        "Evidence: 2 lines",
        'INTERNAL ASSERT FAILED at "/pytorch/c10/cuda/CUDACachingAllocator.cpp":1131',
        "bring-up, line 123 of the log · nvml-assert",
    ):
        assert part in trial, part
    works = between(page, "Trial 226 Jul", "Trial 1")
    assert "✓engine works" in works
    assert "phrases 30 of 32 (95 % interval 80–98 %), 95 % of the answers within 1.4 s, stability not measured" in works


def test_trials_without_a_verdict_say_so_and_claim_no_answer() -> None:
    page = read(YEAR)
    bench = between(page, "Trial 5", "Trial 4")
    assert "!no verdict: our own side failed" in bench
    assert "the registry answered 503It ended at stage pull." in bench
    refused = between(page, "Trial 4", "Trial 3")
    assert "!not tried" in refused
    assert "To be looked at again: 21 Nov 2026, 13:00" in refused
    assert "bug" not in bench + refused
    displaced = replace(YEAR.trials[0], displaced=("container:zoe-ollama",), owed=(OWED,))
    running = replace(displaced, outcome=None, stage=Stage.READY, finished_at=None, failed_stage=None)
    said = between(read(replace(YEAR, trials=(running,), answer=NOTHING.answer)), "Trial 5", "Sources")
    assert "…running: ready" in said
    assert "not given back yet: container:zoe-ollama" in said


def test_each_source_says_how_it_does_and_where_to_look() -> None:
    page = read(YEAR)
    sources = page.text.rpartition("Sources")[2]
    for part in (
        "torch-jp6-cu126simple-index · 42 factsnewest: 2.10.0, 13 Nov 2026✓ok23",
        "✗failed 3 in a row23 Nov 2026, 12:00last that worked: 22 Nov 2026, 12:00the host answers 503",
        "l4t-r36common · t234apt · 6 facts",
        "!stalenothing new since 2026-01-22",
        "threadsgithub-threads · 0 facts?not looked at",
        "–switched off",
        "Watching since 17 Jan 2026",
    ):
        assert part in sources, part
    assert "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/torch/" in page.links
    assert "https://example.org/t234" in page.links


def test_the_picture_stands_as_a_table_too() -> None:
    table = between(read(YEAR), "The same as a table: ", "Which build")
    told = len(YEAR.events) + len(YEAR.before) + 3
    assert table.startswith(f"{told} rows")
    for part in ("v0.33.0new · vllm-releases", "latest-0rebuilt · images",
                 "v0.10.0before the first look · vllm-releases", "trial 2: bug present, engine works"):  # fmt: skip
        assert part in table, part
    assert table.index("v0.33.0") < table.index("v0.20.0"), "newest first"


def test_what_is_left_out_is_said() -> None:
    cut = read(replace(YEAR, more_events=True, more_trials=True)).text
    assert f"Left out are changes before the last {len(YEAR.events)}: watcher events --since 365d; trials before" in cut
    assert "Left out" not in read(YEAR).text


@pytest.mark.parametrize("facts", [YEAR, FIXED, NOTHING], ids=["present", "fixed", "nothing"])
def test_no_colour_stands_alone(facts: PageFacts) -> None:
    page = read(facts)
    for kind, words in page.chips:
        assert len(words) > 2, f"{kind} has no words"
    for state in (facts.answer.bug, facts.answer.bring_up):
        assert state.value in page.text


def test_every_state_has_its_colour() -> None:
    for state in (*BugState, *BringUp):
        assert f".{state.value}" in STYLE


def test_the_page_is_the_same_for_the_same_facts() -> None:
    assert render(YEAR) == render(replace(YEAR, now=NOW))


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(sign * 2 for sign in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_can_be_read(dark: bool) -> None:
    """Hold text to the contrast of WCAG AA, in the light and in the dark."""
    blocks = re.findall(r":root\{([^}]*)\}", STYLE)
    colours = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", blocks[dark]))
    pairs = [(ink, ground) for ink in ("ink", "quiet", "link") for ground in ("ground", "card")]
    pairs += [(tone, f"{tone}-ground") for tone in ("bad", "good", "wait", "open")]
    pairs += [(tone, "card") for tone in ("bad", "good", "wait", "open")]
    measured = {(ink, ground): _contrast(colours[ink], colours[ground]) for ink, ground in pairs}
    assert {pair: contrast for pair, contrast in measured.items() if contrast < 4.5} == {}
