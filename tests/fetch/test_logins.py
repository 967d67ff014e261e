"""A login in an address goes to its host, to nothing else, and is nowhere to be read."""

import pytest

from tests.real.web import Reply, Web
from watcher.errors import SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.fetch.hosts import resolve
from watcher.fetch.logins import login_in, without_login, without_logins

ME = "Basic bWU6czNj"
"""`me:s3c`."""


@pytest.mark.parametrize(
    ("url", "login", "bare"),
    [
        ("https://me:s3c@a.example/x?q=1@2", ME, "https://a.example/x?q=1@2"),
        ("HTTP://me:s3%63@a.example:81", ME, "HTTP://a.example:81"),
        ("https://token@a.example/", "Basic dG9rZW46", "https://a.example/"),
        ("https://me:p@ss@a.example/", "Basic bWU6cEBzcw==", "https://a.example/"),
        ("https://a.example/@me:s3c/", None, "https://a.example/@me:s3c/"),
        ("https://a.example?mail=me@x", None, "https://a.example?mail=me@x"),
        ("ssh://me@jetson", None, "ssh://me@jetson"),
        ("git@a.example:x", None, "git@a.example:x"),
    ],
)
def test_the_login_of_an_address(url: str, login: str | None, bare: str) -> None:
    assert (login_in(url), without_login(url)) == (login, bare)


def test_tables_and_lists_are_shown_without_it() -> None:
    table = {"urls": ["https://me:s3c@a.example/"], "timeout": 3, "every": None}
    assert without_logins(table, "***@") == {"urls": ["https://***@a.example/"], "timeout": 3, "every": None}


def test_a_link_never_holds_one() -> None:
    assert resolve("https://me:s3c@a.example/simple/", "x.whl") == "https://a.example/simple/x.whl"
    assert resolve("https://a.example/", "https://you:too@b.example/y") == "https://b.example/y"


def with_login(web: Web, path: str) -> str:
    return f"http://me:s3c@{web.host}{path}"


def test_it_is_sent_to_its_host_from_then_on_and_is_in_no_address(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(302, headers={"Location": "/b"})
    web.routes["/b"] = web.routes["/c"] = Reply(200)
    assert fetcher.get(with_login(web, "/a")).url == f"{web.url}/b"
    assert fetcher.head(f"{web.url}/c").url == f"{web.url}/c"
    assert [asked.headers.get("authorization") for asked in web.asked] == [ME, ME, ME]


def test_it_does_not_follow_to_another_host_nor_replace_a_login_of_ours(
    web: Web, other_web: Web, fetcher: Fetcher
) -> None:
    web.routes["/a"] = Reply(302, headers={"Location": f"{other_web.url}/b"})
    other_web.routes["/b"] = Reply(200)
    fetcher.get(with_login(web, "/a"), elsewhere=True)
    assert "authorization" not in other_web.asked[0].headers
    fetcher.get(with_login(other_web, "/b"), headers={"Authorization": "Bearer t"})
    assert other_web.asked[1].headers["authorization"] == "Bearer t"


def test_a_login_for_https_is_not_sent_in_the_clear(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(200)
    assert fetcher.address(f"https://me:s3c@{web.host}/") == f"https://{web.host}/"
    fetcher.get(f"{web.url}/a")
    assert "authorization" not in web.asked[0].headers


def test_a_refusal_does_not_tell_it(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(401)
    with pytest.raises(SourceUnavailable, match="wants a login") as caught:
        fetcher.get(with_login(web, "/a"))
    assert "s3c" not in str(caught.value)
