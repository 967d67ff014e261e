"""The ladder says which level was reached, and names what a level still lacks."""

from dataclasses import replace

from watcher.model.trial import Acceptance, Score
from watcher.trial.ladder import HOUR, lacking, reached_level


def test_what_was_not_measured_is_named() -> None:
    lines = lacking(Acceptance(completion=True), "minimum")
    assert lines == (
        "stable for 1h: not measured, use --soak 1h",
        "24 of 32 phrases: not measured",
        "a tool call: not measured",
    )


def test_a_met_level_lacks_nothing_and_the_next_one_does() -> None:
    seen = Acceptance(completion=True, tool_call=True, phrases=Score(24, 32), stable_seconds=HOUR)
    assert (reached_level(seen), lacking(seen, "minimum")) == ("minimum", ())
    assert len(lacking(seen, "stretch")) == len(lacking(seen, "target")) + 4
    more = lacking(replace(seen, streams=True, metrics=0), "stretch")[len(lacking(seen, "target")) :]
    assert more == (
        "metrics: none",
        "several models loaded, where the engine can: not measured",
        "recovery noticed and told: not measured",
    )


def test_what_was_measured_and_does_not_suffice_is_told_with_its_figures() -> None:
    seen = Acceptance(
        completion=True,
        tool_call=False,
        phrases=Score(26, 32),
        tool_accuracy=Score(60, 68),
        p95_seconds=4.24,
        answers=72,
        stable_seconds=HOUR,
    )
    assert lacking(seen, "target") == (
        "stable for 24h: 3600 s, use --soak 24h",
        "28 of 32 phrases: 26 of 32 (95 % interval 65–91 %)",
        "p95 below 3 s: 95 % of the answers within 4.2 s (of 72, one at a time)",
        "95 % of tool calls right: 60 of 68 (95 % interval 78–94 %)",
        "a tool call: failed",
    )


def test_the_target_is_met_by_figures_alone() -> None:
    seen = Acceptance(True, True, True, Score(28, 32), Score(65, 68), 2.9, 24 * HOUR, answers=72)
    assert (reached_level(seen), lacking(seen, "target")) == ("target", ())
    assert reached_level(replace(seen, tool_accuracy=Score(64, 68))) == "minimum"
    assert reached_level(replace(seen, p95_seconds=None)) == "minimum", "not measured is not met"


def test_stretch_is_met_where_all_of_it_was_seen() -> None:
    target = Acceptance(True, True, True, Score(28, 32), Score(65, 68), 2.9, 24 * HOUR, answers=72, metrics=9)
    seen = replace(target, multi_model=False, noticed_seconds=0.2, ready_again_seconds=12.0)
    assert (reached_level(seen), lacking(seen, "stretch")) == ("stretch", ()), (
        "an engine of one model meets it as it is"
    )
    assert reached_level(replace(seen, multi_model=True)) == "target"
    assert lacking(replace(seen, multi_model=True, models_loaded=1), "stretch") == (
        "several models loaded, where the engine can: 1 of 2",
    )
    assert reached_level(replace(seen, multi_model=True, models_loaded=2)) == "stretch"
    assert lacking(replace(seen, ready_again_seconds=None), "stretch") == (
        "recovery noticed and told: noticed after 0.2 s, not ready again",
    )


def test_growing_memory_and_restarts_are_not_stable() -> None:
    seen = Acceptance(True, True, True, Score(28, 32), Score(65, 68), 2.9, 24 * HOUR, answers=72)
    grows = replace(seen, memory_lasts_seconds=9 * HOUR)
    assert reached_level(grows) == "none"
    assert lacking(grows, "minimum") == ("stable for 1h: its memory grows, and would be used up in 9.0 h",)
    loops = replace(seen, stable_seconds=40, restarts=7)
    assert lacking(loops, "minimum") == ("stable for 1h: 40 s since the last of 7 restarts, use --soak 1h",)
