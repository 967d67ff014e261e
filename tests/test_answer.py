"""Where the person stands: the answer, where it is fixed, what each question waits for, the next step."""

import tomllib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import watcher
from tests.planner.worlds import HOUR, NOW, candidate, oci, orin, tag, trial, vllm
from watcher.answer import stand
from watcher.config.bugs import BugSettings, read_bug
from watcher.config.sources import GitHubReleasesConfig, SimpleIndexConfig
from watcher.model.answer import Answer, Flip
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.trial import Candidate, Outcome, Overlay, Trial
from watcher.model.verdict import BringUp, BugState, FailureClass, Rung, StaticReading, StaticRecord

JP6 = SimpleIndexConfig.model_validate(
    {"kind": "simple-index", "name": "jp6", "url": "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/torch/"}
)
SBSA = SimpleIndexConfig.model_validate(
    {"kind": "simple-index", "name": "sbsa", "url": "https://pypi.jetson-ai-lab.io/sbsa/cu130/+simple/torch/"}
)
RELEASES = GitHubReleasesConfig(kind="github-releases", name="vllm-releases", repo="vllm-project/vllm")
SOURCES = (JP6, SBSA, RELEASES, oci())
NEW = candidate("0.33.0-r36.4")
OLD = candidate("0.9.3-r36.4", baseline=True)


def bug() -> BugSettings:
    folder = Path(watcher.__file__).parent / "bugs" / "cuda-allocator"
    return read_bug(folder, tomllib.loads((folder / "bug.toml").read_text()))


def answer(**values: object) -> Answer:
    return stand(**({"device": orin(), "bug": bug(), "engine": vllm(), "sources": SOURCES} | values))  # type: ignore[arg-type]


def wheel(version: str, state: BugState, *, index: str = "jp6", at: datetime = NOW, of: str = "torch") -> StaticRecord:
    name = f"{of}-{version}-cp312-cp312-linux_aarch64.whl"
    return StaticRecord(index, of, name, version, f"sha256:{name}", StaticReading(name, "wheel", state, "read"), at)


def image(of: Candidate, state: BugState, torch: str | None = "2.14.0") -> StaticRecord:
    reading = StaticReading(of.image, "image", state, "read", torch=torch)
    return StaticRecord(of.source, of.engine, of.image, torch, of.digest or "", reading, NOW)


def release(name: str, seen: datetime = NOW) -> tuple[str, KnownFact]:
    return "vllm-releases", KnownFact(Fact(FactKind.RELEASE, name, name.removeprefix("v")), seen)


def test_without_any_evidence_nothing_is_known_and_nothing_is_claimed() -> None:
    empty = answer()
    assert (empty.bug, empty.bring_up, empty.candidate) == (BugState.UNKNOWN, BringUp.UNTRIED, None)
    assert (empty.fixed_in, empty.trial_id, empty.basis, empty.since) == (None, None, (), None)
    assert empty.headline == "Nothing is known yet of a build of vLLM that orin-nx could use."


def test_where_nothing_was_tried_the_newest_wheel_of_an_index_for_this_jetpack_speaks() -> None:
    records = [
        wheel("2.9.1", BugState.FIXED),  # older, and would say otherwise
        wheel("2.10.0", BugState.PRESENT),
        wheel("2.14.0", BugState.FIXED, index="sbsa"),  # of another JetPack
    ]
    got = answer(statics=records)
    assert (got.bug, got.bring_up, got.basis, got.since) == (BugState.PRESENT, BringUp.UNTRIED, (Rung.STATIC,), NOW)
    assert got.candidate is None
    on_r39 = answer(statics=records, device=orin("39.2.0"))
    assert on_r39.bug is BugState.FIXED


def test_an_image_whose_bytes_were_read_speaks_before_any_wheel() -> None:
    got = answer(candidates=[OLD], statics=[wheel("2.14.0", BugState.FIXED), image(OLD, BugState.PRESENT, "2.8.0")])
    assert (got.bug, got.candidate, got.basis) == (BugState.PRESENT, OLD, (Rung.STATIC,))
    assert got.headline.startswith("The bug is still in dustynv/vllm:0.9.3-r36.4; vLLM was not brought up on orin-nx")


