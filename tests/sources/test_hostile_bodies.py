"""Whatever a host sends, a look ends in its source's own error or in what is right, within its memory and its time.

Each look runs in a process of its own that is killed where it takes more. A further kind of source is one row of ROWS.
"""

import gzip
import hashlib
import json
import lzma
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from io import BufferedIOBase

import pytest

from tests.real.web import Asked, Reply, Web
from tests.sources.bounded_looks import LookAt, bounded_looks

JUST_BELOW = 16 * 2**20 - 64 * 2**10
"""As much as the client takes."""
RELEASE = b'[{"tag_name": "v1", "url": "/x"}]'
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="/token"'}


@dataclass(frozen=True)
class Row:
    """A page that a kind of source reads: what begins with `path` becomes hostile, `others` are as they should be.

    `names` is what a look may still show, where it can do without the page.
    """

    toml: str
    path: str
    media_type: str = "application/json"
    others: dict[str, Reply] = field(default_factory=dict)
    names: tuple[str, ...] = ()


GITHUB = 'kind = "github-releases"\nrepo = "o/r"\napi_url = "{url}"'
TAGS = 'kind = "oci-tags"\nimage = "{host}/o/i"'
APT = 'kind = "apt"\nurls = ["{url}"]\ndists = ["r36.4"]\npackages = ["nvidia-l4t-core"]'
INDEX = 'kind = "simple-index"\nurl = "{url}/torch/"'
HUB = 'kind = "docker-hub"\nrepository = "o/i"\nhub_url = "{url}"\nregistry_url = "{url}"'
THREADS = 'kind = "github-threads"\nthreads = ["o/r#1", "o/r#2", "o/r#3", "o/r#4"]\napi_url = "{url}"'
ROWS = {
    "simple-index html": Row(INDEX, "/torch/", "text/html"),
    "simple-index json": Row(INDEX, "/torch/", "application/vnd.pypi.simple.v1+json"),
    "simple-index projects": Row('kind = "simple-index"\nurl = "{url}/simple/"', "/simple/", "text/html"),
    "simple-index root": Row('kind = "simple-index"\nurl = "{url}/"', "/"),
    "wheel-listing": Row('kind = "wheel-listing"\nurl = "{url}/x/"\nproject = "a"', "/x/", "text/html"),
    "feed": Row(
        'kind = "feed"\nurl = "{url}/x.atom"', "/x.atom", "application/atom+xml", names=("tag:g:Repository/1/v1",)
    ),
    "github-threads": Row(THREADS, "/repos/o/r/issues/"),
    "docker-hub": Row(HUB, "/v2/namespaces/o/repositories/i/tags"),
    "github-releases api": Row(GITHUB, "/repos/o/r/releases"),
    "github-releases feed": Row(
        GITHUB, "/o/r/releases.atom", "application/atom+xml", {"/repos/o/r/releases": Reply(200, RELEASE)}, ("v1",)
    ),
    "oci-tags list": Row(TAGS, "/v2/o/i/tags/list"),
    "oci-tags manifest": Row(TAGS, "/v2/o/i/manifests/", others={"/v2/o/i/tags/list": Reply(200, b'{"tags": ["1"]}')}),
    "oci-tags token": Row(TAGS, "/token", others={"/v2/o/i/tags/list": Reply(401, b"", CHALLENGE)}),
    "apt Release": Row(APT, "/dists/r36.4/Release", "text/plain"),
}


@pytest.fixture(scope="module")
def look_at() -> Iterator[LookAt]:
    with bounded_looks() as running:
        yield running


def assert_harmless(web: Web, look_at: LookAt, row: Row, hostile: Callable[[Asked], Reply], more: str = "") -> None:
    """Hold that a look at a source whose page is hostile ends as it should."""
    web.routes |= row.others
    web.fallback = lambda asked: hostile(asked) if asked.path.startswith(row.path) else Reply(404, b"nothing")
    looked = look_at(row.toml.format(url=web.url, host=web.host) + "\n" + more)
    if looked.error is None:
        assert looked.names == row.names
    else:
        assert looked.error in ("SourceChanged", "SourceUnavailable"), looked


# --- bodies -------------------------------------------------------------------------------------------------------


