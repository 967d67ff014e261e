"""Which facts become candidates, and which of several is the newest."""

import json
from datetime import datetime

from tests.places import SAMPLES
from tests.planner.worlds import HOUR, NOW, candidate, digest, oci, orin, tag, vllm
from watcher.config.sources import GitHubReleasesConfig, OciTagsConfig, SourceConfig
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.trial import Candidate
from watcher.planner.candidates import candidates, fingerprint, newest_first

ENGINES = {"vllm": vllm()}


def found(*facts: KnownFact, source: SourceConfig | None = None) -> tuple[Candidate, ...]:
    return candidates([(source or oci(), fact) for fact in facts], ENGINES, orin())


def tags_of(some: tuple[Candidate, ...]) -> list[str]:
    return [one.image.rpartition(":")[2] for one in some]


def test_an_image_with_a_digest_is_a_candidate_and_carries_what_is_known_of_it() -> None:
    (one,) = found(tag("0.9.3-r36.4.0-cu128-24.04", "a", baseline=True))
    assert (one.engine, one.image, one.digest) == ("vllm", "dustynv/vllm:0.9.3-r36.4.0-cu128-24.04", digest("a"))
    assert (one.version, one.source, one.baseline, one.first_seen) == ("0.9.3", "dustynv-vllm", True, NOW)
    assert (one.compatible, one.reasons) == (True, ())


def test_what_cannot_run_is_a_candidate_with_its_reasons() -> None:
    (one,) = found(tag("r35.4.1", "a"))
    assert not one.compatible
    assert one.reasons == ("needs L4T r35.4.1; this device runs r36.4.4",)


def test_without_a_digest_there_is_no_candidate() -> None:
    assert found(tag("r36.4.0", None)) == ()


def test_withdrawn_unwanted_and_unfinished_images_are_none() -> None:
    withdrawn = KnownFact(Fact(FactKind.IMAGE, "r36.4", digest=digest("a")), NOW, missed=2, withdrawn=True)
    unfinished = KnownFact(Fact(FactKind.IMAGE, "r36.4", digest=digest("a"), prerelease=True), NOW)
    assert found(withdrawn) == ()
    assert found(unfinished) == ()
    assert found(tag("r36.4", "a"), source=oci(include="r39")) == ()
    assert len(found(unfinished, source=oci(prereleases=True))) == 1


def test_a_release_waits_for_an_image() -> None:
    releases = GitHubReleasesConfig(
        kind="github-releases", name="r", repo="vllm-project/vllm", image="vllm/vllm-openai"
    )
    assert found(KnownFact(Fact(FactKind.RELEASE, "v0.33.0", "0.33.0"), NOW), source=releases) == ()


def test_a_repository_belongs_to_the_engine_that_lists_it_or_that_the_source_names() -> None:
    own = "127.0.0.1:5000/vllm"
    assert found(tag("0.33.0-r36.4", "a"), source=oci(own)) == ()
    assert found(tag("0.33.0-r36.4", "a"), source=oci(own, engine="vllm"))[0].image == f"{own}:0.33.0-r36.4"
    listing = {"vllm": vllm().model_copy(update={"images": (own,)})}
    assert candidates([(oci(own), tag("0.33.0-r36.4", "a"))], listing, orin())[0].engine == "vllm"


def test_two_names_of_one_content_are_one_candidate_under_the_name_that_says_more() -> None:
    (one,) = found(tag("r36.4", "a"), tag("0.9.3-r36.4", "a"), tag("latest", "a"))
    assert tags_of((one,)) == ["0.9.3-r36.4"]
    assert one.fingerprint == fingerprint(digest("a"))


def test_a_fingerprint_is_over_content_in_any_order() -> None:
    assert fingerprint("sha256:a", ["x", "y"]) == fingerprint("sha256:a", ["y", "x"])
    assert len({fingerprint("sha256:a"), fingerprint("sha256:b"), fingerprint("sha256:a", ["x"])}) == 3


def test_an_image_for_another_architecture_is_told_so() -> None:
    (one,) = found(
        tag("r36.4", "a"), source=OciTagsConfig(kind="oci-tags", name="s", image="dustynv/vllm", architecture="amd64")
    )
    assert one.reasons == ("has no image for arm64, only for amd64",)


def test_newest_is_by_version_not_by_text_and_not_by_the_day_it_was_pushed() -> None:
    pushed_again = candidate("0.8.6-r36.4", seen=NOW)
    names = tags_of(newest_first([candidate("0.9.3-r36.4"), pushed_again, candidate("0.10.0-r36.4")]))
    assert names == ["0.10.0-r36.4", "0.9.3-r36.4", "0.8.6-r36.4"]


def test_a_tag_without_a_version_ranks_with_the_newest_version_of_its_day() -> None:
    some = [
        candidate("0.9.3-r36.4", seen=NOW - 72 * HOUR),
        candidate("0.10.0-r36.4", seen=NOW - 24 * HOUR),
        candidate("r36.4-cu129-24.04", seen=NOW - 48 * HOUR),
    ]
    assert tags_of(newest_first(some)) == ["0.10.0-r36.4", "r36.4-cu129-24.04", "0.9.3-r36.4"]


def test_latest_ranks_first_and_a_tag_without_version_and_day_last() -> None:
    names = ["r36.4-cu126", "0.9.3-r36.4", "latest-jetson-orin", "0.8.6-r36.4"]
    ranked = newest_first([candidate(name, baseline=True) for name in names])
    assert tags_of(ranked) == ["latest-jetson-orin", "0.9.3-r36.4", "0.8.6-r36.4", "r36.4-cu126"]


def test_of_the_real_lists_the_newest_that_fits_is_the_one_that_jetson_containers_takes() -> None:
    rows = json.loads((SAMPLES / "docker-hub-tags-dustynv-vllm.json").read_text())["results"]
    dated = [
        KnownFact(
            Fact(
                FactKind.IMAGE,
                row["name"],
                digest=row["digest"],
                published_at=datetime.fromisoformat(row["tag_last_pushed"]),
            ),
            NOW,
            baseline=True,
        )
        for row in rows
    ]
    undated = [KnownFact(Fact(FactKind.IMAGE, row["name"], digest=row["digest"]), NOW, baseline=True) for row in rows]
    for facts in (dated, dated[::-1], undated, undated[::-1]):
        newest = next(one for one in found(*facts) if one.compatible)
        assert newest.image == "dustynv/vllm:0.8.6-r36.4-cu128-24.04"
