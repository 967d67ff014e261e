"""Looks are stored whole and side by side: one that goes wrong, at whichever place, takes no other with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Gate
from typing import NoReturn
from unittest.mock import Mock

import pytest

from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.errors import SourceUnavailable
from watcher.fetch.holds import HostHolds
from watcher.jobs.check import look_at
from watcher.jobs.keep_looks import Polled, keep_looks
from watcher.jobs.means import Means
from watcher.model.budget import Budget
from watcher.model.facts import EventKind, Fact, FactKind, LookOutcome, Poll, Traffic
from watcher.ports import Lines
from watcher.store import facts as fact_store

NAMES = ("one", "two", "three", "four")


@dataclass
class Upstream:
    """A source in this process: shows `poll`, or raises it; with `after` it answers only once that was opened."""

    name: str
    poll_or_error: Poll | Exception
    kind: str = "simple-index"
    traffic: Traffic = field(default_factory=Traffic)
    after: Gate | None = None
    answered: Gate = field(default_factory=Gate)

    def poll(self, cursor: str | None) -> Poll:
        if self.after is not None:
            assert self.after.wait(60)
        self.answered.set()
        if isinstance(self.poll_or_error, Exception):
            raise self.poll_or_error
        return self.poll_or_error


def shows(name: str, published_at: datetime | None = None) -> Poll:
    return Poll(
        (Fact(FactKind.WHEEL, f"{name}-1.0-py3-none-any.whl", url="http://x/", published_at=published_at),), "c"
    )


@pytest.fixture
def means(tmp_path: Path) -> Iterator[Means]:
    config = tmp_path / "config.toml"
    sources = "".join(f'[[sources]]\nname = "{name}"\nkind = "simple-index"\nurl = "http://x/"\n' for name in NAMES)
    config.write_text(f'[store]\ndata_dir = "data"\n[device]\ndocker = "none"\n{sources}')
    with open_means(load_settings(config, {}), Lines(lambda _: None)) as opened:
        yield opened


def look(means: Means, upstreams: dict[str, Upstream]) -> dict[str, LookOutcome]:
    means = replace(means, build_source=lambda config, _: upstreams[config.name])
    looks, _ = look_at(means, means.settings.sources)
    return {look.source: look.outcome for look in looks}


def stored(means: Means) -> dict[str, int]:
    with means.store.transaction() as tx:
        return fact_store.counts(tx)


def test_looks_are_listed_as_configured_in_whichever_order_they_came(means: Means) -> None:
    upstreams = {name: Upstream(name, shows(name)) for name in NAMES}
    for earlier, later in zip(NAMES[1:], NAMES, strict=False):  # the last one answers first
        upstreams[later].after = upstreams[earlier].answered
    assert list(look(means, upstreams)) == list(NAMES)
    assert stored(means) == dict.fromkeys(NAMES, 1)


def test_unchanged_withdraws_what_was_missed_before_and_leaves_the_rest(means: Means) -> None:
    both = tuple(Fact(FactKind.WHEEL, f"one-{number}.0-py3-none-any.whl", url="http://x/") for number in (1, 2))
    polls = [Poll(both, "c"), Poll(both[:1], "c"), Poll(None, "c"), Poll(None, "c")]
    seen = []
    for poll in polls:
        upstream = Upstream("one", poll)
        (done,), events = look_at(replace(means, build_source=lambda *_, of=upstream: of), means.settings.sources[:1])
        seen.append((done.outcome, done.facts, [(event.kind, event.fact.name) for event in events]))
    withdrawn = (EventKind.WITHDRAWN, both[1].name)
    assert seen[1:] == [
        (LookOutcome.UNCHANGED, 2, []),
        (LookOutcome.CHANGED, 1, [withdrawn]),
        (LookOutcome.UNCHANGED, 1, []),
    ]


def test_a_look_that_cannot_be_stored_counts_as_failed_and_loses_no_other(means: Means) -> None:
    without_zone = datetime(2026, 11, 2, 12)  # noqa: DTZ001  the fault: a source of ours forgot the time zone
    upstreams = {name: Upstream(name, shows(name, without_zone if name == "two" else None)) for name in NAMES}
    for name in NAMES[1:]:
        upstreams[name].after = upstreams["one"].answered
    outcomes = look(means, upstreams)
    assert outcomes.pop("two") is LookOutcome.FAILED
    assert set(outcomes.values()) == {LookOutcome.BASELINE}
    assert stored(means) == {"one": 1, "three": 1, "four": 1}
    with means.store.transaction() as tx:
        state = fact_store.source_states(tx)["two"]
    assert (state.failures, state.cursor) == (1, None)
    assert state.error is not None
    assert "an error of the watcher itself" in state.error.message


def test_what_failed_upstream_is_stored_beside_what_did_not(means: Means) -> None:
    upstreams = {name: Upstream(name, shows(name)) for name in NAMES}
    upstreams["three"].poll_or_error = SourceUnavailable("the upstream is not reachable")
    upstreams["four"].poll_or_error = ZeroDivisionError("a parser of ours")
    outcomes = look(means, upstreams)
    assert [outcomes[name] for name in NAMES[2:]] == [LookOutcome.FAILED, LookOutcome.FAILED]
    assert stored(means) == {"one": 1, "two": 1}
    with means.store.transaction() as tx:
        assert {name: state.failures for name, state in fact_store.source_states(tx).items()} == {
            "one": 0, "two": 0, "three": 1, "four": 1}  # fmt: skip


def test_many_looks_are_stored_in_several_transactions(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    (config, *_) = means.settings.sources
    group = [Polled(config.model_copy(update={"name": f"s{number}"}), Traffic(), shows("x")) for number in range(130)]
    lent = Mock(wraps=means.store.transaction)
    monkeypatch.setattr(means.store, "transaction", lent)
    kept = keep_looks(means, group, {}, HostHolds({}, means.clock))
    assert lent.call_count == 3
    assert [one.config.name for one in kept] == [one.config.name for one in group]
    assert stored(means) == {one.config.name: 1 for one in group}


@dataclass
class Asking(Upstream):
    """A source whose host asks for a rest, and names what it still grants."""

    holds: HostHolds | None = None
    besides: Means | None = None

    def poll(self, cursor: str | None) -> Poll:
        assert self.holds is not None
        if self.besides is not None:
            keep_what_another_process_heard(self.besides)
        self.holds.hold("own.example", timedelta(hours=1))
        self.holds.note_budget(Budget("own.example", 60, 0, None, self.holds.now()))
        return super().poll(cursor)


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def keep_what_another_process_heard(means: Means) -> None:
    now = means.clock.now()
    until = {"own.example": now + timedelta(hours=2), "other.example": now + timedelta(hours=3), "over": LONG_AGO}
    with means.store.transaction() as tx:
        fact_store.save_holds(tx, until)
        fact_store.save_budgets(tx, [Budget("other.example", 60, 9, None, now), Budget("over", 60, 9, None, LONG_AGO)])


def test_what_hosts_asked_of_two_processes_at_once_is_kept(means: Means) -> None:
    upstream = Asking("one", shows("one"), besides=means)
    holds: list[HostHolds] = []

    def build(_: object, shared: HostHolds) -> Asking:
        holds.append(shared)
        upstream.holds = shared
        return upstream

    look_at(replace(means, build_source=build), means.settings.sources[:1])
    with means.store.transaction() as tx:
        until, budgets = fact_store.holds(tx), fact_store.budgets(tx)
    now = means.clock.now()
    assert {host: round((end - now) / timedelta(hours=1)) for host, end in until.items()} == {
        "own.example": 2, "other.example": 3}  # fmt: skip
    assert [(budget.host, budget.remaining) for budget in budgets] == [("other.example", 9), ("own.example", 0)]
    assert holds[0].remaining("other.example") is not None, "this process heeds it at once"


def test_who_is_stopped_while_a_wheel_is_read_has_kept_what_hosts_asked(means: Means) -> None:
    upstream = Asking("one", Poll((Fact(FactKind.WHEEL, "torch-2.9.0-py3-none-any.whl", url="http://x/"),), "c"))

    def build(_: object, shared: HostHolds) -> Asking:
        upstream.holds = shared
        return upstream

    def stopped(line: str) -> NoReturn:
        assert line.startswith("reading ")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_at(replace(means, build_source=build, display=Lines(stopped)), means.settings.sources[:1])
    with means.store.transaction() as tx:
        assert list(fact_store.holds(tx)) == ["own.example"]
        assert [budget.host for budget in fact_store.budgets(tx)] == ["own.example"]
