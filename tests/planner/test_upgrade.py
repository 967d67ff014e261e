"""What another L4T would open: judged from the same facts, for the device's own board."""

from collections.abc import Sequence

from tests.planner.worlds import NOW, candidate, oci, orin, tag, vllm
from tests.test_answer import bug, wheel
from watcher.answer import open_ledger, stand
from watcher.config.sources import GitHubReleasesConfig
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.verdict import BugState, StaticReading, StaticRecord
from watcher.planner.upgrade import Upgrade, best_upgrade

OFFICIAL = oci("vllm/vllm-openai")
OLD = candidate("0.9.3-r36.4", baseline=True)
Facts = Sequence[tuple[str, KnownFact]]


def deb(package: str, dist: str, version: str) -> tuple[str, KnownFact]:
    return "l4t", KnownFact(Fact(FactKind.DEB, f"{package} {dist}", version), NOW)


R36_5 = (deb("nvidia-l4t-core", "r36.5", "36.5.2-20260716114719"), deb("nvidia-jetpack", "r36.5", "6.2.3+b9"))
R38_4 = (deb("nvidia-l4t-core", "r38.4", "38.4.0-20251230160601"),)
R39_2 = (
    deb("nvidia-l4t-core", "r39.2", "39.2.1-20260806224157"),
    deb("nvidia-l4t-core", "r39.2", "39.2.0-20260601141651"),
    deb("nvidia-jetpack", "r39.2", "7.2.1+b5"),
)
IMAGES = (("vllm-vllm-openai", tag("v0.33.0", "a")), ("vllm-vllm-openai", tag("v0.32.0", "b")))


RELEASES = GitHubReleasesConfig(
    kind="github-releases", name="releases", repo="vllm-project/vllm", image="vllm/vllm-openai"
)


def asks(version: str, pin: str) -> StaticRecord:
    reading = StaticReading(version, "wheel", BugState.UNKNOWN, "", pin=pin)
    return StaticRecord("pins", "vllm", f"vllm-{version}.whl", version, f"sha256:{version}", reading, NOW)


def best(facts: Facts, device: DeviceFacts | None = None, *statics: object) -> Upgrade | None:
    return best_upgrade(
        open_ledger(
            device=device or orin(),
            bug=bug(),
            engine=vllm(),
            candidates=[OLD],
            statics=statics,  # type: ignore[arg-type]
            facts=facts,
            sources=(OFFICIAL, oci(), RELEASES),
        )
    )


def test_the_newest_of_the_dist_that_opens_something_is_named_with_its_jetpack() -> None:
    found = best((*R36_5, *R38_4, *R39_2, *IMAGES))
    assert found is not None
    assert str(found) == "JetPack 7.2.1 (L4T r39.2.1)"
    assert (found.candidate.image, found.fix) == ("vllm/vllm-openai:v0.33.0", None)


def test_a_dist_whose_core_package_is_not_watched_is_known_by_its_name() -> None:
    found = best((deb("nvidia-jetpack", "r39.2", "7.2+b1"), *IMAGES))
    assert str(found) == "JetPack 7.2 (L4T r39.2)"


def test_an_image_with_the_fix_is_preferred_to_a_newer_one() -> None:
    found = best((*R39_2, *IMAGES), None, wheel("2.13.1", BugState.FIXED), asks("0.32.0", "==2.13.1"))
    assert found is not None
    assert found.candidate.image == "vllm/vllm-openai:v0.32.0"
    assert found.fix == "whose version asks for a torch with the fix"


def test_an_image_that_somebody_else_built_is_not_taken_for_its_version() -> None:
    facts = (*R39_2, ("dustynv-vllm", tag("0.33.0-r39.2", "c")))
    found = best(facts, None, wheel("2.14.0", BugState.FIXED), asks("0.33.0", "==2.14.0"))
    assert found is not None
    assert (found.candidate.image, found.fix) == ("dustynv/vllm:0.33.0-r39.2", None)


def test_what_runs_on_another_board_only_or_opens_nothing_is_no_upgrade() -> None:
    assert best((*R38_4, *IMAGES)) is None, "r38 never ran on an Orin"
    assert best((*R36_5, *IMAGES)) is None, "the same images fit r36.5 as r36.4"
    assert best(R39_2) is None, "there is no image to open"
    assert best((*R39_2, *IMAGES), orin("39.2.1")) is None, "the device runs it already"
    unknown = DeviceFacts("?", DeviceState("36.4.4"), model="a board that nobody knows")
    assert best((*R39_2, *IMAGES), unknown) is None


def test_the_next_step_names_what_an_upgrade_would_open() -> None:
    got = stand(
        device=orin(),
        bug=bug(),
        engine=vllm(),
        statics=[wheel("2.14.0", BugState.FIXED, index="elsewhere"), asks("0.33.0", "==2.14.0")],
        facts=(*R39_2, *IMAGES),
        sources=(OFFICIAL, RELEASES),
    )
    assert got.next_step == (
        "Wait for an arm64 image for r36 with torch ≥ 2.14.0; "
        "JetPack 7.2.1 (L4T r39.2.1) would open vllm/vllm-openai:v0.33.0, whose version "
        "asks for a torch with the fix."
    )
