"""One test for each pitfall of watching these upstreams, by its number in what is known of them.

The eleventh (whether an event helps) has its test in `tests/planner/test_relevance.py`, where that is decided.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.clocks import SteppingClock
from tests.places import CHECKOUT
from tests.real.apt import AptRepository
from tests.real.devpi import Devpi
from tests.real.github import GitHub
from tests.real.registry import Registry
from tests.real.web import Asked, Reply, Web
from tests.sources.conftest import Build
from watcher.config.load import load_settings
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds
from watcher.model.facts import Fact, FactKind, KnownFact, Poll
from watcher.planner.news import changes
from watcher.planner.versions import order_key
from watcher.sources.base import moment

TORCH = "torch-2.8.0-cp310-cp310-linux_aarch64.whl"
ENVIRONMENT = {"PIP_INDEX_URL": "https://index.example/simple/"}
Told = list[tuple[str, str]]


class Watched:
    """A source with its memory, as the program keeps it; each look is by a new process."""

    def __init__(self, build: Build, toml: str, prereleases: bool = False) -> None:
        self._build, self._toml, self._prereleases = build, toml, prereleases
        self.known: dict[str, KnownFact] = {}
        self.clock = SteppingClock()
        self._cursor: str | None = None
        self._is_baseline = True

    def look(self) -> Told:
        """Look once and return what is told. A look that fails changes nothing."""
        self.clock.sleep(3600)
        poll = self._build(self._toml).poll(self._cursor)
        found = changes(
            "it", self.known, poll, baseline=self._is_baseline, now=self.clock.now(), prereleases=self._prereleases
        )
        self.known |= {fact.fact.key: fact for fact in found.facts}
        self._cursor, self._is_baseline = poll.cursor, False
        return [(event.kind.value, event.fact.name) for event in found.events]


def tags_of(registry: Registry) -> str:
    return f'kind = "oci-tags"\nimage = "{registry.host}/vllm"'


def index_at(url: str) -> str:
    return f'kind = "simple-index"\nurl = "{url}"'


def releases_of(github: GitHub) -> str:
    return f'kind = "github-releases"\nrepo = "{github.repo}"\napi_url = "{github.api_url}"'


def debs_of(apt: AptRepository) -> str:
    return f'kind = "apt"\nurls = ["{apt.url}"]\ndists = ["r36.4"]\npackages = ["nvidia-l4t-core"]'


def page(*names: str, **more: object) -> Reply:
    files = [{"filename": name, "url": name, "hashes": {"sha256": "a" * 64}, **more} for name in names]
    return Reply(200, json.dumps({"files": files}).encode(), {"Content-Type": "application/json"})


def test_pitfall_01_same_name_new_content_is_its_own_event(
    registry: Registry, devpi: Devpi, apt: AptRepository, build: Build
) -> None:
    devpi.create_index("pitfall1/cu126")
    debs: dict[str, tuple[str, ...]] = {"nvidia-l4t-core": ("36.4.4-20250616085344",)}
    watched = [
        Watched(build, toml)
        for toml in (tags_of(registry), index_at(devpi.page("pitfall1/cu126", "torch")), debs_of(apt))
    ]
    for content, told in (("one", []), ("one", []), ("other", ["rebuilt"])):
        registry.push("vllm", "r36.4", content)
        devpi.upload("pitfall1/cu126", TORCH, content)
        if content != "one" or not watched[0].known:
            apt.publish("r36.4", debs, content=content)
        for one in watched:
            assert [kind for kind, _ in one.look()] == told


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (FactKind.WHEEL, ["2.9.1", "2.10.0", "2.14.0a0+f.nv24.05", "2.14.0a0+0.nv24.06", "2.14.0", "2.14.0.post1"]),
        (FactKind.RELEASE, ["v0.9.0.1", "v0.9.2rc1", "v0.9.2", "v0.10.0", "v0.10.1.1"]),
        (FactKind.DEB, ["36.4.4-20250616085344", "36.4.7~rc1", "36.4.7-20250918154033", "36.10.0"]),
        (FactKind.IMAGE, ["r36.4", "0.9.2-r36.4", "0.10.0-r36.4-cu128-24.04"]),
    ],
)  # fmt: skip
def test_pitfall_02_order_is_never_trusted(kind: FactKind, names: list[str]) -> None:
    listed = tuple(Fact(kind, name, name) for name in names)
    for shown in (listed, listed[::-1], listed[1:] + listed[:1]):
        assert sorted(shown, key=order_key) == list(listed)
        events = changes("s", {}, Poll(shown), baseline=False, now=datetime.now(UTC), prereleases=True).events
        assert [event.fact for event in events] == list(listed)


def test_pitfall_03_the_first_look_is_a_baseline(registry: Registry, build: Build) -> None:
    for number in range(5):
        registry.push("vllm", f"0.{number}.0-r36.4", str(number))
    watched = Watched(build, tags_of(registry))
    assert watched.look() == []
    assert len(watched.known) == 5
    assert all(fact.baseline for fact in watched.known.values())


@pytest.mark.parametrize(
    "trouble",
    [*map(Reply, (401, 403, 429, 500, 503)), page(), Reply(200, b"<html><title>Sign in</title></html>")],
    ids=["401", "403", "429", "500", "503", "an empty list", "a page for people"],
)  # fmt: skip
def test_pitfall_04_a_failure_is_unknown_and_a_removal_needs_two_looks(web: Web, build: Build, trouble: Reply) -> None:
    names = [f"torch-2.{number}.0-cp310-cp310-linux_aarch64.whl" for number in range(4)]
    watched = Watched(build, index_at(f"{web.url}/torch/"))
    web.routes["/torch/"] = page(*names)
    watched.look()
    before = dict(watched.known)
    for _ in range(3):
        web.routes["/torch/"] = trouble
        with pytest.raises((SourceUnavailable, SourceChanged)):
            watched.look()
        assert watched.known == before
    web.routes["/torch/"] = page(*names[1:])
    assert watched.look() == []
    assert watched.look() == [("withdrawn", names[0])]


def test_pitfall_05_later_changes_of_what_is_known_are_edits(github: GitHub, build: Build) -> None:
    candidate, final = github.release("v0.33.0", prerelease=True), github.release("v0.32.0")
    draft = github.release("v0.34.0", draft=True)
    watched = Watched(build, releases_of(github))
    assert watched.look() == []

    def edits(release: dict[str, object], **changes: object) -> Callable[[], None]:
        return lambda: release.update(updated_at=f"2026-11-0{len(watched.known)}T00:00:{len(changes):02}Z", **changes)

    for change, told in (
        (edits(candidate, prerelease=False), [("edited", "v0.33.0")]),
        (edits(final, body="Other notes.", name="0.32"), [("edited", "v0.32.0")]),
        (edits(draft, draft=False), [("new", "v0.34.0")]),
    ):
        change()
        assert watched.look() == told
        assert watched.look() == []


def test_pitfall_05_a_wheel_added_to_an_old_version_is_new_and_a_yanked_one_edited(web: Web, build: Build) -> None:
    late = TORCH.replace("cp310", "cp312")
    watched = Watched(build, index_at(f"{web.url}/torch/"))
    for shown, told in (
        (page(TORCH), []),
        (page(TORCH, late), [("new", late)]),
        (page(TORCH, late, yanked="broken"), [("edited", TORCH), ("edited", late)]),
    ):
        web.routes["/torch/"] = shown
        assert watched.look() == told


def test_pitfall_05_a_tag_that_moves_is_rebuilt_and_one_that_is_deleted_withdrawn(
    registry: Registry, build: Build
) -> None:
    registry.push("vllm", "latest", "one")
    registry.push("vllm", "r36.4", "other")
    watched = Watched(build, tags_of(registry))
    watched.look()
    registry.push("vllm", "latest", "two")
    assert watched.look() == [("rebuilt", "latest")]
    registry.delete_tag("vllm", "latest")
    assert [watched.look(), watched.look()] == [[], [("withdrawn", "latest")]]


def test_pitfall_06_candidates_are_told_only_where_they_are_asked_for(web: Web, build: Build) -> None:
    nvidia = "torch-2.5.0a0+872d972e41.nv24.08.17622132-cp310-cp310-linux_aarch64.whl"
    for prereleases, told in ((False, []), (True, [("new", nvidia)])):
        web.routes["/torch/"] = page(TORCH)
        watched = Watched(build, index_at(f"{web.url}/torch/"), prereleases)
        watched.look()
        web.routes["/torch/"] = page(TORCH, nvidia)
        assert watched.look() == told
        assert nvidia in watched.known


def test_pitfall_06_the_default_configuration_asks_for_nvidias_and_not_for_vllms() -> None:
    sources = {source.name: source for source in load_settings(CHECKOUT / "config.toml", ENVIRONMENT).sources}
    listings = [source for source in sources.values() if source.kind == "wheel-listing"]
    assert listings
    assert all(source.prereleases for source in listings)
    assert not any(source.prereleases for source in sources.values() if source.kind == "github-releases")


def test_pitfall_07_stamps_are_for_display_and_our_own_first_sight_is_for_logic(web: Web, build: Build) -> None:
    texts = (
        "2026-09-02T13:44:00Z",
        "2026-09-02T13:44:00+00:00",
        "2026-09-02T15:44:00+02:00",
        "2026-09-02T13:44:00.000000123Z",
    )
    assert {moment(text) for text in texts} == {datetime(2026, 9, 2, 13, 44, tzinfo=UTC)}
    assert moment("tomorrow") is None
    watched = Watched(build, index_at(f"{web.url}/torch/"))
    for stamp in (None, "1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
        web.routes["/torch/"] = page(TORCH, **{"upload-time": stamp} if stamp else {})
        assert watched.look() == []
        assert watched.known[TORCH].first_seen == SteppingClock().now() + timedelta(hours=1)


def test_pitfall_08_a_host_that_moved_is_followed_where_that_is_allowed_and_recorded(
    web: Web, other_web: Web, build: Build
) -> None:
    web.routes["/torch/"] = Reply(301, headers={"Location": f"{other_web.url}/moved/torch/"})
    other_web.routes["/moved/torch/"] = Reply(200, f'<h1>Links for torch</h1><a href="../f/{TORCH}">x</a>'.encode())
    with pytest.raises(SourceUnavailable, match="another host"):
        build(index_at(f"{web.url}/torch/")).poll(None)
    poll = build(f'{index_at(f"{web.url}/torch/")}\nallowed_hosts = ["{other_web.host}"]').poll(None)
    assert [fact.url for fact in poll.facts or ()] == [f"{other_web.url}/moved/f/{TORCH}"], (
        "relative to the last address"
    )
    assert poll.moved_to == other_web.host


def test_pitfall_09_a_plus_is_quoted_when_asked_for_and_not_when_shown(web: Web, build: Build) -> None:
    quoted = "torch-2.9.1%2Bcu130-cp312-cp312-manylinux_2_28_aarch64.whl"
    web.routes["/torch/"] = Reply(200, f'<h1>Links for torch</h1><a href="/f/{quoted}">x</a>'.encode())
    (fact,) = build(index_at(f"{web.url}/torch/")).poll(None).facts or ()
    assert (fact.name, fact.version) == (quoted.replace("%2B", "+"), "2.9.1+cu130")
    web.routes[f"/f/{quoted}"] = Reply(200, b"the wheel")
    fetcher = Fetcher(timeout=timedelta(seconds=9), holds=HostHolds({}, SteppingClock()))
    assert fetcher.get(fact.url).body == b"the wheel"


def test_pitfall_10_requests_are_conditional_and_a_wait_is_kept(web: Web, build: Build) -> None:
    def conditional(asked: Asked) -> Reply:
        if asked.headers.get("if-none-match") == '"1"':
            return Reply(304)
        return Reply(200, page(TORCH).body, {"Content-Type": "application/json", "ETag": '"1"'})

    web.routes["/torch/"] = conditional
    toml = index_at(f"{web.url}/torch/")
    cursor = build(toml).poll(None).cursor
    again = build(toml)
    assert again.poll(cursor).facts is None
    assert again.traffic.bytes == 0
    web.routes["/torch/"] = Reply(429, headers={"Retry-After": "60"})
    source = build(toml)
    for _ in range(2):
        with pytest.raises(SourceUnavailable) as caught:
            source.poll(cursor)
        assert caught.value.retry_after
    assert source.traffic.requests == 1, "the second time nobody is asked"


def test_pitfall_10_a_manifest_is_asked_for_by_head_and_one_token_serves_a_look(
    registry: Registry, web: Web, build: Build
) -> None:
    manifest = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    tokens: list[str] = []

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            tokens.append(asked.query["scope"])
            return Reply(200, b'{"token": "t", "expires_in": 300}')
        if asked.headers.get("authorization") != "Bearer t":
            return Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{web.url}/token"'})
        if asked.path.endswith("/tags/list"):
            return Reply(200, b'{"tags": ["1.0", "2.0", "3.0"]}')
        return Reply(200, manifest, {"Docker-Content-Digest": digest})

    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    web.fallback = answer
    toml = f'kind = "oci-tags"\nimage = "{web.host}/vllm"'
    cursor = build(toml).poll(None).cursor
    assert tokens == ["repository:vllm:pull"]
    web.asked.clear()
    build(toml).poll(cursor)
    asked = [(one.method, one.path.rpartition("/")[2]) for one in web.asked if "authorization" in one.headers]
    assert sorted(asked) == [("GET", "list"), ("HEAD", "1.0"), ("HEAD", "2.0"), ("HEAD", "3.0")]
