"""apt repositories made by the real tools: Release decides, checksums are held, successors are found."""

import subprocess
from datetime import timedelta

import pytest

from tests.clocks import SteppingClock
from tests.places import SAMPLES
from tests.real.apt import AptRepository
from tests.real.web import Reply
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import FactKind
from watcher.sources.apt import parse_packages, parse_release, successors

CORE, JETPACK = "nvidia-l4t-core", "nvidia-jetpack"
OLD, NEW = "36.4.4-20250616085344", "36.4.7-20250918154033"


def table(apt: AptRepository, dists: str = '["r36.4"]', more: str = "") -> str:
    return f'kind = "apt"\nurls = ["{apt.url}"]\ndists = {dists}\npackages = ["{CORE}", "{JETPACK}"]\n{more}'


def versions(apt: AptRepository, *dists: str) -> None:
    for dist in dists:
        apt.publish(dist, {CORE: (f"{dist[1:]}.0-20260101000000",), "something-else": ("1.0",)})


def test_old_and_new_versions_of_one_index_are_facts_of_their_own(apt: AptRepository, build: Build) -> None:
    apt.publish("r36.4", {CORE: (OLD, NEW), JETPACK: ("6.2.1+b38",), "something-else": ("1.0",)})
    source = build(table(apt))
    poll = source.poll(None)
    facts = facts_of(poll)
    assert poll.listed == 4
    assert set(facts) == {f"{CORE} r36.4 {OLD}", f"{CORE} r36.4 {NEW}", f"{JETPACK} r36.4 6.2.1+b38"}
    fact = facts[f"{CORE} r36.4 {NEW}"]
    assert (fact.kind, fact.name, fact.version) == (FactKind.DEB, f"{CORE} r36.4", NEW)
    deb = apt.folder / fact.url.removeprefix(apt.url + "/")
    assert fact.digest == "sha256:" + subprocess.check_output(["sha256sum", deb], text=True).split()[0]
    assert source.traffic.requests == 2


def test_a_login_in_the_address_is_in_no_fact_and_in_no_cursor(apt: AptRepository, build: Build) -> None:
    apt.publish("r36.4", {CORE: (NEW,)})
    poll = build(table(apt).replace("http://", "http://me:s3cret@")).poll(None)
    assert facts_of(poll) == facts_of(build(table(apt)).poll(None))
    assert "s3cret" not in str(poll)


@pytest.mark.parametrize("forms", [(".gz",), (".xz",), ("",), (".gz", ".xz", "")])
def test_packages_is_read_in_every_form(apt: AptRepository, build: Build, forms: tuple[str, ...]) -> None:
    apt.publish("r36.4", {CORE: (NEW,)}, forms)
    assert len(facts_of(build(table(apt)).poll(None))) == 1


def test_a_form_that_is_listed_but_not_kept_is_passed_over(apt: AptRepository, build: Build) -> None:
    apt.publish("r36.4", {CORE: (NEW,)})
    (apt.folder / "dists/r36.4/main/binary-arm64/Packages.xz").unlink()
    assert len(facts_of(build(table(apt)).poll(None))) == 1


