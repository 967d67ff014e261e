"""Lists of package indexes and of their projects: of a real devpi, and of the shapes that the watched ones have."""

import json

import pytest

from tests.places import SAMPLES
from tests.real.devpi import Devpi
from tests.real.web import Reply, Web
from tests.sources.conftest import Build, facts_of
from tests.sources.test_simple_index import PAGE, TORCH, table
from watcher.errors import SourceChanged
from watcher.model.facts import Fact, FactKind
from watcher.sources.index_list import MAX_LISTED, Shape, parse_indexes, parse_projects

# --- a real devpi -------------------------------------------------------------------------------------------------


def test_the_root_of_devpi_lists_its_indexes(devpi: Devpi, build: Build) -> None:
    devpi.create_index("seventh/cu126")
    devpi.create_index("seventh/cu128")
    poll = build(table(f"{devpi.url}/")).poll(None)
    facts = facts_of(poll)
    assert {"seventh/cu126", "seventh/cu128"} <= set(facts)
    fact = facts["seventh/cu126"]
    assert fact == Fact(FactKind.INDEX, "seventh/cu126", url=f"{devpi.url}/seventh/cu126/+simple/")
    assert poll.listed == len(facts)
    assert devpi.client.get(fact.url).status_code == 200


def test_a_new_index_is_one_more_fact_and_an_unchanged_root_costs_no_body(devpi: Devpi, build: Build) -> None:
    devpi.create_index("eighth/cu126")
    before = build(table(f"{devpi.url}/")).poll(None)
    source = build(table(f"{devpi.url}/"))
    same = source.poll(before.cursor)
    assert (same.facts, same.listed) == (None, None)
    assert (source.traffic.requests, source.traffic.not_modified, source.traffic.bytes) == (1, 1, 0)
    devpi.create_index("eighth/cu130")
    after = build(table(f"{devpi.url}/")).poll(same.cursor)
    assert set(facts_of(after)) - set(facts_of(before)) == {"eighth/cu130"}


def test_the_list_of_an_index_names_its_projects_alike_in_both_forms(devpi: Devpi, build: Build) -> None:
    devpi.create_index("ninth/cu126")
    url = f"{devpi.url}/ninth/cu126/+simple/"
    empty = build(table(url)).poll(None)
    assert (empty.facts, empty.listed) == ((), 0)
    nothing = devpi.client.get(url, headers={"Accept": "text/html"})
    assert parse_projects(nothing.content, nothing.headers["content-type"], url) == ()
    devpi.upload("ninth/cu126", TORCH)
    devpi.upload("ninth/cu126", "onnxruntime_gpu-1.23.0-cp310-cp310-linux_aarch64.whl")
    after = build(table(url)).poll(empty.cursor)
    assert {name: fact.url for name, fact in facts_of(after).items()} == {
        "torch": devpi.page("ninth/cu126", "torch"),
        "onnxruntime-gpu": devpi.page("ninth/cu126", "onnxruntime-gpu"),
    }
    as_html = devpi.client.get(url, headers={"Accept": "text/html"})
    assert "html" in as_html.headers["content-type"]
    assert parse_projects(as_html.content, as_html.headers["content-type"], url) == after.facts
    assert facts_of(build(table(facts_of(after)["torch"].url)).poll(None))[TORCH].version == "2.8.0"


# --- pages as the watched indexes have them -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shape"),
    [
        ("https://pypi.jetson-ai-lab.io/", Shape.ROOT),
        ("https://pypi.jetson-ai-lab.io", Shape.ROOT),
        ("https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/", Shape.PROJECTS),
        ("https://pypi.jetson-ai-lab.io/jp6/cu126/+simple", Shape.PROJECTS),
        ("https://index.example/simple/", Shape.PROJECTS),
        ("https://index.example/mysimple/simple/", Shape.PROJECTS),
        ("https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/torch/", Shape.PROJECT),
        ("https://index.example/simple/simple/", Shape.PROJECT),
        ("https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/simple/", Shape.PROJECT),
        ("https://download.pytorch.org/whl/cu130/torch/", Shape.PROJECT),
    ],
)
def test_the_address_says_what_a_page_lists(url: str, shape: Shape) -> None:
    assert Shape.of(url) is shape


