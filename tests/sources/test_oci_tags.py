"""Image tags against a real registry: HEAD tells what moved, the index is read once, names alone stay cheap."""

import json
from urllib.parse import unquote

import pytest

from tests.places import SAMPLES
from tests.real.registry import Registry
from tests.real.web import Asked, Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import FactKind
from watcher.sources.registry import parse_challenge, parse_manifest, parse_tags, parse_token
from watcher.sources.repository import Repository

IMAGE = "owner/vllm"


def table(registry: Registry, more: str = "") -> str:
    return f'kind = "oci-tags"\nimage = "{registry.host}/{IMAGE}"\n{more}'


def test_a_tag_is_shown_with_the_digest_for_the_devices_architecture(registry: Registry, build: Build) -> None:
    pushed = registry.push(IMAGE, "0.9.2-r36.4-cu128-24.04", architectures=("amd64", "arm64"))
    fact = facts_of(build(table(registry)).poll(None))["0.9.2-r36.4-cu128-24.04"]
    assert fact.kind is FactKind.IMAGE
    assert fact.digest == pushed.children["arm64"]
    assert fact.version == "0.9.2"
    assert fact.detail["_index_digest"] == pushed.digest
    assert fact.detail["_architectures"] == "amd64 arm64"
    assert fact.url == f"{registry.url}/v2/{IMAGE}/tags/list"


def test_a_login_in_the_registrys_address_is_in_no_fact(registry: Registry, build: Build) -> None:
    registry.push(IMAGE, "0.9.2-r36.4-cu128-24.04")
    poll = build(table(registry, f'registry_url = "http://me:s3cret@{registry.host}"')).poll(None)
    assert facts_of(poll) == facts_of(build(table(registry)).poll(None))
    assert "s3cret" not in str(poll)


def test_an_unchanged_image_costs_names_and_heads_but_no_manifest(registry: Registry, build: Build) -> None:
    for number in range(5):
        registry.push(IMAGE, f"0.{number}.0", str(number))
    first, second = build(table(registry)), build(table(registry))
    before = first.poll(None)
    after = second.poll(before.cursor)
    assert after.facts == before.facts
    assert after.cursor == before.cursor
    assert first.traffic.requests == 1 + 5 + 5
    assert second.traffic.requests == 1 + 5
    assert second.traffic.bytes < 120


def test_a_tag_pushed_again_has_a_new_digest(registry: Registry, build: Build) -> None:
    registry.push(IMAGE, "latest-jetson-orin", "old")
    before = build(table(registry)).poll(None)
    pushed = registry.push(IMAGE, "latest-jetson-orin", "new")
    source = build(table(registry))
    assert facts_of(source.poll(before.cursor))["latest-jetson-orin"].digest == pushed.children["arm64"]
    assert source.traffic.requests == 3


def test_an_index_that_moved_for_another_architecture_keeps_our_digest(registry: Registry, build: Build) -> None:
    registry.push_parts(IMAGE, "latest", {"amd64": "one", "arm64": "same"})
    before = build(table(registry)).poll(None)
    registry.push_parts(IMAGE, "latest", {"amd64": "two", "arm64": "same"})
    after = build(table(registry)).poll(before.cursor)
    old, new = facts_of(before)["latest"], facts_of(after)["latest"]
    assert old.digest == new.digest
    assert old.detail["_index_digest"] != new.detail["_index_digest"]


def test_an_image_without_our_architecture_has_no_digest_and_says_what_it_has(registry: Registry, build: Build) -> None:
    registry.push(IMAGE, "v0.33.0", architectures=("amd64",))
    fact = facts_of(build(table(registry)).poll(None))["v0.33.0"]
    assert fact.digest is None
    assert fact.detail["_architectures"] == "amd64"
    other = facts_of(build(table(registry, 'architecture = "amd64"')).poll(None))["v0.33.0"]
    assert other.digest is not None


