"""Feeds: Atom and RSS from a real server, one conditional request a look, and bodies made to keep a parser busy."""

from collections.abc import Callable
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import pytest

from tests.places import SAMPLES
from tests.real.web import Asked, Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import FactKind
from watcher.sources.feed_document import MAX_FEED, MAX_NAMESPACES, MAX_TAGS, parse_document

PAGE = "https://forum.example/t"


def table(web: Web, more: str = "") -> str:
    return f'kind = "feed"\nurl = "{web.url}/latest.rss"\n{more}'


def item(title: str, number: int = 1, more: str = "") -> str:
    return (
        f"<item><title>{escape(title)}</title><link>{PAGE}/{number}</link><guid>post-{number}</guid>"
        f"<pubDate>Mon, 01 Jun 2026 22:00:0{number} +0200</pubDate>{more}</item>"
    )


def rss(*items: str, declared: str = "UTF-8") -> bytes:
    head = f'<?xml version="1.0" encoding="{declared}"?><rss version="2.0"><channel><title>Forum</title>'
    return f"{head}{''.join(items)}</channel></rss>".encode()


def atom(inner: str, head: str = '<?xml version="1.0"?>') -> bytes:
    entry = f"<entry><id>urn:1</id>{inner}</entry>"
    return f'{head}<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>{entry}</feed>'.encode()


def serve(web: Web, body: bytes) -> None:
    web.routes["/latest.rss"] = Reply(200, body, {"ETag": '"1"', "Content-Type": "application/rss+xml"})


def test_an_item_is_shown_with_title_page_stamp_and_id(web: Web, build: Build) -> None:
    serve(web, rss(item("JetPack 7.3\n  is   out")))
    poll = build(table(web)).poll(None)
    fact = facts_of(poll)["post-1"]
    assert (fact.kind, fact.name, fact.version, fact.digest) == (FactKind.ITEM, "JetPack 7.3 is out", None, None)
    assert fact.url == f"{PAGE}/1"
    assert fact.published_at == datetime(2026, 6, 1, 20, 0, 1, tzinfo=UTC)
    assert (poll.complete, poll.listed) == (False, 1)


def test_only_titles_that_match_are_facts_but_all_are_counted(web: Web, build: Build) -> None:
    serve(web, rss(item("L4T r36.6 released", 1), item("My fan is loud", 2), item("Jetson Linux 36.6", 3)))
    poll = build(table(web, "match = '(?i)l4t|jetson linux'")).poll(None)
    assert set(facts_of(poll)) == {"post-1", "post-3"}
    assert poll.listed == 3


def test_an_unmoved_feed_costs_one_request_without_a_body(web: Web, build: Build) -> None:
    serve(web, rss(item("a")))
    before = build(table(web)).poll(None)
    web.routes["/latest.rss"] = _not_modified
    source = build(table(web))
    after = source.poll(before.cursor)
    assert (after.facts, after.cursor) == (None, before.cursor)
    assert (source.traffic.requests, source.traffic.not_modified, source.traffic.bytes) == (1, 1, 0)


def _not_modified(asked: Asked) -> Reply:
    return Reply(304 if asked.headers.get("if-none-match") == '"1"' else 500)


def test_another_pattern_reads_the_feed_anew(web: Web, build: Build) -> None:
    serve(web, rss(item("a"), item("b", 2)))
    cursor = build(table(web, 'match = "a"')).poll(None).cursor
    assert set(facts_of(build(table(web, 'match = "b"')).poll(cursor))) == {"post-2"}
    assert "if-none-match" not in web.asked[-1].headers


def test_atom_entries_of_a_commit_feed_are_read(web: Web, build: Build) -> None:
    entry = (
        '<link rel="alternate" href="https://git.example/commit/abc"/><title>\n  l4t: 39.2.1\n</title>'
        "<updated>2026-08-07T10:00:00Z</updated>"
    )
    serve(web, atom(entry))
    fact = facts_of(build(table(web)).poll(None))["urn:1"]
    assert (fact.name, fact.url) == ("l4t: 39.2.1", "https://git.example/commit/abc")
    assert fact.published_at == datetime(2026, 8, 7, 10, tzinfo=UTC)


