"""Parsing raises nothing but SourceChanged, whatever bytes come: random ones, and samples cut off or damaged."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.places import SAMPLES
from watcher.errors import SourceChanged
from watcher.fetch.bodies import unpacked
from watcher.sources.apt import parse_packages, parse_release
from watcher.sources.github_releases import parse_feed, parse_releases
from watcher.sources.registry import parse_architecture, parse_challenge, parse_manifest, parse_tags, parse_token
from watcher.sources.simple_index import parse_html_index, parse_json_index, wheel_facts

URL = "https://index.example/jp6/cu126/+simple/torch/"
ANY = ("*",)

PARSERS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "html": (lambda body: wheel_facts(parse_html_index(body, URL), ANY, ()), "simple-index-jetson-ai-lab-torch.html"),
    "json": (lambda body: wheel_facts(parse_json_index(body, URL), ANY, ()), "simple-index-jetson-ai-lab-torch.json"),
    "feed": (parse_feed, "github-releases-vllm.atom"),
    "release": (parse_release, "apt-Release-r36.4-common"),
    "packages": (lambda body: parse_packages(body, ["nvidia-jetpack"]), "apt-Packages-r36.4-common"),
    "gz": (lambda body: unpacked(body, ".gz", 10_000), "apt-Packages-r36.4-common.gz"),
    "xz": (lambda body: unpacked(body, ".xz", 10_000), "apt-Packages-r36.4-common.gz"),
    "tags": (parse_tags, "oci-tags-list-dustynv-vllm.json"),
    "manifest": (parse_manifest, "oci-tags-list-dustynv-vllm.json"),
    "config": (parse_architecture, "oci-token-response.json"),
    "token": (parse_token, "oci-token-response.json"),
    "challenge": (lambda body: parse_challenge(body.decode("latin-1")), "oci-unauthorized.http"),
}

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["files", "filename", "url", "hashes", "sha256", "tags", "token", "manifests", "platform", "digest",
                 "os", "architecture", "config", "yanked", "size", "upload-time", "variant", "draft", "name", "body",
                 "published_at", "prerelease", "tag_name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=300))
def test_random_bytes(name: str, body: bytes) -> None:
    with suppress(SourceChanged):
        PARSERS[name][0](body)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_samples_cut_off_or_damaged(name: str, data: st.DataObject) -> None:
    parse, file = PARSERS[name]
    body = (SAMPLES / file).read_bytes()
    cut = body[: data.draw(st.integers(0, len(body)))]
    place = data.draw(st.integers(0, max(len(cut) - 1, 0)))
    damaged = cut[:place] + data.draw(st.binary(max_size=6)) + cut[place + 1 :]
    with suppress(SourceChanged):
        parse(damaged)


@pytest.mark.parametrize("name", ["json", "tags", "manifest", "config", "token"])
@settings(max_examples=150, deadline=None)
@given(value=JSONS)
def test_any_json(name: str, value: object) -> None:
    import json

    with suppress(SourceChanged):
        PARSERS[name][0](json.dumps(value).encode())


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(JSONS, max_size=3))
def test_any_rows_of_releases(rows: list[dict[str, object]]) -> None:
    with suppress(SourceChanged):
        parse_releases([{"tag_name": "v1", **row} if isinstance(row, dict) else row for row in rows])