def filled(begin: bytes, piece: bytes, end: bytes = b"", size: int = JUST_BELOW) -> bytes:
    """Return `begin`, many times `piece`, and `end`."""
    return begin + piece * ((size - len(begin) - len(end)) // len(piece)) + end


def a_tag(text: str) -> bytes:
    """Return a text where each kind of JSON has its names."""
    return f'[{{"tag_name": {text}, "url": "/x"}}]'.encode()


DEEP = b"[" * 900 + b"]" * 900
HALF = r'"\ud800"'
FEED = b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>tag:g:Repository/1/v1</id>'
FEED_END = b"</entry></feed>"
FEED_SIZE = 4 * 2**20 - 64 * 2**10

BODIES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a page for people": lambda: b"<html><title>Sign in</title></html>",
    "nested lists": lambda: filled(b"", b"["),
    "nested objects": lambda: filled(b"", b'{"a":'),
    "closed nested lists": lambda: b"[" * 5_000_000 + b"]" * 5_000_000,
    "empty lists": lambda: filled(b'{"files":[', b"[],", b"[]]}"),
    "empty lists of releases": lambda: filled(b"[", b"[],", b"[]]"),
    "empty objects": lambda: filled(b'{"tags":[', b'{"":0},', b"0]}"),
    "a million keys": lambda: b"{" + b",".join(b'"%d":0' % number for number in range(1_000_000)) + b"}",
    "a wide text": lambda: filled('["\U0001f600'.encode(), b"a", b'"]'),
    "one line": lambda: filled(b"", b"a"),
    "lines of a megabyte": lambda: filled(b"", b"a" * 2**20 + b"\n"),
    "zeros": lambda: filled(b"", b"\0"),
    "empty lines": lambda: filled(b"", b"\n"),
    "less-than signs": lambda: filled(b"", b"<"),
    "tags without end": lambda: filled(b"", b"<a "),
    "comments without end": lambda: filled(b"", b"<!--"),
    "quotes without end": lambda: filled(b"", b"<a x='"),
    "a million unclosed tags": lambda: filled(b"<h1>Links for x</h1>", b"<p><a>"),
    "slow tags": lambda: filled(b"", b"<a " * 60_000 + b">"),
    "attributes of a megabyte": lambda: filled(b"<h1>Links for x</h1>", b'<a href="' + b"a" * 2**20 + b'.whl">x</a>'),
    "a million attributes": lambda: filled(b"<h1>Links for x</h1><a ", b"a=b ", b">"),
    "a million files": lambda: filled(b"<h1>Links for x</h1>", b"<a href=a-1-py3-none-linux_aarch64.whl>"),
    "markup in a script": lambda: filled(b"<script>", b"</"),
    "references": lambda: filled(b"", b"&#"),
    "UTF-16": lambda: b"\xff\xfe" + '{"files": []}'.encode("utf-16-le"),
    "UTF-7": lambda: b'<?xml version="1.0" encoding="utf-7"?>+ADw-feed+AD4-',
    "a charset that nobody knows": lambda: b'<?xml version="1.0" encoding="klingon"?>' + FEED,
    "a slow charset": lambda: filled(b'<?xml version="1.0" encoding="punycode"?>', b"ab9", size=FEED_SIZE),
    "no UTF-8": lambda: b'["\xff\xfe\xfd"]' * 1_000,
    "half a character": lambda: b'{"tags": ["\\ud800"], "token": "\\ud800", "manifests": ["\\ud800"]}',
    "half a character in a wheel": lambda: (
        b'{"files": [{"filename": "a\\ud800-1-py3-none-linux_aarch64.whl", "url": "x"}]}'
    ),
    "half a character in a tag": lambda: a_tag(HALF),
    "a name of a megabyte": lambda: a_tag(f'"{"1." * 500_000}1"'),
    "a wheel of a megabyte": lambda: json.dumps(
        {"files": [{"filename": f"a-{'1.' * 500_000}1-py3-none-linux_aarch64.whl", "url": "x"}]}
    ).encode(),
    "digits": lambda: b'{"files": ' + b"9" * 100_000 + b"}",
    "no number": lambda: b'{"files": NaN, "tags": Infinity, "token": -Infinity}',
    "keys that come twice": lambda: b'{"files": [], "files": 1, "tags": [], "tags": 1, "token": "a", "token": 1}',
    "just deep enough": lambda: b'{"files": %s, "tags": %s, "token": %s, "manifests": %s}' % (DEEP, DEEP, DEEP, DEEP),
    "a deep release": lambda: b'[{"tag_name": %s}]' % DEEP,
    "laughs": lambda: b"<!DOCTYPE f [<!ENTITY a0 'ha'>%s]>%s<title>&a30;</title></entry></feed>"
    % (b"".join(b"<!ENTITY a%d '&a%d;&a%d;'>" % (n + 1, n, n) for n in range(30)), FEED),
    "quadratic laughs": lambda: filled(
        b"<!DOCTYPE f [<!ENTITY a '%s'>]>%s<title>" % (b"a" * 2**20, FEED), b"&a;", b"</title>" + FEED_END, FEED_SIZE
    ),
    "entries by the thousand": lambda: filled(FEED + b"</entry>", b"<entry/>", b"</feed>", FEED_SIZE),
    "attributes by the thousand": lambda: (
        FEED + b"<a %s/></entry></feed>" % b" ".join(b'a%d=""' % n for n in range(50_000))
    ),
    "markup in a feed": lambda: filled(FEED + b"<summary>", b"&lt;!--", b"</summary>" + FEED_END, FEED_SIZE),
    "a stamp without end": lambda: filled(FEED + b"<updated>", b"2026-", b"</updated>" + FEED_END, FEED_SIZE),
    "fields": lambda: filled(b"SHA256:\n", b" " + b"a" * 64 + b" 1 x\n", size=FEED_SIZE),
    "a field of many lines": lambda: filled(b"Package: nvidia-l4t-core\nVersion: 1\nA:\n", b" a\n", size=FEED_SIZE),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body(web: Web, look_at: LookAt, name: str) -> None:
    body = BODIES[name]()
    for row in ROWS.values():
        reply = Reply(200, body, {"Content-Type": row.media_type})
        assert_harmless(web, look_at, row, lambda _, reply=reply: reply)  # type: ignore[misc]


def endless(begin: bytes, piece: bytes, size: int, is_chunked: bool) -> Callable[[BufferedIOBase], None]:
    """Return a writer of `size` bytes, which are never in memory at once."""
    block = piece * (2**16 // len(piece))
    length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % size

    def write(out: BufferedIOBase) -> None:
        out.write(b"HTTP/1.1 200 OK\r\n%s\r\n%s\r\n\r\n" % (begin, length))
        for _ in range(size // len(block)):
            out.write(b"%x\r\n%s\r\n" % (len(block), block) if is_chunked else block)

    return write


@cache
def bomb() -> bytes:
    """Return 4 GB of zeros as four megabytes of gzip: one block of deflate, again and again."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * 4096 + packer.flush() + struct.pack("<II", 0, 0)


@pytest.mark.parametrize("name", ROWS)
def test_a_hundred_megabytes_of_nested_json_and_a_bomb(web: Web, look_at: LookAt, name: str) -> None:
    row = ROWS[name]
    for piece in (b"[", b'{"a":'):
        for is_chunked in (True, False):
            reply = Reply(raw=endless(b"Content-Type: application/json", piece, 100 * 2**20, is_chunked))
            assert_harmless(web, look_at, row, lambda _, reply=reply: reply)  # type: ignore[misc]
    packed = Reply(200, bomb(), {"Content-Encoding": "gzip", "Content-Type": row.media_type})
    assert_harmless(web, look_at, row, lambda _: packed)


def packages_of(suffix: str, packed: bytes) -> dict[str, Reply]:
    """Return an apt repository with one form of Packages, whose checksum is right."""
    path = f"main/binary-arm64/Packages{suffix}"
    listed = f"SHA256:\n {hashlib.sha256(packed).hexdigest()} {len(packed)} {path}\n"
    return {"/dists/r36.4/Release": Reply(200, listed.encode()), f"/dists/r36.4/{path}": Reply(200, packed)}


STANZA = b"Package: nvidia-l4t-core\nVersion: 1\n\n"
PACKAGES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a gzip bomb": (".gz", bomb),
    "an xz bomb": (".xz", lambda: lzma.compress(bytes(16 * 2**20), preset=0) * 256),
    "an xz bomb with a large dictionary": (".xz", lambda: lzma.compress(bytes(80 * 2**20), filters=[
        {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * 2**20}])),
    "a million members": (".gz", lambda: gzip.compress(b"") * 700_000),
    "a packed mountain of stanzas": (".gz", lambda: gzip.compress(STANZA * 1_500_000, 1)),
    "a packed mountain of others": (".gz", lambda: gzip.compress(b"Package: a\n\n" * 5_000_000, 1)),
    "a packed mountain of lines": (".gz", lambda: gzip.compress(b"\n" * 60_000_000, 1)),
    "names without stanzas": (".gz", lambda: gzip.compress(b"Package: a\n" * 5_000_000, 1)),
    "a value of megabytes": ("", lambda: filled(b"Package: nvidia-l4t-core\nVersion: ", b"1.")),
    "spaces": ("", lambda: filled(b"Package:", b" ")),
    "a field of many lines": ("", lambda: filled(b"Package: nvidia-l4t-core\nVersion: 1\nA:\n", b" a\n", b"\n")),
    "many fields": ("", lambda: b"Package: nvidia-l4t-core\n" + b"".join(b"a%d: 1\n" % n for n in range(1_000_000))),
    "zeros": ("", lambda: filled(b"", b"\0")),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKAGES)
def test_a_hostile_packages_file_whose_checksum_fits(web: Web, look_at: LookAt, name: str) -> None:
    suffix, made = PACKAGES[name]
    web.routes |= packages_of(suffix, made())
    looked = look_at(APT.format(url=web.url))
    assert looked.error == "SourceChanged" or (looked.error, looked.names) in [
        (None, ()), (None, ("nvidia-l4t-core r36.4",))
    ], looked  # fmt: skip


# --- answers ------------------------------------------------------------------------------------------------------


EMPTY = b"Content-Length: 0"


def said(text: bytes) -> Reply:
    def write(out: BufferedIOBase) -> None:
        out.write(text)

    return Reply(raw=write)


def answer(headers: bytes, body: bytes = b"", status: bytes = b"200 OK") -> Reply:
    return said(b"HTTP/1.1 %s\r\n%s\r\n\r\n%s" % (status, headers, body))


def dripping(begin: bytes) -> Reply:
    def drip(out: BufferedIOBase) -> None:
        out.write(begin)
        for _ in range(300):
            out.write(b" ")
            out.flush()
            time.sleep(0.05)

    return Reply(raw=drip)


ANSWERS: dict[str, Reply] = {
    "a header of a megabyte": answer(b"X: " + b"a" * 2**20 + b"\r\n" + EMPTY),
    "a long link": answer(b"Link: " + b"<" * 60_000 + b"\r\n" + EMPTY),
    "a link that nearly leads on": answer(b"Link: " + b"<a>;rel" * 2_000 + b"\r\n" + EMPTY),
    "a long challenge": answer(b"WWW-Authenticate: Bearer " + b"a" * 60_000 + b"\r\n" + EMPTY, status=b"401 No"),
    "a challenge of letters": answer(b"WWW-Authenticate: Bearer " + b"a" * 15_000 + b"\r\n" + EMPTY, status=b"401 No"),
    "a long date": answer(b"Retry-After: " + b"Mon, 1 (" * 1_900 + b"\r\n" + EMPTY, status=b"503 No"),
    "ten thousand headers": answer(b"".join(b"X%d: 1\r\n" % n for n in range(10_000)) + b"Content-Length: 0"),
    "a hundred thousand headers": answer(b"".join(b"X%d: 1\r\n" % n for n in range(100_000)) + b"Content-Length: 0"),
    "too long a length": answer(b"Content-Length: 1000", b"{}"),
    "too short a length": answer(b"Content-Length: 1", b"[[[[[[[[[[["),
    "an absurd length": answer(b"Content-Length: " + b"9" * 30, b"{}"),
    "a negative length": answer(b"Content-Length: -1", b"{}"),
    "two lengths": answer(b"Content-Length: 1\r\nContent-Length: 2", b"{}"),
    "a chunk that is none": answer(b"Transfer-Encoding: chunked", b"zz\r\n{}\r\n"),
    "no HTTP": said(b"SSH-2.0-OpenSSH_9.2\r\n" * 1_000),
    "no end of no HTTP": said(b"a" * 2**20),
    "another status": said(b"HTTP/1.1 999999 ?\r\n\r\n"),
    "nothing at all": said(b""),
    "interim answers": said(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
    "an encoding of its own": answer(b"Content-Encoding: br\r\nContent-Length: 2", b"{}"),
    "two encodings": answer(b"Content-Encoding: gzip, gzip\r\nContent-Length: 2", b"{}"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_a_hostile_answer(web: Web, look_at: LookAt, name: str) -> None:
    for kind in ("simple-index json", "github-releases api", "oci-tags list"):  # one client is behind all kinds
        assert_harmless(web, look_at, ROWS[kind], lambda _: ANSWERS[name])


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
def test_a_drip_ends_with_the_time_of_the_look(web: Web, look_at: LookAt, begin: bytes) -> None:
    for row in ROWS.values():
        assert_harmless(web, look_at, row, lambda _: dripping(begin), 'timeout = "300ms"')


@pytest.mark.parametrize("name", ROWS)
def test_redirects_do_not_lead_away(web: Web, other_web: Web, look_at: LookAt, name: str) -> None:
    other_web.fallback = lambda _: Reply(200, b'{"tags": [], "files": []}')
    row = ROWS[name]
    for target in (
        "file:///etc/passwd",
        f"{other_web.url}/x",
        "ftp://127.0.0.1/x",
        "//[",
        row.path,
        "http://" + "a" * 9_000,
    ):
        assert_harmless(web, look_at, row, lambda asked, to=target: Reply(302, b"", {"Location": to}))  # type: ignore[misc]
    if "token" not in name:  # whom a registry names for tokens is asked, wherever that is
        assert other_web.asked == []


LINKED = ("oci-tags list", "github-releases api", "docker-hub")
"""What is read page by page."""


def linked(name: str, link: str, size: int = 0) -> Reply:
    """Return a page that leads to the next one."""
    body = {"oci-tags list": b'{"tags": []}', "github-releases api": RELEASE}.get(name)
    if body is None:
        return Reply(200, json.dumps({"count": 1, "next": link, "results": []}).encode().ljust(size))
    return Reply(200, body.ljust(size), {"Link": f'<{link}>; rel="next"'})


@pytest.mark.parametrize("name", LINKED)
def test_pages_that_lead_back_to_themselves_end(web: Web, look_at: LookAt, name: str) -> None:
    row = ROWS[name]

    def page(asked: Asked) -> Reply:
        other = {"1": "2", "2": "1"}[asked.query.get("page", "1")]
        return linked(name, f"{web.url}{row.path}?page={other}")

    assert_harmless(web, look_at, row, page)
    assert len(web.asked) <= 5, "three pages, and GitHub's feed"


@pytest.mark.parametrize("name", LINKED)
def test_pages_without_end_end(web: Web, look_at: LookAt, name: str) -> None:
    row = ROWS[name]

    def page(asked: Asked) -> Reply:
        return linked(name, f"{web.url}{row.path}?page={int(asked.query.get('page', '1')) + 1}", 2**20)

    assert_harmless(web, look_at, row, page)
    assert len(web.asked) <= 210


@pytest.mark.parametrize("name", LINKED)
def test_next_pages_do_not_lead_away(web: Web, other_web: Web, look_at: LookAt, name: str) -> None:
    assert_harmless(web, look_at, ROWS[name], lambda _: linked(name, f"{other_web.url}/x"))
    assert other_web.asked == []


@pytest.mark.parametrize(
    "begin",
    ['<!DOCTYPE f SYSTEM "{away}/dtd">', '<!DOCTYPE f [<!ENTITY a SYSTEM "{away}/a">]>',
     '<!DOCTYPE f [<!ENTITY % a SYSTEM "{away}/a"> %a;]>', '<?xml-stylesheet href="{away}/x"?>'],
)  # fmt: skip
def test_a_feed_makes_nobody_ask_elsewhere(web: Web, other_web: Web, look_at: LookAt, begin: str) -> None:
    other_web.fallback = lambda _: Reply(200, b"<!ENTITY b 'c'>")
    feed = begin.format(away=other_web.url).encode() + FEED + b"<title>&a;</title></entry></feed>"
    assert_harmless(web, look_at, ROWS["github-releases feed"], lambda _: Reply(200, feed))
    assert other_web.asked == []