def test_the_sample_of_the_forum_is_read(web: Web, build: Build) -> None:
    serve(web, (SAMPLES / "discourse-topic.rss").read_bytes())
    fact = facts_of(build(table(web)).poll(None))["forums.developer.nvidia.com-post-372151-1"]
    assert fact.url.startswith("https://forums.developer.nvidia.com/t/")
    assert fact.published_at == datetime(2026, 6, 1, 22, tzinfo=UTC)


def test_an_entry_without_an_id_is_known_by_its_link_and_without_both_by_its_title(web: Web, build: Build) -> None:
    linked = f"<item><title>a</title><link>{PAGE}/7</link></item>"
    serve(web, rss(linked, "<item><title>b</title></item>", "<item><description>nothing</description></item>"))
    poll = build(table(web)).poll(None)
    assert set(facts_of(poll)) == {f"{PAGE}/7", "b"}
    assert poll.listed == 3


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "file:///etc/passwd", "ftp://x.example/", "http://[", "", "https://x.example/\x1b[2J"],
)
def test_a_link_that_is_no_page_gives_the_feeds_own_address_without_its_secrets(
    web: Web, build: Build, link: str
) -> None:
    body = rss("<item><guid isPermaLink='false'>1</guid><title>a</title><link>" + escape(link) + "</link></item>")
    serve(web, body)
    toml = table(web).replace("/latest.rss", "/latest.rss?token=secret").replace("http://", "http://me:pw@")
    assert facts_of(build(toml).poll(None))["1"].url == f"{web.url}/latest.rss"


def test_a_relative_link_is_resolved_at_the_feed(web: Web, build: Build) -> None:
    serve(web, rss("<item><guid isPermaLink='false'>1</guid><title>a</title><link>/t/9</link></item>"))
    assert facts_of(build(table(web)).poll(None))["1"].url == f"{web.url}/t/9"


def test_a_long_title_is_cut_and_control_characters_are_gone(web: Web, build: Build) -> None:
    serve(web, rss(item("\u202eword " * 1000)))
    name = facts_of(build(table(web)).poll(None))["post-1"].name
    assert len(name) == 300
    assert "\u202e" not in name


def test_a_feed_that_is_suddenly_empty_is_trouble_and_one_that_always_was_is_not(web: Web, build: Build) -> None:
    serve(web, rss())
    assert build(table(web)).poll(None).facts == ()
    serve(web, rss(*(item("x", number) for number in range(4))))
    cursor = build(table(web)).poll(None).cursor
    serve(web, rss())
    with pytest.raises(SourceChanged, match="empty"):
        build(table(web)).poll(cursor)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><title>Unicorn!</title><p>down for maintenance</html>",
        b'{"error": "no feed"}',
        b"",
        b"<rss version='2.0'><channel><title>cut of",
        b"\x89PNG\r\n\x1a\n\0\0\0",
    ],
)
def test_what_is_no_feed_is_named(web: Web, build: Build, body: bytes) -> None:
    serve(web, body)
    with pytest.raises(SourceChanged, match="not a feed"):
        build(table(web)).poll(None)


def test_a_damaged_feed_with_items_is_still_read() -> None:
    body = rss(item("Fish & chips", 1)).replace(b"&amp;", b"&") + b"</p>"
    assert [entry.title for entry in parse_document(body)] == ["Fish & chips"]


def test_a_refusal_is_unavailable(web: Web, build: Build) -> None:
    with pytest.raises(SourceUnavailable, match="no such page"):
        build(table(web)).poll(None)


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("UTF-8", "utf-8"),
        ("iso-8859-1", "utf-8"),
        ("UTF-8", "windows-1252"),
        ("iso-8859-1", "iso-8859-1"),
        ("windows-1252", "windows-1252"),
        ("no-such-charset", "windows-1252"),
        ("iso-8859-99", "windows-1252"),
        ("punycode", "windows-1252"),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("utf-8", "utf-16-be"),
        ("UTF-8", "utf-8-sig"),
    ],
)
def test_the_text_is_right_whatever_encoding_is_declared(declared: str, encoding: str) -> None:
    body = rss(item("Größe é")).decode().replace("UTF-8", declared).encode(encoding)
    (entry,) = parse_document(body)
    assert entry.title == "Größe é"


def test_a_declared_old_encoding_is_used() -> None:
    (entry,) = parse_document(rss(item("Привет")).decode().replace("UTF-8", "koi8-r").encode("koi8-r"))
    assert entry.title == "Привет"


