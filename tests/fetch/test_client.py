"""The client is polite and cannot be hurt: deadlines, caps, hosts, refusals, holds."""

import gzip
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BufferedIOBase
from ssl import CERT_REQUIRED

import pytest

from tests.clocks import SteppingClock
from tests.real.web import Asked, Reply, Web
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetcher, Validators
from watcher.fetch.clients import lent_client
from watcher.fetch.holds import HostHolds
from watcher.model.budget import Budget
from watcher.model.facts import Traffic


def test_an_answer_is_counted_and_says_who_asked(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(200, b"hello", {"ETag": '"1"', "Last-Modified": "Mon, 16 Jun 2025 18:00:00 GMT"})
    answer = fetcher.get(f"{web.url}/a")
    assert (answer.status, answer.body, answer.url) == (200, b"hello", f"{web.url}/a")
    assert answer.validators == Validators('"1"', "Mon, 16 Jun 2025 18:00:00 GMT")
    assert Validators.from_dict(answer.validators.to_dict()) == answer.validators
    assert fetcher.traffic == Traffic(requests=1, not_modified=0, bytes=5)
    assert web.asked[0].headers["user-agent"].startswith("watcher/")


def test_an_unchanged_page_is_asked_for_with_its_validators(web: Web, fetcher: Fetcher) -> None:
    def conditional(asked: Asked) -> Reply:
        return Reply(304) if asked.headers.get("if-none-match") == '"1"' else Reply(200, b"body", {"ETag": '"1"'})

    web.routes["/a"] = conditional
    validators = fetcher.get(f"{web.url}/a").validators
    assert fetcher.get(f"{web.url}/a", validators=validators).not_modified
    assert fetcher.traffic == Traffic(requests=2, not_modified=1, bytes=4)


def test_answers_without_a_body_leave_the_connection_usable(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(304, headers={"ETag": '"1"'})
    web.routes["/empty"] = Reply(302, headers={"Location": "/worded"})
    web.routes["/worded"] = Reply(302, b"over there", {"Location": "/a"})
    fetcher.get(f"{web.url}/empty", validators=Validators('"1"'))
    fetcher.get(f"{web.url}/a", validators=Validators('"1"'))
    assert web.paths() == ["/empty", "/worded", "/a", "/a"]
    assert len({asked.connection for asked in web.asked}) == 1


def test_the_client_for_plain_http_trusts_no_certificate(web: Web) -> None:
    """It loads none, so one that came to it by mistake would be refused."""
    with lent_client(web.url) as client, lent_client("HTTPS://example.org") as secure_client:
        plain, secure = (one._transport._pool._ssl_context for one in (client, secure_client))  # type: ignore[attr-defined]
        assert (plain.verify_mode, plain.check_hostname, plain.get_ca_certs()) == (CERT_REQUIRED, True, [])
        assert (secure.verify_mode, secure.check_hostname) == (CERT_REQUIRED, True)
        assert secure.cert_store_stats()["x509_ca"] > 0


def test_a_client_is_lent_to_one_at_a_time_and_kept_for_its_host(web: Web, other_web: Web) -> None:
    with lent_client(web.url) as first, lent_client(web.url) as second, lent_client(other_web.url) as elsewhere:
        assert len({id(first), id(second), id(elsewhere)}) == 3
    with lent_client(f"{web.url}/a") as again, lent_client(web.url) as again_too:
        assert {id(again), id(again_too)} == {id(first), id(second)}


def test_a_hundred_threads_do_not_take_each_others_connections(web: Web, fetcher: Fetcher) -> None:
    web.fallback = lambda asked: Reply(304) if int(asked.path[1:]) % 2 else Reply(200, asked.path.encode())

    def ask(number: int) -> bytes:
        return fetcher.get(f"{web.url}/{number}", validators=Validators('"1"')).body

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(ask, range(600)))
    assert answers == [b"" if number % 2 else b"/%d" % number for number in range(600)]
    assert len({asked.connection for asked in web.asked}) <= 100


def test_a_304_that_nobody_asked_for_is_trouble(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(304)
    with pytest.raises(SourceUnavailable, match="unexpected status"):
        fetcher.get(f"{web.url}/a")


def test_cookies_of_an_upstream_are_not_kept(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(200, b"", {"Set-Cookie": "id=1; Path=/"})
    fetcher.get(f"{web.url}/a")
    fetcher.get(f"{web.url}/a")
    assert "cookie" not in web.asked[1].headers


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "wants a login"),
        (403, "refuses access"),
        (404, "no such page"),
        (429, "asked too often"),
        (500, "in trouble"),
        (503, "in trouble"),
        (418, "unexpected status"),
    ],
)
def test_a_refusal_says_what_it_is(web: Web, fetcher: Fetcher, status: int, sentence: str) -> None:
    web.routes["/a"] = Reply(status, b"no")
    with pytest.raises(SourceUnavailable, match=sentence) as caught:
        fetcher.get(f"{web.url}/a?token=secret")
    assert caught.value.retry_after is None
    assert f"status={status}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_retry_after_is_obeyed_by_every_source_of_the_host_until_it_is_over(
    web: Web, fetcher: Fetcher, holds: HostHolds, clock: SteppingClock
) -> None:
    web.routes["/a"] = Reply(429, headers={"Retry-After": "60"})
    with pytest.raises(SourceUnavailable) as caught:
        fetcher.get(f"{web.url}/a")
    assert caught.value.retry_after == timedelta(seconds=60)
    clock.sleep(20)
    web.routes["/b"] = Reply(200, b"fine")
    other = Fetcher(timeout=timedelta(seconds=20), holds=HostHolds(holds.pending(), clock))
    with pytest.raises(SourceUnavailable, match="left alone") as caught:
        other.get(f"{web.url}/b")
    assert caught.value.retry_after == timedelta(seconds=40)
    assert web.paths() == ["/a"]
    clock.sleep(41)
    assert other.get(f"{web.url}/b").body == b"fine"
    assert holds.pending() == {}