def test_fixed_in_is_the_lowest_public_version_that_carries_the_fix() -> None:
    records = [
        wheel("2.13.0", BugState.PRESENT),
        wheel("2.15.0", BugState.FIXED, index="sbsa"),
        wheel("2.14.0", BugState.FIXED, index="sbsa", at=NOW - HOUR),
        wheel("2.14.0a0", BugState.FIXED, index="sbsa"),  # a final version names it better than a candidate
        wheel("0.33.0", BugState.FIXED, of="vllm", index="sbsa"),  # by the torch it pins
    ]
    got = answer(statics=records)
    assert got.fixed_in == {"torch": "2.14.0", "vllm": "0.33.0"}
    assert "fixed upstream in torch 2.14.0, first vLLM with it 0.33.0, nothing yet for JetPack 6" in got.headline
    assert answer(statics=records[:1]).fixed_in is None


def shown_wheel(of: StaticRecord, **keys: bool) -> tuple[str, KnownFact]:
    return of.source, KnownFact(Fact(FactKind.WHEEL, of.name, of.version, of.digest), NOW, **keys)


def test_a_wheel_that_was_replaced_or_withdrawn_speaks_no_more() -> None:
    fixed = wheel("2.10.0", BugState.FIXED)
    broken = replace(wheel("2.10.0", BugState.PRESENT), digest="sha256:rebuilt", at=NOW + HOUR)
    rebuilt = answer(statics=[fixed, broken], facts=[shown_wheel(broken)])
    assert (rebuilt.bug, rebuilt.fixed_in) == (BugState.PRESENT, None)
    back = answer(statics=[fixed, broken], facts=[shown_wheel(fixed)])
    assert (back.bug, back.fixed_in) == (BugState.FIXED, {"torch": "2.10.0"})
    gone = answer(statics=[fixed], facts=[shown_wheel(fixed, withdrawn=True)])
    assert (gone.bug, gone.fixed_in) == (BugState.UNKNOWN, None)


def test_a_wheel_with_the_fix_for_this_device_is_named_and_no_image_is_denied_that_was_not_tried() -> None:
    fixed = wheel("2.14.0", BugState.FIXED)
    tried = answer(candidates=[OLD], trials=[trial(OLD)], statics=[fixed]).headline
    assert f"for JetPack 6 as {fixed.name}, in no image yet: waits for an arm64 image" in tried
    waiting = answer(candidates=[NEW, OLD], trials=[trial(OLD)], statics=[fixed]).headline
    assert f"for JetPack 6 as {fixed.name}: waits for a trial of dustynv/vllm:0.33.0-r36.4" in waiting


def test_an_image_names_the_torch_inside_and_its_engine_if_that_was_ever_released() -> None:
    ahead = candidate("0.34.7-r36.4")
    fixed = [image(NEW, BugState.FIXED, "2.14.0+cu129"), image(ahead, BugState.FIXED, "2.15.0")]
    got = answer(candidates=[NEW, ahead], statics=fixed, facts=[release("v0.33.0"), release("v0.32.0")])
    assert got.fixed_in == {"torch": "2.14.0", "vllm": "0.33.0"}
    assert answer(candidates=[ahead], statics=fixed[1:], facts=[release("v0.33.0")]).fixed_in == {"torch": "2.15.0"}


def test_the_newest_that_works_is_the_answer_even_if_a_newer_one_fails() -> None:
    works = trial(OLD, bring_up=BringUp.WORKS, bug=BugState.FIXED, ended=NOW - 9 * HOUR, number=1)
    fails = trial(NEW, ended=NOW - HOUR, number=2)
    got = answer(candidates=[NEW, OLD], trials=[works, fails])
    assert (got.candidate, got.bring_up, got.bug, got.trial_id) == (OLD, BringUp.WORKS, BugState.FIXED, 1)
    assert "trial 2 of dustynv/vllm:0.33.0-r36.4 failed later, a regression" in got.headline
    assert got.waits_for == ()
    assert got.next_step.startswith("Use it: `watcher trial show 1`")


