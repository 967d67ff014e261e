"""One comparison per family; the original text is kept."""

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from watcher.model.facts import Fact, FactKind
from watcher.planner.versions import (
    OrderKey,
    TagParts,
    debian_key,
    order_key,
    parse_tag,
    parse_version,
    pep440_key,
    public,
)

TAGS = {
    "r36.4": TagParts(l4t="36.4"),
    "r36.4.0": TagParts(l4t="36.4.0"),
    "r36.4.tegra-aarch64-cu126-22.04": TagParts(l4t="36.4", arch="arm64", cuda="12.6", ubuntu="22.04"),
    "r36.4-tegra-aarch64-cu126-22.04": TagParts(l4t="36.4", arch="arm64", cuda="12.6", ubuntu="22.04"),
    "r36.4.tegra-aarch64-cp310-cu126-22.04": TagParts(
        l4t="36.4", arch="arm64", python="3.10", cuda="12.6", ubuntu="22.04"
    ),
    "0.9.3-r36.4.0-cu128-24.04": TagParts(version="0.9.3", l4t="36.4.0", cuda="12.8", ubuntu="24.04"),
    "b5283-r36.4-cu128-24.04": TagParts(version="b5283", l4t="36.4", cuda="12.8", ubuntu="24.04"),
    "server-cuda-b9016": TagParts(version="b9016"),
    "main-r36.4.0": TagParts(l4t="36.4.0"),
    "0.16.0-g15d76f74e-r38.2-arm64-sbsa-cu130-24.04": TagParts(
        version="0.16.0", l4t="38.2", arch="arm64", sbsa=True, cuda="13.0", ubuntu="24.04"
    ),
    "r38.2.arm64-sbsa-cu130-24.04": TagParts(l4t="38.2", arch="arm64", sbsa=True, cuda="13.0", ubuntu="24.04"),
    "0.8.6-sbsa-cu128": TagParts(version="0.8.6", sbsa=True, cuda="12.8"),
    "2.6-amd64-cu128-24.04": TagParts(version="2.6", arch="amd64", cuda="12.8", ubuntu="24.04"),
    "1.0-x86_64-cu12.8": TagParts(version="1.0", arch="amd64", cuda="12.8"),
    "0.6.6.post1-builder-r36.4.0": TagParts(version="0.6.6.post1", builder=True, l4t="36.4.0"),
    "latest-jetson-orin": TagParts(board="orin", moving=True),
    "qwen3.8-next-jetson-thor": TagParts(board="thor"),
    "25.09-py3": TagParts(version="25.09", python="3"),
    "24.04-py3": TagParts(version="24.04", python="3"),
    "v0.32.0": TagParts(version="0.32.0"),
    "v0.33.0-cu130": TagParts(version="0.33.0", cuda="13.0"),
    "0.6.8-rc1": TagParts(version="0.6.8rc1", prerelease=True),
    "v0.9.2rc1": TagParts(version="0.9.2rc1", prerelease=True),
    "0.13.0-r36.4.tegra-aarch64-cp312-cu129-24.04-pre-release": TagParts(
        version="0.13.0", l4t="36.4", arch="arm64", python="3.12", cuda="12.9", ubuntu="24.04", prerelease=True
    ),
    "0.8.6--r36.4": TagParts(version="0.8.6", l4t="36.4"),
    "--": TagParts(),
    "": TagParts(),
    "latest": TagParts(moving=True),
}


def test_every_known_form_of_a_tag_is_read() -> None:
    assert {tag: parse_tag(tag) for tag in TAGS} == TAGS


@given(st.text() | st.from_regex(r"[rv]?[0-9.]+[-_](r[0-9.]+)?[-_a-z0-9.]*"))
def test_no_tag_raises(tag: str) -> None:
    parts = parse_tag(tag)
    assert parts.version is None or parts.version.startswith("b") or parse_version(parts.version)
    assert parts.l4t is None or parse_version(parts.l4t)


@given(st.text())
def test_no_text_breaks_a_comparison(text: str) -> None:
    assert sorted([text, "2.14.0", "?"], key=pep440_key)
    assert sorted([text, "36.4.4", "?"], key=debian_key)


def shuffled_and_sorted(texts: list[str], key: Callable[[str], OrderKey]) -> list[str]:
    return sorted(random.Random(0).sample(texts, len(texts)), key=key)


def test_wheels_sort_by_public_version_then_by_nvidias_month_and_build_number() -> None:
    in_order = [
        "2.4.0a0+f70bd71a48.nv24.06.15634931",  # the later hash, of the earlier build
        "2.4.0a0+07cecf4168.nv24.07.14710581",
        "2.4.0a0+07cecf4168.nv24.07.14710590",
        "2.5.0a0+872d972e41.nv24.08.17622132",
        "2.5.0",
        "2.9.1",
        "2.10.0",
        "2.13.0",
        "2.13.0+cu130",
    ]
    assert shuffled_and_sorted(in_order, key=pep440_key) == in_order


def test_debian_order_is_not_pep440() -> None:
    in_order = ["6.1+b123", "6.2~rc1+b1", "6.2+b77", "6.2.1+b38", "36.4.4-20250616085344", "36.4.7-20250918154033"]
    assert shuffled_and_sorted(in_order, key=debian_key) == in_order


def test_the_public_part_is_what_a_fix_is_named_by() -> None:
    texts = ("2.13.0+cu130", "v0.33.0", "2.5.0a0+872d972e41.nv24.08", "r36.4", None)
    assert [public(text) for text in texts] == ["2.13.0", "0.33.0", "2.5.0a0", None, None]


def test_tags_sort_by_their_version_not_by_their_text() -> None:
    names = ["0.10.1-r36.4.0", "0.9.3-r36.4.0-cu128-24.04", "r36.4.0"]
    facts = [Fact(FactKind.IMAGE, name) for name in names]
    assert [fact.name for fact in sorted(facts, key=order_key)] == list(reversed(names))
