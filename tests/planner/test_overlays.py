"""Which wheels are laid over which image, what speaks against them, and when they are due."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.planner.worlds import HOUR, NOW, candidate, digest, orin, trial, vllm
from watcher.config.sources import SimpleIndexConfig
from watcher.model.device import DeviceFacts
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BringUp, BugState, Rung, StaticReading, StaticRecord
from watcher.planner.candidates import fingerprint
from watcher.planner.due import Rules, Standing, next_due, next_start, plan
from watcher.planner.overlays import overlays, python_of, reason_against_python

IMAGE = candidate("0.32.0-r36.4-cu128-22.04", baseline=True)
STANDING = Standing(device=orin(), setup="setup-1", now=NOW)
RULES = Rules(engine="vllm")


def index(path: str = "jp6/cu126", **keys: object) -> SimpleIndexConfig:
    url = f"https://pypi.example/{path}/+simple/torch/"
    return SimpleIndexConfig.model_validate(
        {"kind": "simple-index", "name": path.replace("/", "-"), "url": url, **keys}
    )


def wheel(
    version: str,
    *,
    python: str = "cp310",
    platform: str = "linux_aarch64",
    seen: int = 24,
    baseline: bool = False,
    **keys: object,
) -> KnownFact:
    name = f"torch-{version}-{python}-{python}-{platform}.whl"
    fact = Fact(FactKind.WHEEL, name, version, digest(name[:30]), f"https://pypi.example/{name}", **keys)  # type: ignore[arg-type]
    return KnownFact(fact, NOW - timedelta(hours=seen), baseline=baseline)


def laid(*known: KnownFact, source: SimpleIndexConfig | None = None, over: Candidate = IMAGE) -> tuple[Candidate, ...]:
    shown = [(source or index(), one) for one in known]
    return overlays(shown, [over], [], vllm(), "torch", orin())


def versions(some: tuple[Candidate, ...]) -> list[str]:
    return [one.overlay.version for one in some if one.overlay]


def probed(of: Candidate, bug: BugState = BugState.FIXED, device: DeviceFacts | None = None) -> Trial:
    return trial(of, bug=bug, bring_up=BringUp.UNTRIED, basis=(Rung.STATIC, Rung.PROBE), device=device)


def due(*some: Candidate, trials: tuple[Trial, ...] = (), **standing: object) -> Candidate | None:
    return next_due(plan(some, trials, RULES, replace(STANDING, **standing)))  # type: ignore[arg-type]


def waits(one: Candidate, *others: Candidate, trials: tuple[Trial, ...] = (), rules: Rules = RULES) -> str | None:
    planned = {each.fingerprint: each for each in plan([one, *others], trials, rules, STANDING)}
    return planned[one.fingerprint].waiting_for


def test_a_wheel_that_two_indexes_show_is_one_candidate_and_due() -> None:
    shown = [(index(path), wheel("2.15.0")) for path in ("jp6/cu126", "jp6/cu128", "sbsa/cu130")]
    for order in (shown, shown[::-1]):
        (one,) = overlays(order, [IMAGE], [], vllm(), "torch", orin())
        assert one.compatible, "one of the indexes is for another CUDA"
        assert due(one) == replace(one, due=True)


def test_a_new_wheel_lies_over_the_newest_image_and_is_named_by_the_content_of_both() -> None:
    (one,) = laid(wheel("2.14.0"))
    assert one.compatible
    assert one.overlay is not None
    assert (one.image, one.digest) == (IMAGE.image, IMAGE.digest)
    assert one.fingerprint == fingerprint(IMAGE.digest or "", [one.overlay.digest])
    assert one.title == f"torch-2.14.0-cp310-cp310-linux_aarch64.whl over {IMAGE.image}"


def test_one_wheel_stands_for_a_version_of_an_index_and_of_what_was_there_only_the_newest() -> None:
    shown = laid(
        wheel("2.9.1", baseline=True),
        wheel("2.10.0", baseline=True),
        wheel("2.14.0", python="cp312"),
        wheel("2.14.0"),
        wheel("2.14.1"),
    )
    assert versions(shown) == ["2.14.1", "2.14.0", "2.10.0"]
    assert all(one.compatible for one in shown), "of two Pythons the one that fits"


@pytest.mark.parametrize(
    ("known", "source", "over", "reason"),
    [
        (wheel("2.14.0", python="cp312"), index(), IMAGE, "is built for cp312, not for 3.10"),
        (wheel("2.14.0", platform="linux_x86_64"), index(), IMAGE, "is built for linux_x86_64; this device is arm64"),
        (wheel("2.14.0"), index("jp7/cu130"), IMAGE, "is built for JetPack 7 (L4T r38); this device runs r36.4.4"),
        (wheel("2.14.0"), index("sbsa/cu130"), IMAGE, "needs CUDA 13 and L4T r39; this device runs r36.4.4"),
        (wheel("2.14.0"), index("mine"), IMAGE, "this index does not say which JetPack its wheels are for"),
        (wheel("2.14.0"), index(), candidate("0.32.0-r36.4-22.04-cu130"), "needs CUDA 12; "),
        (
            wheel("2.14.0"),
            index(),
            candidate("0.32.0-r36.4"),
            "which Python dustynv/vllm:0.32.0-r36.4 has is not known",
        ),
    ],
)
def test_what_does_not_fit_or_cannot_be_judged_is_no_candidate(
    known: KnownFact, source: SimpleIndexConfig, over: Candidate, reason: str
) -> None:
    (one,) = laid(known, source=source, over=over)
    assert not one.compatible
    assert any(said.startswith(reason) for said in one.reasons), one.reasons
    assert due(one) is None


def test_without_an_image_that_fits_there_is_nothing_to_lay_it_over() -> None:
    assert laid(wheel("2.14.0"), over=replace(IMAGE, compatible=False)) == ()
    assert laid(wheel("2.14.0"), over=replace(IMAGE, skipped=True)) == ()
    bare = vllm().model_copy(update={"carries_torch": False})
    assert overlays([(index(), wheel("2.14.0"))], [IMAGE], [], bare, "torch", orin()) == ()


def test_what_is_withdrawn_yanked_filtered_or_a_prerelease_is_passed_over() -> None:
    assert laid(replace(wheel("2.14.0"), withdrawn=True)) == ()
    assert laid(wheel("2.14.0", yanked=True)) == ()
    assert laid(wheel("2.14.0rc1", prerelease=True)) == ()
    assert versions(laid(wheel("2.14.0rc1", prerelease=True), source=index(prereleases=True))) == ["2.14.0rc1"]
    assert laid(wheel("2.14.0"), source=index(exclude="2.14")) == ()


def test_the_python_of_an_image_is_read_from_where_its_torch_lies_before_its_tag_is_believed() -> None:
    copies = ("usr/local/lib/python3.12/dist-packages/torch/lib/libc10_cuda.so",)
    reading = StaticReading(IMAGE.image, "image", BugState.PRESENT, "read", copies=copies)
    record = StaticRecord("tags", "vllm", IMAGE.image, "2.9.1", IMAGE.digest or "", reading, NOW)
    assert python_of(IMAGE, []) == "3.10"
    assert python_of(IMAGE, [record]) == "3.12"
    assert python_of(candidate("0.32.0-r36.4-cp311"), []) == "3.11"
    nowhere = replace(record, reading=replace(reading, copies=("usr/lib/python3/dist-packages/torch/x.so",)))
    assert python_of(candidate("0.32.0-r36.4"), [nowhere]) is None


@pytest.mark.parametrize(("tag", "fits"), [("cp310", True), ("py3", True), ("cp39", False), ("cp311", False)])
def test_a_wheel_fits_its_own_python_or_any(tag: str, fits: bool) -> None:
    assert (reason_against_python(f"torch-2.14.0-{tag}-none-any.whl", "3.10") is None) is fits
    assert reason_against_python("no-wheel.txt", "3.10") == "is built for no Python, not for 3.10"


def test_news_is_due_after_its_cool_down_and_what_was_there_never() -> None:
    (old,) = laid(wheel("2.10.0", baseline=True))
    (young,) = laid(wheel("2.14.0", seen=1))
    (new,) = laid(wheel("2.14.0"))
    assert due(old) is None
    assert waits(old) is None
    assert due(old, device_changed=True) is None, "a newer L4T makes the newest image due, no wheel"
    assert due(young) is None
    assert "cool-down" in (waits(young) or "")
    assert due(young, check_now=True) is not None
    assert due(new) is not None


def test_at_most_one_is_due_and_the_newer_wheel_supersedes_the_older_of_any_index() -> None:
    newer, older = laid(wheel("2.14.1"), wheel("2.14.0"))
    (elsewhere,) = laid(wheel("2.14.0"), source=index("jp6/cu128"))
    planned = plan([older, elsewhere, newer], (), RULES, STANDING)
    assert [one.due for one in planned] == [True, False, False]
    assert next_due(planned) == replace(newer, due=True)
    assert waits(older, newer) == "superseded by torch-2.14.1-cp310-cp310-linux_aarch64.whl"


def test_an_image_that_is_due_goes_first_and_neither_supersedes_the_other() -> None:
    (new,), image = laid(wheel("2.14.0")), candidate("0.33.0-r36.4")
    planned = plan([new, image], (), RULES, STANDING)
    assert [one.due for one in planned] == [True, False]
    assert waits(new, image) == f"{image.image} is tried first"
    assert due(new, image, trials=(trial(image),)) == replace(new, due=True)


def test_only_what_displaces_a_service_is_planned_beforehand() -> None:
    (new,), image = laid(wheel("2.14.0")), candidate("0.33.0-r36.4")
    assert next_start([new], (), RULES, STANDING) is None
    told = next_start([new, image], (), RULES, STANDING)
    assert told is not None
    assert told[0] == image


def test_what_the_probe_said_of_a_wheel_stands_over_the_next_image_and_with_other_profiles() -> None:
    (first,) = laid(wheel("2.14.0"))
    (second,) = laid(wheel("2.14.0"), over=candidate("0.33.0-r36.4-22.04", baseline=True))
    assert first.fingerprint != second.fingerprint
    assert due(second, trials=(probed(first),)) is None
    assert due(first, trials=(probed(first),), setup="another model") is None
    assert due(second, trials=(probed(first, BugState.UNKNOWN),)) is not None, "another image may let it speak"
    assert due(first, trials=(probed(first, BugState.UNKNOWN),)) is None
    assert due(first, trials=(probed(first),), device=orin("36.5.0")) is not None


def test_trouble_on_our_side_is_tried_again_later_and_a_refusal_at_its_time() -> None:
    (new,) = laid(wheel("2.14.0"))
    assert due(new, trials=(trial(new, Outcome.BENCH, ended=NOW - timedelta(minutes=5)),)) is None
    assert due(new, trials=(trial(new, Outcome.BENCH, ended=NOW - HOUR),)) is not None
    refused = trial(new, Outcome.REFUSED, retry_at=NOW + HOUR)
    assert due(new, trials=(refused,)) is None
    assert due(new, trials=(refused,), now=NOW + 2 * HOUR) is not None


def test_a_probe_of_a_wheel_is_no_verdict_on_an_image() -> None:
    (new,), image = laid(wheel("2.14.0")), replace(IMAGE, first_seen=NOW - 48 * HOUR)
    assert due(image, trials=(probed(new),), device_changed=True) == replace(image, due=True)


def test_automatic_trials_that_are_off_are_off_for_wheels_too() -> None:
    (new,) = laid(wheel("2.14.0"))
    assert waits(new, rules=Rules(engine="vllm", auto_missing=("trial.displace",))) is not None


def test_what_was_there_before_and_does_not_fit_is_nobodys_concern() -> None:
    assert laid(wheel("2.10.0", baseline=True), source=index("sbsa/cu130")) == ()