def test_a_later_failure_of_the_same_candidate_takes_nothing_away() -> None:
    works = trial(NEW, bring_up=BringUp.WORKS, bug=BugState.FIXED, ended=NOW - 9 * HOUR, number=1)
    fails = trial(NEW, bug=BugState.UNKNOWN, ended=NOW - HOUR, number=2)
    got = answer(candidates=[NEW], trials=[fails, works])
    assert (got.bring_up, got.trial_id, got.since) == (BringUp.WORKS, 1, NOW - 9 * HOUR)
    assert "trial 2" in got.headline
    assert "regression" not in answer(candidates=[NEW], trials=[works]).headline


def test_a_regression_says_what_moved() -> None:
    works = trial(OLD, bring_up=BringUp.WORKS, bug=BugState.FIXED, ended=NOW - 9 * HOUR, number=1)
    fails = trial(NEW, ended=NOW - HOUR, number=2)
    read = [image(OLD, BugState.FIXED, "2.8.0"), image(NEW, BugState.PRESENT, "2.9.1")]
    got = answer(candidates=[NEW, OLD], trials=[works, fails], statics=read)
    moved = ("torch 2.8.0 → 2.9.1", "vLLM 0.9.3 → 0.33.0", f"image {OLD.image} → {NEW.image}")
    assert got.flip == Flip(1, 2, moved, is_regression=True)
    assert f"failed later, a regression (moved: {', '.join(moved)})" in got.headline
    assert answer(candidates=[OLD], trials=[works]).flip is None


def test_what_worked_on_an_older_l4t_and_fails_now_is_a_regression_too() -> None:
    works = trial(NEW, bring_up=BringUp.WORKS, bug=BugState.FIXED, ended=NOW - 9 * HOUR, device=orin("36.4.3"))
    got = answer(candidates=[NEW], trials=[works, trial(NEW, ended=NOW - HOUR, number=2)])
    assert (got.bring_up, got.trial_id) == (BringUp.FAILS, 2)
    assert "; trial 1 worked, a regression (moved: L4T 36.4.3 → 36.4.4)" in got.headline


def test_a_standing_bug_that_a_later_trial_does_not_see_is_no_flip() -> None:
    seen = trial(NEW, bring_up=BringUp.WORKS, basis=(Rung.BRING_UP,), ended=NOW - 5 * HOUR)
    later = trial(NEW, bring_up=BringUp.WORKS, bug=BugState.UNKNOWN, number=2)
    got = answer(candidates=[NEW], trials=[seen, later])
    assert (got.bug, got.trial_id, got.flip) == (BugState.PRESENT, 2, None)


def test_a_failure_before_the_success_or_of_an_older_candidate_is_no_regression() -> None:
    works = trial(NEW, bring_up=BringUp.WORKS, bug=BugState.FIXED, ended=NOW - 3 * HOUR)
    before, older = trial(NEW, ended=NOW - 5 * HOUR), trial(OLD, ended=NOW - HOUR)
    assert "regression" not in answer(candidates=[NEW, OLD], trials=[before, works, older]).headline


def test_else_the_newest_with_a_verdict_is_the_answer() -> None:
    trials = [trial(OLD, ended=NOW, number=1), trial(NEW, ended=NOW - HOUR, number=2, bug=BugState.FIXED)]
    got = answer(candidates=[NEW, OLD], trials=trials)
    assert (got.candidate, got.trial_id, got.bug, got.bring_up) == (NEW, 2, BugState.FIXED, BringUp.FAILS)


def test_bench_trouble_and_trials_on_another_state_of_the_device_say_nothing() -> None:
    before = trial(NEW, bring_up=BringUp.WORKS, bug=BugState.FIXED, device=orin("36.4.3"))
    got = answer(candidates=[NEW], trials=[trial(NEW, Outcome.BENCH), before])
    assert (got.bug, got.bring_up) == (BugState.UNKNOWN, BringUp.UNTRIED)


def test_what_this_device_cannot_use_is_no_answer_but_a_next_step() -> None:
    barred = replace(NEW, compatible=False, reasons=("needs CUDA 13 and L4T r39; this device runs r36.4.4",))
    works = trial(barred, bring_up=BringUp.WORKS, bug=BugState.FIXED)
    got = answer(candidates=[barred, OLD], trials=[works, trial(OLD)], statics=[wheel("2.14.0", BugState.FIXED)])
    assert (got.candidate, got.bring_up) == (OLD, BringUp.FAILS)
    assert got.next_step == (
        "Wait for an arm64 image for r36 with torch ≥ 2.14.0; "
        "dustynv/vllm:0.33.0-r36.4 needs CUDA 13 and L4T r39; this device runs r36.4.4."
    )