def test_a_single_manifest_is_judged_by_its_configuration_and_read_once(registry: Registry, build: Build) -> None:
    mine = registry.push_single(IMAGE, "r36.4.0", "mine", "arm64")
    registry.push_single(IMAGE, "r36.4.0-amd64", "other", "amd64")
    first, second = build(table(registry)), build(table(registry))
    poll = first.poll(None)
    facts = facts_of(poll)
    assert facts["r36.4.0"].digest == mine.digest
    assert facts["r36.4.0-amd64"].digest is None
    assert facts["r36.4.0-amd64"].detail["_architectures"] == "amd64"
    assert first.traffic.requests == 1 + 2 + 2 * 2
    second.poll(poll.cursor)
    assert second.traffic.requests == 1 + 2


def test_names_that_the_filters_hold_back_are_shown_without_a_digest(registry: Registry, build: Build) -> None:
    registry.push(IMAGE, "0.9.2-r36.4")
    registry.push(IMAGE, "0.9.2-r38.2")
    registry.push(IMAGE, "0.9.2-builder-r36.4")
    source = build(table(registry, 'include = "r36"\nexclude = ["builder"]'))
    poll = source.poll(None)
    facts = facts_of(poll)
    assert poll.listed == 3
    assert {name: fact.digest is not None for name, fact in facts.items()} == {
        "0.9.2-r36.4": True,
        "0.9.2-r38.2": False,
        "0.9.2-builder-r36.4": False,
    }
    assert source.traffic.requests == 3


def test_tags_that_share_content_are_read_once(registry: Registry, build: Build) -> None:
    for tag in ("latest", "1.0", "1.0.0"):
        registry.push(IMAGE, tag, "the same")
    source = build(table(registry))
    assert len({fact.digest for fact in facts_of(source.poll(None)).values()}) == 1
    assert source.traffic.requests == 1 + 3 + 1


def test_a_deleted_tag_is_absent(registry: Registry, build: Build) -> None:
    registry.push(IMAGE, "1.0", "a")
    registry.push(IMAGE, "2.0", "b")
    before = build(table(registry)).poll(None)
    registry.delete_tag(IMAGE, "1.0")
    assert set(facts_of(build(table(registry)).poll(before.cursor))) == {"2.0"}


def test_a_tag_that_vanished_between_list_and_head_is_absent(web: Web, build: Build) -> None:
    web.routes[f"/v2/{IMAGE}/tags/list"] = Reply(200, b'{"name": "x", "tags": ["gone"]}')
    poll = build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None)
    assert poll.facts == ()


def test_a_repository_that_is_not_there_is_unavailable(registry: Registry, build: Build) -> None:
    with pytest.raises(SourceUnavailable, match="no such"):
        build(table(registry)).poll(None)


def test_an_empty_list_where_there_was_a_long_one_is_trouble(registry: Registry, web: Web, build: Build) -> None:
    for number in range(3):
        registry.push(IMAGE, f"1.{number}", str(number))
    toml = f'kind = "oci-tags"\nimage = "127.0.0.1:1/{IMAGE}"\nregistry_url = "{web.url}"'
    web.fallback = lambda asked: _proxied(registry, asked)
    cursor = build(toml).poll(None).cursor
    web.routes[f"/v2/{IMAGE}/tags/list"] = Reply(200, b'{"name": "x", "tags": null}')
    with pytest.raises(SourceChanged, match="empty"):
        build(toml).poll(cursor)
    assert build(toml).poll(None).facts == ()


def _proxied(registry: Registry, asked: Asked) -> Reply:
    import httpx

    accept = {"Accept": asked.headers.get("accept", "*/*")}
    answer = httpx.request(asked.method, f"{registry.url}{asked.path}", params=dict(asked.query), headers=accept)
    kept = ("docker-content-digest", "content-type", "link", "content-length")
    return Reply(
        answer.status_code, answer.content, {key: answer.headers[key] for key in kept if key in answer.headers}
    )


def behind_tokens(web: Web, registry: Registry, token_url: str) -> list[str]:
    """Put a token wall before the registry, pages of two tags, and return the tokens that were given out."""
    given: list[str] = []

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") not in [f"Bearer {token}" for token in given[-1:]]:
            scope = f"repository:{IMAGE}:pull"
            challenge = f'Bearer realm="{token_url}/token",service="there",scope="{scope}"'
            return Reply(401, b"{}", {"WWW-Authenticate": challenge})
        if asked.path.endswith("/tags/list"):
            return _two_at_a_time(registry, asked)
        return _proxied(registry, asked)

    web.fallback = answer
    return given


