"""The year, replayed by the ordinary code over real protocols: each change is told once, every answer holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from watcher.demo.bench import open_bench
from watcher.demo.replay import Replay
from watcher.demo.world import World
from watcher.demo.year import DAYS, START, TODAY, UPGRADED
from watcher.jobs.round import Round
from watcher.model.facts import LookOutcome
from watcher.model.verdict import BringUp, BugState

TORCH, VLLM = "torch-{}-cp312-cp312-manylinux_2_28_aarch64.whl", "vllm-{}-cp38-abi3-manylinux_2_28_aarch64.whl"
EVENTS: dict[str, set[tuple[str, str, str]]] = {
    "2025-12-13": {
        ("vllm-releases", "new", "v0.12.0"),
        ("images-nvidia-ai-iot", "new", "latest-jetson-orin"),
    },
    "2026-01-22": {
        ("l4t-r36", "new", "nvidia-l4t-core r36.5 36.5.0-20260115194252"),
        ("l4t-r36", "new", "nvidia-jetpack r36.5 6.2.2+b24"),
        ("vllm-releases", "new", "v0.14.0"),
        ("torch-official-cu130", "new", TORCH.format("2.10.0+cu130")),
        ("torch-jp6-cu126", "new", "torch-2.10.0-cp310-cp310-linux_aarch64.whl"),
    },
    "2026-04-27": {
        ("torch-official-cu130", "new", TORCH.format("2.11.0+cu130")),
        ("vllm-releases", "new", "v0.20.0"),
        ("vllm-pip", "new", VLLM.format("0.20.0")),
        ("images-vllm-openai", "new", "v0.20.0"),
        ("images-vllm-openai", "new", "latest"),
    },
    "2026-05-27": {
        ("torch-official-cu130", "new", TORCH.format("2.12.0+cu130")),
    },
    "2026-06-02": {
        ("l4t-r36", "new", "nvidia-jetpack r39.2 7.2+b1"),
    },
    "2026-06-17": {
        ("torch-official-cu130", "new", TORCH.format("2.12.1+cu130")),
        ("torch-pip", "new", TORCH.format("2.12.1")),
    },
    "2026-07-08": {
        ("torch-official-cu130", "new", TORCH.format("2.13.0+cu130")),
        ("torch-pip", "new", TORCH.format("2.13.0")),
    },
    "2026-07-25": {
        ("l4t-r36", "new", "nvidia-l4t-core r36.5 36.5.2-20260716114719"),
        ("l4t-r36", "new", "nvidia-jetpack r36.5 6.2.3+b9"),
        ("vllm-releases", "new", "v0.26.0"),
        ("vllm-pip", "new", VLLM.format("0.26.0")),
    },
    "2026-08-27": {
        ("l4t-r36", "new", "nvidia-jetpack r39.2 7.2.1+b5"),
        ("vllm-releases", "new", "v0.28.0"),
        ("vllm-pip", "new", VLLM.format("0.28.0")),
        ("threads", "edited", "pytorch/pytorch#185946 landed"),
        ("images-nvidia-ai-iot", "rebuilt", "latest-jetson-orin"),
        ("commits-jetson-containers", "new", "vllm: bump the recipe, no image yet"),
    },
    "2026-09-02": {
        ("torch-official-cu130", "new", TORCH.format("2.14.0+cu130")),
        ("torch-pip", "new", TORCH.format("2.14.0")),
    },
    "2026-10-18": {
        ("torch-official-cu130", "new", TORCH.format("2.14.1+cu130")),
        ("torch-pip", "new", TORCH.format("2.14.1")),
        ("vllm-releases", "new", "v0.32.0"),
        ("vllm-pip", "new", VLLM.format("0.32.0")),
    },
    "2026-11-02": {
        ("torch-pip", "new", TORCH.format("2.15.0")),
        ("vllm-releases", "new", "v0.33.0"),
        ("vllm-pip", "new", VLLM.format("0.33.0")),
    },
    "2026-11-05": {
        ("images-vllm-openai", "new", "v0.33.0"),
        ("images-vllm-openai", "rebuilt", "latest"),
    },
}  # fmt: skip
TRIED = {"2025-12-13": "latest-jetson-orin", "2026-08-27": "latest-jetson-orin"}
"""What is tried by itself on JetPack 6: each content once."""


@dataclass(frozen=True)
class Lived:
    """A day, the round on it, and a second round an hour later."""

    day: str
    first: Round
    second: Round


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Lived], Lived]]:
    with World() as world:
        replay = Replay(world, open_bench(), tmp_path_factory.mktemp("year"))
        lived = []
        for today in (START, *DAYS):
            if today is not START:
                world.live(today)
            lived.append(_live(replay, f"{today.date:%Y-%m-%d}"))
        replay.upgrade(UPGRADED)
        yield lived, _live(replay, f"{TODAY:%Y-%m-%d}")


def _live(replay: Replay, day: str) -> Lived:
    moment = next((one.date for one in (START, *DAYS) if f"{one.date:%Y-%m-%d}" == day), TODAY)
    return Lived(day, *(replay.look(moment + timedelta(hours=hours), lambda _: None) for hours in (0, 1)))


def _told(done: Round) -> list[tuple[str, str, str]]:
    def named(name: str, version: str | None) -> str:
        return f"{name} {version}" if version and version not in name else name

    return [(event.source, event.kind.value, named(event.fact.name, event.fact.version)) for event in done.events]


def test_each_change_is_told_at_its_first_look_and_once(year: tuple[list[Lived], Lived]) -> None:
    for lived in year[0]:
        told = _told(lived.first)
        assert sorted(told) == sorted(EVENTS.get(lived.day, set())), lived.day
        assert lived.second.events == (), lived.day


def test_nothing_fails_on_the_way(year: tuple[list[Lived], Lived]) -> None:
    for lived in (*year[0], year[1]):
        for look in (*lived.first.looks, *lived.second.looks):
            assert look.outcome is not LookOutcome.FAILED, (lived.day, look)


def test_a_second_look_costs_next_to_nothing(year: tuple[list[Lived], Lived]) -> None:
    cold = sum(look.traffic.bytes for look in year[0][0].first.looks)
    for lived in year[0]:
        without_validator = ("images-nvidia-ai-iot", "images-vllm-openai", "images-dustynv")
        fetched = {look.source: look.traffic.bytes for look in lived.second.looks if look.traffic.bytes}
        assert set(fetched) <= set(without_validator), lived.day
        assert sum(fetched.values()) < cold * 0.05, lived.day


def test_what_is_new_for_this_device_is_tried_once(year: tuple[list[Lived], Lived]) -> None:
    for lived in year[0]:
        tried = [trial.candidate.image.rpartition(":")[2] for trial in lived.first.trials]
        assert tried == ([TRIED[lived.day]] if lived.day in TRIED else []), lived.day
        assert lived.second.trials == (), lived.day
        assert all((one.bug, one.bring_up) == (BugState.PRESENT, BringUp.FAILS) for one in lived.first.trials)


def test_on_jetpack_6_the_answer_is_never_fixed(year: tuple[list[Lived], Lived]) -> None:
    for lived in year[0]:
        for done in (lived.first, lived.second):
            assert done.answer.bug is BugState.PRESENT, lived.day
            assert done.answer.bring_up is (BringUp.UNTRIED if lived.day == "2025-11-12" else BringUp.FAILS), lived.day


def test_where_it_is_fixed_is_known_from_the_day_on_which_it_is(year: tuple[list[Lived], Lived]) -> None:
    for lived in year[0]:
        answer, torch, vllm = lived.first.answer, lived.day >= "2026-09-02", lived.day >= "2026-11-02"
        expected = ({"torch": "2.14.0"} if torch else {}) | ({"vllm": "0.33.0"} if vllm else {})
        assert (answer.fixed_in or {}) == expected, lived.day
        assert ("fixed upstream in torch 2.14.0 (2026-09-02)" in answer.headline) is torch, lived.day
        assert ("first vLLM with it 0.33.0 (2026-11-02)" in answer.headline) is vllm, lived.day
        assert ("nothing yet for JetPack 6: waits for an arm64 image for r36" in answer.headline) is torch, lived.day


def test_what_each_question_waits_for(year: tuple[list[Lived], Lived]) -> None:
    waits = [(one.question, one.what, f"{one.since:%Y-%m-%d}") for one in year[0][-1].second.answer.waits_for]
    assert waits == [
        ("bug", "an arm64 image for r36 with torch ≥ 2.14.0", "2026-09-02"),
        ("bring_up", "vLLM 0.33.0: no image for r36", "2026-11-02"),
    ]


def test_what_an_upgrade_would_open_is_said_from_the_day_on_which_it_exists(year: tuple[list[Lived], Lived]) -> None:
    for lived in year[0]:
        said = lived.first.answer.next_step
        assert ("would open" in said) is (lived.day >= "2026-06-02"), lived.day
        assert ("whose version asks for a torch with the fix" in said) is (lived.day >= "2026-11-05"), lived.day


def test_on_jetpack_7_2_the_image_with_the_fix_is_tried_and_works(year: tuple[list[Lived], Lived]) -> None:
    _, upgraded = year
    assert _told(upgraded.first) == [("device", "edited", "l4t 39.2.1")]
    (trial,) = upgraded.first.trials
    assert trial.candidate.image.endswith("/vllm/vllm-openai:v0.33.0")
    answer = upgraded.second.answer
    assert (answer.bug, answer.bring_up, answer.waits_for) == (BugState.FIXED, BringUp.WORKS, ())
    assert upgraded.second.trials == ()