def test_what_no_source_shows_any_more_still_counts_it_has_run_here() -> None:
    got = answer(trials=[trial(NEW, bring_up=BringUp.WORKS, bug=BugState.FIXED)])
    assert (got.bring_up, got.candidate) == (BringUp.WORKS, NEW)


def test_content_that_was_replaced_or_withdrawn_is_waited_for_by_nobody() -> None:
    replaced = replace(NEW, source="dustynv-vllm")
    shown = [("dustynv-vllm", tag("0.33.0-r36.4", "rebuilt"))]
    assert not any("a trial of" in one.what for one in answer(candidates=[replaced], facts=shown).waits_for)
    gone = replace(tag("0.33.0-r36.4", "0.33.0-r36.4"), withdrawn=True)
    assert "trial run" not in answer(candidates=[replaced], facts=[("dustynv-vllm", gone)]).next_step
    there = [("dustynv-vllm", tag("0.33.0-r36.4", "0.33.0-r36.4"))]
    assert "trial run" in answer(candidates=[replaced], facts=there).next_step


def test_trials_of_another_engine_do_not_answer_for_this_one() -> None:
    llama = replace(candidate("b5283-r36.4"), engine="llama-cpp")
    got = answer(candidates=[llama], trials=[trial(llama, bring_up=BringUp.WORKS, bug=BugState.FIXED)])
    assert got.bring_up is BringUp.UNTRIED


def test_present_seen_in_a_bring_up_of_this_very_candidate_always_stands() -> None:
    seen = trial(NEW, ended=NOW - 5 * HOUR)
    later = trial(NEW, bring_up=BringUp.WORKS, bug=BugState.FIXED, basis=(Rung.PROBE,))
    assert answer(candidates=[NEW], trials=[seen, later]).bug is BugState.PRESENT
    from_bytes = replace(seen, basis=(Rung.STATIC,))
    assert answer(candidates=[NEW], trials=[from_bytes, later]).bug is BugState.FIXED


def test_a_release_without_an_image_for_this_device_is_waited_for_since_it_came() -> None:
    facts = [release("v0.32.0"), release("v0.33.0", NOW - 9 * HOUR), ("elsewhere", release("v9.9.9")[1])]
    got = answer(candidates=[OLD], trials=[trial(OLD)], facts=facts, statics=[wheel("2.14.0", BugState.FIXED)])
    assert [(one.question, one.what, one.since) for one in got.waits_for] == [
        ("bug", "an arm64 image for r36 with torch ≥ 2.14.0", NOW),
        ("bring_up", "vLLM 0.33.0: no image for r36", NOW - 9 * HOUR),
    ]
    there = answer(candidates=[NEW, OLD], trials=[trial(NEW)], facts=facts)
    assert [one.what for one in there.waits_for] == ["an arm64 image for r36 with a torch that carries the fix"] * 2


def test_a_candidate_that_was_not_tried_is_what_is_waited_for_with_what_holds_it() -> None:
    held = replace(NEW, waiting_for="cool-down until 2026-11-23 17:00 UTC")
    got = answer(candidates=[held, OLD], trials=[trial(OLD)])
    assert {one.what for one in got.waits_for} == {
        "a trial of dustynv/vllm:0.33.0-r36.4 (cool-down until 2026-11-23 17:00 UTC)"
    }
    assert got.next_step.startswith("Watcher will try dustynv/vllm:0.33.0-r36.4; it waits for: cool-down")
    assert answer(candidates=[replace(NEW, due=True)]).next_step == "Watcher tries dustynv/vllm:0.33.0-r36.4 next."
    asked = answer(candidates=[replace(held, due=True)])
    by_itself = "left to itself it waits for: cool-down until 2026-11-23 17:00 UTC"
    assert asked.next_step == f"Watcher tries dustynv/vllm:0.33.0-r36.4 next; {by_itself}."


def test_the_next_step_says_how_automatic_trials_are_switched_on() -> None:
    got = answer(candidates=[OLD], auto_missing=("trial.displace", "schedule.window"))
    assert got.next_step == (
        "`watcher trial run` tries dustynv/vllm:0.9.3-r36.4; automatic trials are off until "
        "trial.displace, schedule.window are set in config.toml."
    )