def _two_at_a_time(registry: Registry, asked: Asked) -> Reply:
    tags = json.loads(_proxied(registry, Asked("GET", asked.path, {}, {})).body)["tags"]
    begin = tags.index(asked.query["last"]) + 1 if "last" in asked.query else 0
    page = tags[begin : begin + 2]
    more = {"Link": f'<{asked.path}?last={page[-1]}&n=2>; rel="next"'} if begin + 2 < len(tags) else {}
    return Reply(200, json.dumps({"name": IMAGE, "tags": page}).encode(), more)


def test_one_token_serves_a_whole_look_and_pages_are_followed(
    registry: Registry, web: Web, other_web: Web, build: Build
) -> None:
    for number in range(5):
        registry.push(IMAGE, f"1.{number}", str(number))
    given = behind_tokens(web, registry, other_web.url)

    def token(asked: Asked) -> Reply:
        assert asked.query == {"service": "there", "scope": f"repository:{IMAGE}:pull"}
        given.append(f"t{len(given)}")
        return Reply(200, json.dumps({"token": given[-1], "expires_in": 300}).encode())

    other_web.routes["/token"] = token
    source = build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"')
    facts = facts_of(source.poll(None))
    assert len(facts) == 5
    assert all(fact.digest for fact in facts.values())
    assert given == ["t0"]
    assert source.traffic.requests == 1 + 1 + 3 + 5 + 5


def test_an_expired_token_is_renewed_once_for_all(registry: Registry, web: Web, build: Build) -> None:
    registry.push(IMAGE, "1.0")
    given = behind_tokens(web, registry, web.url)

    def token(asked: Asked) -> Reply:
        given.append(f"t{len(given)}")
        return Reply(200, json.dumps({"access_token": given[-1]}).encode())

    web.routes["/token"] = token
    source = build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"')
    source.poll(None)
    given.append("somebody else's")
    assert facts_of(source.poll(None))
    assert len(given) == 3


def test_requests_that_meet_an_expired_token_together_share_the_new_one(
    registry: Registry, web: Web, other_web: Web, build: Build
) -> None:
    for number in range(8):
        registry.push(IMAGE, f"1.{number}", str(number))
    given: list[str] = []
    challenge = {"WWW-Authenticate": f'Bearer realm="{other_web.url}/token"'}

    def wall(asked: Asked) -> Reply:
        too_old = asked.path.endswith("/tags/list") is False and asked.headers.get("authorization") == "Bearer t0"
        if too_old or "authorization" not in asked.headers:
            return Reply(401, b"", challenge, delay=0.05)
        return _proxied(registry, asked)

    def token(asked: Asked) -> Reply:
        given.append(f"t{len(given)}")
        return Reply(200, json.dumps({"token": given[-1]}).encode())

    web.fallback = wall
    other_web.routes["/token"] = token
    facts = facts_of(build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None))
    assert all(fact.digest for fact in facts.values())
    assert given == ["t0", "t1"]


def test_a_registry_that_wants_a_login_says_so(web: Web, build: Build) -> None:
    web.fallback = lambda _: Reply(401, b"", {"WWW-Authenticate": 'Basic realm="private"'})
    with pytest.raises(SourceUnavailable, match="without a login"):
        build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None)


def test_a_token_that_never_helps_does_not_loop(web: Web, build: Build) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{web.url}/token"'}
    web.fallback = lambda _: Reply(401, b"", challenge)
    web.routes["/token"] = Reply(200, b'{"token": "useless"}')
    with pytest.raises(SourceUnavailable, match="without a login"):
        build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None)
    assert len(web.asked) == 3


