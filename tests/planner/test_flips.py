"""When trials come to another answer, it is said what moved between the two: all of it, and never what is not known."""

from dataclasses import replace

import pytest

from tests.planner.worlds import HOUR, NOW, candidate, orin, trial, vllm
from watcher.model.answer import Flip
from watcher.model.device import DeviceFacts
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BringUp, BugState, ProbeReading, StaticReading, StaticRecord
from watcher.planner.flips import last_flip

OLD, NEW = candidate("0.32.0-r36.4"), candidate("0.33.0-r36.4")
WORKS = (BugState.FIXED, BringUp.WORKS)
FAILS = (BugState.PRESENT, BringUp.FAILS)
IMAGE = f"image {OLD.image} → {NEW.image}"


def said(
    number: int, of: Candidate, answers: tuple[BugState, BringUp], device: DeviceFacts | None = None, **keys: object
) -> Trial:
    """Return a trial; a higher number ended later."""
    values = {"bug": answers[0], "bring_up": answers[1]} | keys
    ended = NOW - (50 - number) * HOUR
    return trial(of, ended=ended, device=device, number=number, **values)  # type: ignore[arg-type]


def torch(of: Candidate, version: str | None) -> StaticRecord:
    reading = StaticReading(of.image, "image", BugState.UNKNOWN, "read", torch=version)
    return StaticRecord("", "vllm", of.image, version, of.digest or "", reading, NOW)


def flip(*trials: Trial, read: tuple[StaticRecord, ...] = ()) -> Flip | None:
    """Return the flip that led to the last of the trials."""
    return last_flip(trials[-1], (trials[-1].bug, trials[-1].bring_up), trials, vllm(), read)


def test_all_that_moved_is_named() -> None:
    found = flip(
        said(1, OLD, FAILS, orin("36.4.3")), said(2, NEW, WORKS), read=(torch(OLD, "2.8.0"), torch(NEW, "2.9.1"))
    )
    moved = ("L4T 36.4.3 → 36.4.4", "torch 2.8.0 → 2.9.1", "vLLM 0.32.0 → 0.33.0", IMAGE)
    assert found == Flip(1, 2, moved)
    assert str(found) == f"trial 2 says otherwise than trial 1; between them moved: {', '.join(moved)}"


def test_what_the_same_image_holds_has_not_moved() -> None:
    assert flip(said(1, OLD, WORKS, orin("36.4.3")), said(2, OLD, FAILS)) == Flip(
        1, 2, ("L4T 36.4.3 → 36.4.4",), is_regression=True
    )
    still = flip(said(1, OLD, WORKS), said(2, OLD, FAILS))
    assert still == Flip(1, 2, is_regression=True)
    assert str(still).startswith("trial 2 fails where trial 1 worked, a regression; between them nothing that is")


def test_what_is_not_known_of_one_side_is_not_said_to_have_moved() -> None:
    found = flip(said(1, OLD, FAILS, orin(None)), said(2, NEW, WORKS), read=(torch(NEW, "2.9.1"),))
    assert found == Flip(1, 2, ("vLLM 0.32.0 → 0.33.0", IMAGE), ("L4T", "torch"))
    assert str(found).endswith("; not known whether L4T or torch moved")


def test_a_tag_that_was_pushed_again_is_another_image_and_the_probe_tells_the_torch_that_ran() -> None:
    rebuilt = replace(OLD, digest="sha256:" + "cd" * 32, fingerprint="rebuilt")
    probe = ProbeReading(BugState.FIXED, True, "clean", torch="2.9.1")
    found = flip(said(1, OLD, FAILS), said(2, rebuilt, WORKS, probe=probe), read=(torch(OLD, "2.8.0"),))
    assert found is not None
    assert found.moved == (
        "torch 2.8.0 → 2.9.1",
        f"image {OLD.image} {(OLD.digest or '')[:19]} → sha256:cdcdcdcdcdcd",
    )


def test_the_flip_is_where_the_answer_turned_not_where_it_was_confirmed() -> None:
    found = flip(said(1, OLD, FAILS), said(2, NEW, WORKS), said(3, NEW, WORKS, orin("36.4.7")))
    assert found is not None
    assert (found.before, found.after) == (1, 2)


@pytest.mark.parametrize(
    "before",
    [
        said(1, OLD, WORKS),
        said(1, OLD, (BugState.UNKNOWN, BringUp.UNTRIED)),
        said(1, OLD, (BugState.UNKNOWN, BringUp.WORKS)),
        replace(said(1, OLD, FAILS), outcome=Outcome.BENCH),
        replace(said(1, OLD, FAILS), bug_id="another"),
        said(1, replace(OLD, engine="llama-cpp"), FAILS),
        said(3, OLD, FAILS),
    ],
    ids=["the same", "open", "open bug", "bench", "another bug", "another engine", "later"],
)
def test_what_contradicts_nothing_is_no_flip(before: Trial) -> None:
    assert flip(before, said(2, NEW, WORKS)) is None


def test_a_known_bug_that_is_not_seen_any_more_is_a_flip() -> None:
    found = flip(said(1, OLD, (BugState.PRESENT, BringUp.WORKS)), said(2, NEW, (BugState.UNKNOWN, BringUp.WORKS)))
    assert found is not None
    assert not found.is_regression