def test_the_next_step_says_what_is_stale_and_does_not_list_them_all() -> None:
    why = "nothing new since 2025-05-06; publishing moved to ghcr.io/nvidia-ai-iot/vllm"
    got = answer(candidates=[OLD], stale={"dustynv": why})
    assert got.next_step == f"`watcher trial run` tries dustynv/vllm:0.9.3-r36.4; dustynv: {why}."
    assert got.stale == {"dustynv": why}
    works = trial(OLD, bring_up=BringUp.WORKS, bug=BugState.FIXED)
    assert why not in answer(candidates=[OLD], trials=[works], stale={"dustynv": why}).next_step
    said = answer(candidates=[OLD], stale=dict.fromkeys("abcde", "x")).next_step
    assert said.endswith("; a: x; b: x; c: x; 2 more sources are stale: `watcher sources`.")
    said = answer(candidates=[OLD], stale=dict.fromkeys("abcd", "x")).next_step
    assert said.endswith("; c: x; 1 more source is stale: `watcher sources`.")


def test_the_next_step_after_a_failure_that_is_not_the_bug_is_about_that_failure() -> None:
    short = trial(NEW, bug=BugState.FIXED, failure_class=FailureClass.GENUINE_OOM)
    got = answer(candidates=[NEW], trials=[short])
    assert got.headline == ("The bug is fixed in dustynv/vllm:0.33.0-r36.4, but vLLM fails on orin-nx (genuine-oom).")
    assert got.next_step.startswith("Free memory or name a profile that asks for less")


def over(image: Candidate, of: StaticRecord) -> Candidate:
    laid = Overlay("torch", of.name, of.version or "", of.digest, "https://x/t.whl", of.source)
    return replace(image, fingerprint=f"{of.digest} over it", overlay=laid)


def probe_of(one: Candidate, state: BugState, number: int = 7) -> Trial:
    basis = (Rung.STATIC, Rung.PROBE)
    return trial(one, bug=state, bring_up=BringUp.UNTRIED, basis=basis, number=number)


def test_what_the_probe_saw_of_a_wheel_speaks_for_the_wheel_and_never_for_its_image() -> None:
    read = wheel("2.14.0", BugState.FIXED)
    laid = over(NEW, read)
    tried = trial(NEW, bug=BugState.PRESENT, bring_up=BringUp.WORKS, number=3)
    told = answer(candidates=[NEW, laid], statics=[read], trials=[tried, probe_of(laid, BugState.FIXED)])
    assert (told.bug, told.bring_up, told.trial_id, told.candidate) == (BugState.PRESENT, BringUp.WORKS, 3, NEW)
    assert told.fixed_in == {"torch": "2.14.0"}
    assert "the probe saw it fixed here in trial 7" in told.headline


def test_where_nothing_was_tried_a_probed_wheel_speaks_by_what_the_device_showed() -> None:
    read = wheel("2.14.0", BugState.FIXED)
    laid = over(OLD, read)
    told = answer(candidates=[OLD, laid], statics=[read], trials=[probe_of(laid, BugState.PRESENT)])
    assert (told.bug, told.bring_up, told.candidate) == (BugState.PRESENT, BringUp.UNTRIED, None)
    assert (told.basis, told.trial_id) == ((Rung.STATIC, Rung.PROBE), 7)
    assert told.fixed_in is None, "seen on the device beats read from bytes"


def test_a_probe_without_an_answer_leaves_what_the_bytes_say() -> None:
    read = wheel("2.14.0", BugState.FIXED)
    laid = over(OLD, read)
    told = answer(candidates=[OLD, laid], statics=[read], trials=[probe_of(laid, BugState.UNKNOWN)])
    assert (told.bug, told.basis, told.trial_id) == (BugState.FIXED, (Rung.STATIC,), None)


def test_a_candidate_with_a_wheel_over_it_is_not_what_there_is_to_try() -> None:
    laid = replace(over(NEW, wheel("2.14.0", BugState.FIXED)), due=True)
    told = answer(candidates=[laid], statics=[])
    assert told.next_step.startswith("Wait for")
