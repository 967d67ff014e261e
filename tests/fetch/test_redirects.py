"""Where a request may be led: within its host, to hosts that are allowed by name, never with a login."""

from datetime import timedelta

import pytest

from tests.real.web import Reply, Web
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds


def test_a_redirect_within_the_host_is_followed_and_the_final_address_kept(web: Web, fetcher: Fetcher) -> None:
    web.routes["/old"] = Reply(301, headers={"Location": "/new/"})
    web.routes["/new/"] = Reply(200, b"here")
    answer = fetcher.get(f"{web.url}/old")
    assert (answer.url, answer.body) == (f"{web.url}/new/", b"here")
    assert fetcher.traffic.requests == 2


def test_a_redirect_to_a_foreign_host_is_refused_unless_allowed_by_name(
    web: Web, other_web: Web, holds: HostHolds
) -> None:
    web.routes["/a"] = Reply(302, headers={"Location": f"{other_web.url}/b"})
    other_web.routes["/b"] = Reply(200, b"foreign")
    strict = Fetcher(timeout=timedelta(seconds=9), holds=holds)
    with pytest.raises(SourceUnavailable, match="another host"):
        strict.get(f"{web.url}/a")
    assert other_web.asked == []
    for name in (other_web.host, "127.0.0.1"):
        open_minded = Fetcher(timeout=timedelta(seconds=9), holds=holds, allowed_hosts=frozenset({name}))
        assert open_minded.get(f"{web.url}/a").body == b"foreign"
    assert strict.get(f"{web.url}/a", elsewhere=True).body == b"foreign"


def test_a_move_to_an_allowed_host_is_noted_but_not_files_elsewhere(web: Web, other_web: Web, holds: HostHolds) -> None:
    web.routes["/a"] = Reply(301, headers={"Location": "/b"})
    web.routes["/b"] = Reply(302, headers={"Location": f"{other_web.url}/c"})
    web.routes["/here"] = Reply(301, headers={"Location": "/there"})
    web.routes["/there"] = other_web.routes["/c"] = Reply(200, b"page")
    fetcher = Fetcher(timeout=timedelta(seconds=9), holds=holds, allowed_hosts=frozenset({other_web.host}))
    fetcher.get(f"{web.url}/here")
    fetcher.get(f"{web.url}/a", elsewhere=True)
    assert fetcher.moved_to is None
    fetcher.get(f"{web.url}/a")
    fetcher.get(f"{web.url}/here")
    assert fetcher.moved_to == other_web.host


def test_a_foreign_host_is_refused_with_both_hosts_and_the_key_to_set(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(301, headers={"Location": "https://new.example/a"})
    with pytest.raises(SourceUnavailable) as caught:
        fetcher.get(f"{web.url}/a")
    for part in ("`allowed_hosts`", "host=new.example", f"url={web.url}/a"):
        assert part in str(caught.value)


def test_a_login_is_not_carried_to_another_host(web: Web, other_web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(302, headers={"Location": f"{other_web.url}/b"})
    other_web.routes["/b"] = Reply(200)
    fetcher.get(f"{web.url}/a", headers={"Authorization": "Bearer t"}, elsewhere=True)
    assert "authorization" in web.asked[0].headers
    assert "authorization" not in other_web.asked[0].headers


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "gopher:x"])
def test_only_http_addresses_are_followed(web: Web, fetcher: Fetcher, target: str) -> None:
    web.routes["/a"] = Reply(302, headers={"Location": target})
    with pytest.raises(SourceChanged, match="a link of the upstream"):
        fetcher.get(f"{web.url}/a", elsewhere=True)


def test_endless_redirects_end(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(302, headers={"Location": "/a"})
    with pytest.raises(SourceUnavailable, match="without end"):
        fetcher.get(f"{web.url}/a")
    assert len(web.asked) == 6


def test_next_pages_stay_on_the_host(web: Web, other_web: Web, fetcher: Fetcher) -> None:
    assert fetcher.next_page(f"{web.url}/v2/a", "/v2/b?n=1") == f"{web.url}/v2/b?n=1"
    with pytest.raises(SourceUnavailable, match="another host"):
        fetcher.next_page(f"{web.url}/v2/a", f"{other_web.url}/v2/b")