def test_retry_after_as_a_date_is_read_against_the_upstreams_own_clock(web: Web, fetcher: Fetcher) -> None:
    there = datetime(1999, 1, 1, 12, tzinfo=UTC)
    dates = {"Retry-After": format_datetime(there + timedelta(minutes=5), usegmt=True)}

    def raw(out: BufferedIOBase) -> None:  # the server's own Date header must not get in the way
        lines = [*(f"{name}: {value}" for name, value in dates.items()), f"Date: {format_datetime(there, usegmt=True)}"]
        out.write(("HTTP/1.1 503 No\r\nContent-Length: 0\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())

    web.routes["/a"] = Reply(raw=raw)
    with pytest.raises(SourceUnavailable) as caught:
        fetcher.get(f"{web.url}/a")
    assert caught.value.retry_after == timedelta(minutes=5)


def test_a_rate_limit_reset_is_a_time_to_wait(web: Web, fetcher: Fetcher, holds: HostHolds) -> None:
    reset = str(int(time.time()) + 600)
    web.routes["/a"] = Reply(403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    with pytest.raises(SourceUnavailable, match="asked too often") as caught:
        fetcher.get(f"{web.url}/a")
    assert caught.value.retry_after is not None
    assert 590 <= caught.value.retry_after.total_seconds() <= 600
    assert holds.remaining(web.host) is not None


def test_what_other_processes_heard_is_taken_in_unless_their_clock_was_wrong(
    holds: HostHolds, clock: SteppingClock
) -> None:
    now, hour = clock.now(), timedelta(hours=1)
    for host in ("shorter.example", "longer.example", "wrong.example"):
        holds.hold(host, 2 * hour)
    old, new = Budget("a.example", 60, 9, None, now - hour), Budget("a.example", 60, 7, None, now)
    holds.note_budget(new)
    there = {"shorter.example": now + hour, "longer.example": now + 3 * hour, "wrong.example": now + 99 * hour}
    holds.learn(there, [old, Budget("b.example", 60, 5, None, now), Budget("a.example", 60, 1, None, now + hour)])
    assert {host: (end - now) / hour for host, end in holds.pending().items()} == {
        "shorter.example": 2, "longer.example": 3, "wrong.example": 2}  # fmt: skip
    assert [(one.host, one.remaining) for one in holds.budgets()] == [("a.example", 7), ("b.example", 5)]


@pytest.mark.parametrize("nonsense", ["soon", "-5", "", "9" * 40, "Mon, 99 Foo 2025", "0"])
def test_a_nonsensical_wait_is_no_wait(web: Web, fetcher: Fetcher, holds: HostHolds, nonsense: str) -> None:
    web.routes["/a"] = Reply(429, headers={"Retry-After": nonsense})
    with pytest.raises(SourceUnavailable) as caught:
        fetcher.get(f"{web.url}/a")
    assert caught.value.retry_after is None
    assert holds.pending() == {}


def test_no_host_is_left_alone_for_longer_than_a_day(holds: HostHolds, clock: SteppingClock) -> None:
    holds.hold("a.example", timedelta(days=9_000))
    assert holds.remaining("a.example") == timedelta(hours=24)
    remembered = {"b.example": clock.now() + timedelta(days=300)}  # the clock was wrong when this was stored
    assert HostHolds(remembered, clock).remaining("b.example") is None


def test_a_body_over_the_cap_is_not_taken(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(200, bytes(200_000))
    with pytest.raises(SourceChanged, match="larger than allowed"):
        fetcher.get(f"{web.url}/a", max_body=100_000)
    web.routes["/chunked"] = Reply(raw=lambda out: _endless_chunks(out))
    with pytest.raises(SourceChanged, match="larger than allowed"):
        fetcher.get(f"{web.url}/chunked", max_body=1_000_000)
    assert fetcher.traffic.bytes < 1_300_000


def _endless_chunks(out: BufferedIOBase) -> None:
    out.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1_000):
        out.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def test_a_gzip_bomb_ends_in_bounded_memory(web: Web, holds: HostHolds) -> None:
    bomb = gzip.compress(bytes(300_000_000), 9)
    assert len(bomb) < 400_000
    web.routes["/a"] = Reply(200, bomb, {"Content-Encoding": "gzip"})
    fetcher = Fetcher(timeout=timedelta(seconds=20), holds=holds, max_body=5_000_000)
    fetcher.get(f"{web.url}/a", values=(404,), only=(206,))  # warms the client up
    tracemalloc.start()
    with pytest.raises(SourceChanged, match="larger than allowed"):
        fetcher.get(f"{web.url}/a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25_000_000


def test_a_compressed_answer_is_unpacked_and_counted_as_received(web: Web, fetcher: Fetcher) -> None:
    packed = gzip.compress(b"text " * 1_000)
    web.routes["/a"] = Reply(200, packed, {"Content-Encoding": "gzip"})
    assert fetcher.get(f"{web.url}/a").body == b"text " * 1_000
    assert fetcher.traffic.bytes == len(packed)
    web.routes["/cut"] = Reply(200, packed[:-9], {"Content-Encoding": "gzip"})
    with pytest.raises(SourceUnavailable, match="cut off"):
        fetcher.get(f"{web.url}/cut")
    web.routes["/lie"] = Reply(200, b"plain", {"Content-Encoding": "gzip"})
    with pytest.raises(SourceChanged, match="not compressed"):
        fetcher.get(f"{web.url}/lie")


def test_half_an_answer_is_no_answer(web: Web, fetcher: Fetcher) -> None:
    web.routes["/a"] = Reply(200, b"half", {"Content-Length": "1000"})

    def cut(out: BufferedIOBase) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    web.routes["/a"] = Reply(raw=cut)
    with pytest.raises(SourceUnavailable, match="connection to the upstream broke"):
        fetcher.get(f"{web.url}/a")


def test_a_host_that_does_not_answer_is_unavailable(fetcher: Fetcher) -> None:
    with pytest.raises(SourceUnavailable, match="not reachable"):
        fetcher.get("http://127.0.0.1:9/")


def test_something_that_does_not_speak_tls_is_unavailable(web: Web, fetcher: Fetcher) -> None:
    with pytest.raises(SourceUnavailable):
        fetcher.get(web.url.replace("http:", "https:") + "/a")


def _slowly(begin: bytes) -> Reply:
    def drip(out: BufferedIOBase) -> None:
        out.write(begin)
        for _ in range(200):
            out.write(b"x")
            out.flush()
            time.sleep(0.05)

    return Reply(raw=drip)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, delay=3),
        _slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        _slowly(b"HTTP/1.1 200 OK\r\nX-Drip: "),
    ],
    ids=["silence", "dripping body", "dripping header"],
)
def test_the_deadline_holds_for_a_whole_look(web: Web, holds: HostHolds, reply: Reply) -> None:
    fetcher = Fetcher(timeout=timedelta(seconds=0.7), holds=holds)
    web.routes["/a"] = Reply(200, delay=0.3)
    web.routes["/b"] = reply
    began = time.monotonic()
    fetcher.get(f"{web.url}/a")
    with pytest.raises(SourceUnavailable, match="did not answer in time"):
        fetcher.get(f"{web.url}/b")
    assert 0.5 < time.monotonic() - began < 1.5
    fetcher.begin()
    assert fetcher.get(f"{web.url}/a").status == 200


def test_few_requests_are_in_flight_per_host(clock: SteppingClock) -> None:
    holds = HostHolds({}, clock)
    inside, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        with holds.slot("slow.example", 10):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [4]


class QueueSeen(HostHolds):
    """Tells how many came for a place: then they had asked whether the host is held."""

    def __init__(self, clock: SteppingClock) -> None:
        super().__init__({}, clock)
        self.came = threading.Semaphore(0)

    @contextmanager
    def slot(self, host: str, seconds: float) -> Iterator[None]:
        self.came.release()
        with super().slot(host, seconds):
            yield


def test_a_request_that_waits_for_a_place_heeds_what_the_host_asked_for_meanwhile(
    web: Web, clock: SteppingClock
) -> None:
    holds = QueueSeen(clock)
    all_came = threading.Event()

    def refuse(_: Asked) -> Reply:
        assert all_came.wait(20)
        return Reply(429, headers={"Retry-After": "60"})

    web.routes["/a"] = refuse
    url = web.url.replace("127.0.0.1", "0.0.0.0")  # this machine too, but with the few places of a foreign host

    def ask() -> str:
        with pytest.raises(SourceUnavailable) as caught:
            Fetcher(timeout=timedelta(seconds=20), holds=holds).get(f"{url}/a")
        assert caught.value.retry_after == timedelta(seconds=60)
        return caught.value.message

    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(ask) for _ in range(20)]
        for _ in asking:
            assert holds.came.acquire(timeout=20)
        all_came.set()
        said = [one.result() for one in asking]
    assert len(web.asked) == 4
    assert sum("left alone" in message for message in said) == 16


def test_waiting_for_a_place_ends_with_the_look(clock: SteppingClock) -> None:
    holds = HostHolds({}, clock)
    with (
        holds.slot("a.example", 1),
        holds.slot("a.example", 1),
        holds.slot("a.example", 1),
        holds.slot("a.example", 1),
        pytest.raises(SourceUnavailable, match="ran out of time"),
        holds.slot("a.example", 0.05),
    ):
        pass
