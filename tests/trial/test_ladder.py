"""The ladder says which level was reached, and names what a level still lacks."""

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
    assert "24 of 32 phrases: not met" not in lacking(seen, "target")
    assert "28 of 32 phrases: not met" in lacking(seen, "target")
    assert len(lacking(seen, "stretch")) == len(lacking(seen, "target")) + 1