def test_an_unchanged_release_spares_everything(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4", "r36.5")
    toml = table(apt, '["r36.4", "r36.5"]')
    before = build(toml).poll(None)
    assert before.listed == 4
    source = build(toml)
    after = source.poll(before.cursor)
    assert (after.facts, after.listed) == (None, None)
    assert (source.traffic.requests, source.traffic.not_modified, source.traffic.bytes) == (2, 2, 0)


def test_a_release_signed_anew_over_the_same_packages_costs_no_packages(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4")
    before = build(table(apt)).poll(None)
    release = apt.folder / "dists/r36.4/Release"
    release.write_bytes(release.read_bytes() + b"Acquire-By-Hash: no\n")
    source = build(table(apt))
    assert source.poll(before.cursor).facts is None
    assert source.traffic.requests == 1


def test_one_dist_that_changed_leaves_the_others_as_they_were(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4", "r36.5")
    toml = table(apt, '["r36.4", "r36.5"]')
    before = build(toml).poll(None)
    apt.publish("r36.5", {CORE: ("36.5.2-20260716114719",)})
    source = build(toml)
    facts = facts_of(source.poll(before.cursor))
    assert set(facts_of(before)) < set(facts)
    assert f"{CORE} r36.5 36.5.2-20260716114719" in facts
    assert source.traffic.requests == 3


def test_a_withdrawn_version_is_absent(apt: AptRepository, build: Build) -> None:
    apt.publish("r36.4", {CORE: (OLD, NEW)})
    before = build(table(apt)).poll(None)
    apt.withdraw("r36.4", CORE, NEW)
    assert set(facts_of(build(table(apt)).poll(before.cursor))) == {f"{CORE} r36.4 {OLD}"}


def test_packages_with_another_checksum_is_refused(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4")
    for file in (apt.folder / "dists/r36.4/main/binary-arm64").iterdir():
        file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(SourceChanged, match="checksum"):
        build(table(apt)).poll(None)


def test_a_configured_dist_that_is_missing_fails_the_look_and_is_named(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4")
    with pytest.raises(SourceUnavailable, match="no such dist") as caught:
        build(table(apt, '["r36.4", "r99.9"]')).poll(None)
    assert caught.value.fields["dist"] == "r99.9"


def test_a_page_for_people_is_no_release(apt: AptRepository, build: Build) -> None:
    apt.web.routes["/dists/r36.4/Release"] = Reply(200, b"<html><title>Maintenance</title></html>")
    with pytest.raises(SourceChanged):
        build(table(apt)).poll(None)


def test_an_emptied_index_is_trouble(apt: AptRepository, build: Build) -> None:
    apt.publish("r36.4", {CORE: (OLD, NEW), JETPACK: ("6.2+b77",)})
    before = build(table(apt)).poll(None)
    for deb in (apt.folder / "pool/r36.4").iterdir():
        deb.unlink()
    apt.index("r36.4")
    with pytest.raises(SourceChanged, match="empty"):
        build(table(apt)).poll(before.cursor)


def test_the_next_minor_and_the_next_major_are_found_across_skipped_numbers(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4")
    toml = table(apt, more="follow = true")
    before = build(toml).poll(None)
    assert len(facts_of(before)) == 1
    versions(apt, "r36.5", "r38.2")
    facts = facts_of(build(toml).poll(before.cursor))
    assert {fact.name for fact in facts.values()} == {f"{CORE} r36.4", f"{CORE} r36.5", f"{CORE} r38.2"}
    assert len(facts_of(build(table(apt)).poll(None))) == 1


def test_what_was_found_once_is_watched_like_the_rest_and_leads_further(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4", "r38.2")
    toml = table(apt, more="follow = true")
    cursor = build(toml).poll(None).cursor
    versions(apt, "r39.2", "r38.4")
    found = build(toml).poll(cursor)
    assert {fact.detail["_dist"] for fact in facts_of(found).values()} == {"r36.4", "r38.2", "r38.4", "r39.2"}
    assert build(toml).poll(found.cursor).facts is None
    apt.remove_dist("r39.2")
    gone = build(toml).poll(found.cursor)
    assert {fact.detail["_dist"] for fact in facts_of(gone).values()} == {"r36.4", "r38.2", "r38.4"}


def test_the_service_looks_for_successors_once_a_day(apt: AptRepository, build: Build, clock: SteppingClock) -> None:
    versions(apt, "r36.4")
    toml, day = table(apt, more="follow = true"), timedelta(days=1)
    cursor = build(toml, follow_every=day).poll(None).cursor
    versions(apt, "r36.5")
    clock.sleep(3_600)
    early = build(toml, follow_every=day)
    assert early.poll(cursor).facts is None
    assert early.traffic.requests == 1
    clock.sleep(24 * 3_600)
    assert len(facts_of(build(toml, follow_every=day).poll(cursor))) == 2


def test_a_server_that_answers_everything_with_a_page_has_no_successors(apt: AptRepository, build: Build) -> None:
    versions(apt, "r36.4")
    served = apt.web.fallback

    def soft(asked: object) -> Reply:
        answer = served(asked)  # type: ignore[arg-type]
        return answer if answer.status != 404 else Reply(200, b"<html><title>Not found</title></html>")

    apt.web.fallback = soft
    assert len(facts_of(build(table(apt, more="follow = true")).poll(None))) == 1


def test_successors_are_the_next_minors_of_each_major_and_the_next_majors() -> None:
    found = successors(("r36.4", "r36.5", "r35.6"))
    assert {"r35.7", "r36.6", "r36.7", "r37.0", "r38.2", "r38.4", "r39.2"} <= set(found)
    assert not {"r36.4", "r36.5", "r35.6", "r36.3"} & set(found)
    assert successors(("stable",)) == ()


def test_the_samples_are_read_and_fit_their_release() -> None:
    import hashlib

    release = parse_release((SAMPLES / "apt-Release-r36.4-common").read_bytes())
    for suffix in ("", ".gz"):
        content = (SAMPLES / f"apt-Packages-r36.4-common{suffix}").read_bytes()
        assert release[f"main/binary-arm64/Packages{suffix}"] == hashlib.sha256(content).hexdigest()
    total, debs = parse_packages((SAMPLES / "apt-Packages-r36.4-common").read_bytes(), [JETPACK])
    assert (total, [deb.version for deb in debs]) == (3, ["6.1+b123", "6.2+b77", "6.2.1+b38"])
    total, debs = parse_packages((SAMPLES / "apt-Packages-r39.2-som").read_bytes(), [CORE])
    assert total == len(debs) == 2