BOMB = "".join(f'<!ENTITY {chr(97 + n)} "{f"&{chr(96 + n)};" * 10 if n else "lol"}">' for n in range(12))
FLOOD = f'<!ENTITY a "{"A" * 50_000}">'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    "doctype",
    [
        f"<!DOCTYPE x [{BOMB}]>",
        f"<!-- <x --><!DOCTYPE x [{BOMB}]>",
        f"<!DOCTYPE x [{FLOOD}]>",
        '<!DOCTYPE x [<!ENTITY l SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY % l SYSTEM "http://127.0.0.1:9/"> %l;]>',
        f'<!DOCTYPE x [<!ATTLIST entry a CDATA "{"A" * 50_000}">]>',
    ],
)
def test_entities_of_its_own_are_refused_before_they_are_read(doctype: str, encoding: str) -> None:
    title = f"<title>{'&l;' * 50_000}</title>"
    body = atom(title, f'<?xml version="1.0"?>{doctype}').decode().encode(encoding)
    with pytest.raises(SourceChanged, match="entities of its own"):
        parse_document(body)


def test_entities_are_refused_however_they_are_encoded() -> None:
    hidden = atom("<title>&l;</title>", '<?xml version="1.0" encoding="utf-7"?>')
    hidden = hidden.replace(b"?>", b"?>+ADwAIQ-DOCTYPE x [+ADwAIQ-ENTITY l 'lol'>]>", 1)
    assert all("lol" not in entry.title for entry in parse_document(hidden))


def test_an_old_document_type_without_declarations_and_a_title_about_them_are_fine() -> None:
    doctype = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://my.netscape.example/rss-0.91.dtd">'
    assert parse_document(rss(item("a")).replace(b"<rss ", doctype.encode() + b"<rss "))[0].title == "a"
    about = rss("<item><title><![CDATA[How <!ENTITY works]]></title><guid>1</guid></item>")
    assert parse_document(about)[0].title == "How <!ENTITY works"


def test_more_markup_than_a_feed_needs_is_refused() -> None:
    many = [
        "<a>" * MAX_TAGS,
        "<" * MAX_TAGS,
        "<b xmlns:c='d'/>" * (MAX_NAMESPACES + 1),
        f"<x {' '.join(f'a{n}=b' for n in range(201))}/>",
    ]
    for markup in many:
        with pytest.raises(SourceChanged, match="more markup"):
            parse_document(atom(f"<title>a</title>{markup}"))


DEEP = MAX_TAGS // 2 - 50
HOSTILE: dict[str, Callable[[], bytes]] = {
    "deep": lambda: atom(f"<title>a</title>{'<a>' * DEEP}{'</a>' * DEEP}"),
    "deep and never closed": lambda: atom(f"<title>a</title>{'<a>' * 2 * DEEP}"),
    "deep in xhtml": lambda: atom(
        f'<title>a</title><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">{"<b>" * DEEP}'
    ),
    "a line of 1 MB": lambda: atom(f"<title>a</title><content>{'x ' * 2**19}</content>"),
    "a word of 1 MB in a name": lambda: rss(item("a", more=f"<author>{'x' * 2**20}</author>")),
    "a comment that is one word": lambda: rss(f"<!--{'x' * 2**20}-->", item("a")),
    "a declaration of 1 MB": lambda: atom("<title>a</title>", "<?xml " + 'encoding="' * 100_000 + "?>"),
    "white space of 1 MB before it": lambda: atom("<title>a</title>", "\n" * 2**20),
    "references of 1 MB": lambda: atom(f"<title>a</title><content>{'&a' * 2**19}</content>"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_feeds_are_read_in_the_time_of_a_look(name: str) -> None:
    """Each takes a second or two; given to feedparser as they are, three of them would take minutes to hours."""
    assert parse_document(HOSTILE[name]())[0].title == "a"


def test_what_feedparser_stumbles_over_is_a_changed_feed() -> None:
    with pytest.raises(SourceChanged, match="cannot be read"):
        parse_document(atom(f"<content>&#{'9' * 30};<p></content>"))


def test_a_body_beyond_the_limit_is_not_read(web: Web, build: Build) -> None:
    serve(web, rss(item("a", more=f"<description>{'x' * 30_000_000}</description>")))
    source = build(table(web))
    with pytest.raises(SourceChanged, match="larger"):
        source.poll(None)
    assert source.traffic.bytes == 0
    assert len(rss(item("a", more=f"<description>{'x' * 3_000_000}</description>"))) < MAX_FEED