def test_the_jetson_index_lists_its_projects() -> None:
    url = "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/"
    body = (SAMPLES / "simple-index-jetson-ai-lab-root.json").read_bytes()
    facts = {fact.name: fact for fact in parse_projects(body, "application/json", url)}
    assert set(facts) == {"torch", "torchvision", "torchaudio", "onnxruntime-gpu", "triton", "bitsandbytes"}
    assert facts["torch"].url == PAGE
    assert all(fact.kind is FactKind.INDEX and fact.version is None and fact.digest is None for fact in facts.values())


def test_projects_are_named_as_written_and_other_links_are_none() -> None:
    html = (
        '<a href="/">Home</a><a href="../">..</a><a href="zope-interface/">Zope.Interface</a>'
        '<a href="/simple/frob">frob</a><a href="torch/"><b>torch</b></a><a href="empty/"></a><a href="/help">Help</a>'
        '<a href="https://elsewhere.example/simple/other">other</a><a href="triton/">more</a>'
    )
    url = "https://index.example/simple/"
    assert [(fact.name, fact.url) for fact in parse_projects(html.encode(), "text/html", url)] == [
        ("Zope.Interface", "https://index.example/simple/zope-interface/"),
        ("frob", "https://index.example/simple/frob"),
        ("torch", "https://index.example/simple/torch/"),
    ]
    assert parse_projects(b'<h1>Simple index</h1><a href="/"></a>', "text/html", "https://index.example/") == ()
    body = json.dumps({"projects": [{"name": "Zope.Interface"}]}).encode()
    as_json = parse_projects(body, "application/json", url.rstrip("/"))
    assert as_json[0] == parse_projects(html.encode(), "text/html", url)[0]


def test_a_root_for_people_is_read_by_its_links_to_indexes(web: Web, build: Build) -> None:
    html = (
        '<a href="/jp6/cu126">jp6/cu126</a><a href="jp6/cu128/+simple/">cu128</a><a href="/sbsa/cu130/">again</a>'
        '<a href="/sbsa/cu130/+simple">cu130</a><a href="/jp6/cu126/torch">torch</a><a href="/jp6">user</a>'
        '<a href="/+static/style">x</a><a href="/jp6/+files">x</a><a href="https://elsewhere.example/a/b">x</a>'
    )
    web.routes["/"] = Reply(200, f"<h1>Jetson AI Lab</h1>{html}".encode(), {"Content-Type": "text/html"})
    poll = build(table(web.url)).poll(None)
    assert {name: fact.url for name, fact in facts_of(poll).items()} == {
        name: f"{web.url}/{name}/+simple/" for name in ("jp6/cu126", "jp6/cu128", "sbsa/cu130")
    }
    assert poll.listed == 3
    assert web.asked[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b'<h1>502</h1><a href="https://status.example/a/b">status</a>'),
        ("/", b'{"type": "list:userconfig", "result": []}'),
        ("/", b'{"type": "list:userconfig", "result": {"jp6": {"indexes": ["cu126"]}}}'),
        ("/", b'{"type": "list:userconfig", "result": {"jp6": 7}}'),
        ("/", b'{"type": "apiconfig", "result": {}}'),
        ("/simple/", b'<h1>Sign in</h1><a href="/register">Register</a>'),
        ("/simple/", b'{"files": []}'),
        ("/simple/", b'{"projects": [{"name": ""}]}'),
        ("/simple/", b'{"projects": ["torch"]}'),
        ("/simple/", b'{"projects": [{"name": "\\ud800"}]}'),
        ("/simple/", b'{"projects": [{"name"'),
    ],
)
def test_what_is_no_list_is_said_to_be_none(web: Web, build: Build, path: str, body: bytes) -> None:
    web.routes[path] = Reply(200, body)
    with pytest.raises(SourceChanged):
        build(table(f"{web.url}{path}")).poll(None)


def test_users_of_devpi_may_have_no_index() -> None:
    body = json.dumps({"type": "list:userconfig", "result": {"root": {"indexes": {}}, "somebody": {}}}).encode()
    assert parse_indexes(body, "application/json", "https://index.example/") == ()


def test_a_list_of_the_whole_world_is_refused() -> None:
    body = json.dumps({"projects": [{"name": f"p{number}"} for number in range(MAX_LISTED + 1)]}).encode()
    with pytest.raises(SourceChanged, match="too long"):
        parse_projects(body, "application/json", "https://index.example/simple/")