def test_a_pull_limit_is_a_time_to_wait(web: Web, build: Build) -> None:
    web.routes[f"/v2/{IMAGE}/tags/list"] = Reply(200, b'{"tags": ["1.0"]}')
    web.fallback = lambda _: Reply(429, (SAMPLES / "oci-toomanyrequests.json").read_bytes(), {"Retry-After": "90"})
    with pytest.raises(SourceUnavailable, match="too often") as caught:
        build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None)
    assert caught.value.retry_after is not None


def test_content_that_is_not_what_its_digest_says_is_refused(web: Web, build: Build) -> None:
    digest = "sha256:" + "a" * 64
    web.routes[f"/v2/{IMAGE}/tags/list"] = Reply(200, b'{"tags": ["1.0"]}')
    web.routes[f"/v2/{IMAGE}/manifests/1.0"] = Reply(200, b"", {"Docker-Content-Digest": digest})
    web.routes[f"/v2/{IMAGE}/manifests/{digest}"] = Reply(200, b'{"manifests": []}')
    with pytest.raises(SourceChanged, match="other content"):
        build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None)


def test_pages_of_tags_do_not_lead_to_another_host(web: Web, other_web: Web, build: Build) -> None:
    link = {"Link": f'<{other_web.url}/v2/x/tags/list>; rel="next"'}
    web.routes[f"/v2/{IMAGE}/tags/list"] = Reply(200, b'{"tags": ["1.0"]}', link)
    with pytest.raises(SourceUnavailable, match="another host"):
        build(f'kind = "oci-tags"\nimage = "{web.host}/{IMAGE}"').poll(None)
    assert other_web.asked == []


@pytest.mark.parametrize(
    ("image", "base", "path"),
    [
        ("dustynv/vllm", "https://registry-1.docker.io", "dustynv/vllm"),
        ("docker.io/dustynv/vllm", "https://registry-1.docker.io", "dustynv/vllm"),
        ("docker.io/nginx", "https://registry-1.docker.io", "library/nginx"),
        ("ghcr.io/nvidia-ai-iot/vllm", "https://ghcr.io", "nvidia-ai-iot/vllm"),
        ("localhost:5000/a", "http://localhost:5000", "a"),
        ("127.0.0.1:5000/a/b", "http://127.0.0.1:5000", "a/b"),
        ("registry.example:5000/a/b", "https://registry.example:5000", "a/b"),
    ],
)
def test_a_repository_is_found_where_docker_would_find_it(image: str, base: str, path: str) -> None:
    repository = Repository.of(image)
    assert (repository.base, repository.path) == (base, path)


def test_pages_for_people_are_where_the_registries_have_them() -> None:
    assert Repository.of("dustynv/vllm").page("r36.4") == "https://hub.docker.com/r/dustynv/vllm/tags?name=r36.4"
    page = Repository.of("ghcr.io/nvidia-ai-iot/vllm").page("x")
    assert unquote(page) == "https://github.com/orgs/nvidia-ai-iot/packages/container/package/vllm"


def test_the_samples_are_read() -> None:
    assert len(parse_tags((SAMPLES / "oci-tags-list-dustynv-vllm.json").read_bytes())) == 11
    assert "latest-jetson-orin" in parse_tags((SAMPLES / "oci-tags-list-ghcr-nvidia-ai-iot-vllm.json").read_bytes())
    assert parse_token((SAMPLES / "oci-token-response.json").read_bytes()) == "SAMPLE-NOT-A-TOKEN"
    lines = (SAMPLES / "oci-unauthorized.http").read_text().splitlines()
    header = next(line for line in lines if line.startswith("www-authenticate"))
    assert parse_challenge(header)["scope"] == "repository:dustynv/vllm:pull"


def test_of_several_variants_the_one_docker_would_take_is_taken() -> None:
    entries = [
        {"digest": "sha256:" + str(number) * 64, "platform": {"os": "linux", "architecture": "arm64", **variant}}
        for number, variant in enumerate([{"variant": "v9"}, {"variant": "v8"}])
    ]
    manifest = parse_manifest(json.dumps({"manifests": entries}).encode())
    assert manifest.child_for("arm64") == "sha256:" + "1" * 64
    assert manifest.child_for("riscv64") is None
