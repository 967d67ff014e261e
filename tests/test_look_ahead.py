"""Where a person stands in November 2026, from facts alone: the shared samples through the real parsers, two devices.

What was read from bytes and metadata is that of the knowledge base: 2.12.1 and 2.13.0 carry the assert, 2.14.0, 2.14.1
and 2.15.0 do not; vLLM 0.32.0 asks for 2.13.0 and 0.33.0 for 2.14.0; nothing newer than 2.10.0 exists for JetPack 6.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.places import SAMPLES
from tests.planner.worlds import NOW, digest, oci, orin, vllm
from tests.test_answer import JP6, RELEASES, SBSA, bug
from watcher.answer import stand
from watcher.config.sources import AptConfig, DockerHubConfig, SimpleIndexConfig, SourceConfig
from watcher.model.answer import Answer
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.verdict import BugState, StaticReading, StaticRecord
from watcher.planner.candidates import candidates
from watcher.planner.versions import parse_tag
from watcher.sources.apt import parse_packages
from watcher.sources.github_releases import parse_releases
from watcher.sources.registry import parse_tags
from watcher.sources.simple_index import parse_html_index, wheel_facts

PYTHON = SimpleIndexConfig.model_validate(
    {"kind": "simple-index", "name": "pip", "url": "https://index.example/simple/torch/"}
)
NVIDIA, OFFICIAL = oci("ghcr.io/nvidia-ai-iot/vllm", exclude=["thor", "r38"]), oci("vllm/vllm-openai")
DUSTYNV = DockerHubConfig(kind="docker-hub", name="hub", repository="dustynv/vllm", include=("r36",))
L4T = AptConfig.model_validate(
    {
        "kind": "apt",
        "name": "l4t",
        "urls": ["https://apt.example/"],
        "dists": ["r36.4"],
        "packages": ["nvidia-l4t-core"],
    }
)
SOURCES: tuple[SourceConfig, ...] = (JP6, SBSA, PYTHON, RELEASES, NVIDIA, OFFICIAL, DUSTYNV, L4T)
STATES = {"2.10.0": "present", "2.12.1": "present", "2.13.0": "present", "2.14.0": "fixed", "2.15.0": "fixed"}
PINS = {"0.32.0": "==2.13.0", "0.33.0": "==2.14.0"}


def facts() -> Iterator[tuple[str, KnownFact]]:
    """Yield what sources show; all of it was there when the watcher was set up."""
    yield from (("jp6", KnownFact(fact, NOW, baseline=True)) for fact in _jp6())
    yield from (("pip", KnownFact(fact, NOW, baseline=True)) for fact in _dated_wheels())
    for fact in parse_releases(json.loads((SAMPLES / "github-releases-vllm.json").read_text())):
        yield RELEASES.name, KnownFact(fact, NOW, baseline=True)
    for tag in parse_tags((SAMPLES / "oci-tags-list-ghcr-nvidia-ai-iot-vllm.json").read_bytes()):
        yield NVIDIA.name, _image(tag)
    for tag in ("v0.32.0", "v0.33.0"):
        yield OFFICIAL.name, _image(tag)
    for entry in json.loads((SAMPLES / "docker-hub-tags-dustynv-vllm.json").read_text())["results"]:
        yield DUSTYNV.name, _image(entry["name"])
    for dist, file in (("r36.4", "r36.4-t234"), ("r36.5", "r36.5-t234"), ("r39.2", "r39.2-som")):
        _, debs = parse_packages((SAMPLES / f"apt-Packages-{file}").read_bytes(), ["nvidia-l4t-core"])
        yield from (("l4t", _deb(f"nvidia-l4t-core {dist}", deb.version)) for deb in debs)


def _jp6() -> tuple[Fact, ...]:
    page = (SAMPLES / "simple-index-jetson-ai-lab-torch.html").read_bytes()
    return wheel_facts(parse_html_index(page, str(JP6.url)), JP6.platforms, ())


def _dated_wheels() -> Iterator[Fact]:
    with (SAMPLES / "torch-versions-index-dates.csv").open() as file:
        rows = [row for row in csv.reader(file) if row and row[0][:1].isdigit()]
    for version, when, *_ in rows:
        stamp = datetime.fromisoformat(when.replace("Z", "+00:00"))
        name = f"torch-{version}-cp312-cp312-manylinux_2_28_aarch64.whl"
        published = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        yield Fact(FactKind.WHEEL, name, version, digest(version), published_at=published)


def _image(tag: str) -> KnownFact:
    return KnownFact(Fact(FactKind.IMAGE, tag, parse_tag(tag).version, digest(tag)), NOW, baseline=True)


def _deb(name: str, version: str) -> KnownFact:
    return KnownFact(Fact(FactKind.DEB, name, version), NOW, baseline=True)


def ledger() -> Iterator[StaticRecord]:
    for fact in _jp6():
        if (state := STATES.get(str(fact.version))) is not None:
            reading = StaticReading(fact.name, "wheel", BugState(state), "read")
            yield StaticRecord("jp6", "torch", fact.name, fact.version, fact.content_key, reading, NOW)
    for version, state in STATES.items():
        name = f"torch-{version}-cp312-cp312-linux_aarch64.whl"
        reading = StaticReading(name, "wheel", BugState(state), "read")
        yield StaticRecord("sbsa", "torch", name, version, digest(name), reading, NOW)
    for version, pin in PINS.items():
        reading = StaticReading(version, "wheel", BugState.UNKNOWN, "read", pin=pin)
        yield StaticRecord("vllm-pip", "vllm", f"vllm-{version}.whl", version, digest(version), reading, NOW)


def standing(l4t: str) -> Answer:
    shown, device, engine = tuple(facts()), orin(l4t), vllm()
    by_name = {source.name: source for source in SOURCES}
    return stand(
        device=device,
        bug=bug(),
        engine=engine,
        candidates=candidates([(by_name[name], known) for name, known in shown], {"vllm": engine}, device),
        statics=tuple(ledger()),
        facts=shown,
        sources=SOURCES,
    )


@pytest.mark.parametrize("l4t", ["36.4.3", "36.4.7", "36.5.0", "36.5.2"])
def test_jetpack_6_has_the_bug_and_hears_where_it_is_fixed_and_what_7_2_would_change(l4t: str) -> None:
    got = standing(l4t)
    assert (got.bug, got.bring_up, got.fixed_in) == (BugState.PRESENT, "untried", {"torch": "2.14.0", "vllm": "0.33.0"})
    assert "torch-2.10.0-cp310" in got.headline
    assert "fixed upstream in torch 2.14.0 (2026-09-02), first vLLM with it 0.33.0 (2026-11-02)" in got.headline
    assert ("bring_up", "vLLM 0.33.0: no image for r36") in [(one.question, one.what) for one in got.waits_for]
    assert "`watcher trial run` tries" in got.next_step


def test_jetpack_7_2_can_try_the_image_with_the_fix() -> None:
    got = standing("39.2.1")
    assert (got.bug, got.fixed_in) == (BugState.FIXED, {"torch": "2.14.0", "vllm": "0.33.0"})
    assert "The bug is fixed in torch-2.15.0" in got.headline
    assert [(one.question, one.what) for one in got.waits_for] == [("bring_up", "a trial of vllm/vllm-openai:v0.33.0")]
    assert got.next_step == "`watcher trial run` tries vllm/vllm-openai:v0.33.0."
