"""Whatever the values are, what is read is what was written."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.examples import NOON
from watcher.model.device import DeviceState
from watcher.model.facts import Event, EventKind, Fact, FactKind, KnownFact, LookError, SourceState, Traffic
from watcher.model.trial import Acceptance, Candidate, Score, ServiceReport, ServiceState, Stage, Start, Trial
from watcher.model.verdict import BringUp, Evidence, FailureClass, Rung
from watcher.store import facts, trials
from watcher.store.database import Store, open_store
from watcher.store.transaction import Transaction

WORDS = st.text(max_size=40)
TIMES = st.datetimes(timezones=st.just(UTC))
COUNTS = st.integers(0, 2**53)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FACTS = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    name=WORDS,
    version=st.none() | WORDS,
    digest=st.none() | WORDS,
    url=WORDS,
    published_at=st.none() | TIMES,
    yanked=st.booleans(),
    prerelease=st.booleans(),
    detail=st.dictionaries(WORDS, WORDS, max_size=3),
)
KNOWN = st.builds(KnownFact, FACTS, TIMES, COUNTS, st.booleans(), st.booleans())
ERRORS = st.builds(LookError, WORDS, WORDS, st.none() | COUNTS)
STATES = st.builds(
    SourceState,
    name=WORDS,
    kind=WORDS,
    cursor=st.none() | WORDS,
    baseline_at=st.none() | TIMES,
    last_ok=st.none() | TIMES,
    failures=COUNTS,
    told=st.booleans(),
    error=st.none() | ERRORS,
    traffic=st.builds(Traffic, COUNTS, COUNTS, COUNTS),
    moved_to_host=st.none() | WORDS,
    newest=st.none() | WORDS,
    newest_at=st.none() | TIMES,
)
CANDIDATES = st.builds(
    Candidate,
    engine=WORDS,
    image=WORDS,
    digest=st.none() | WORDS,
    fingerprint=WORDS,
    reasons=st.lists(WORDS, max_size=3).map(tuple),
    waiting_for=st.none() | WORDS,
    first_seen=st.none() | TIMES,
    published_at=st.none() | TIMES,
    compatible=st.booleans(),
    due=st.booleans(),
    skipped=st.booleans(),
)
STARTS = st.builds(
    Start,
    profile=WORDS,
    stage=st.sampled_from(Stage),
    bring_up=st.sampled_from(BringUp),
    failure_class=st.none() | st.sampled_from(FailureClass),
    exit_code=st.none() | st.integers(-1, 255),
    log=st.none() | WORDS,
)
TRIALS = st.builds(
    Trial,
    candidate=CANDIDATES,
    device_state=st.builds(DeviceState, st.none() | WORDS, st.none() | WORDS, st.none() | WORDS),
    bug_id=WORDS,
    started_at=TIMES,
    retry_at=st.none() | TIMES,
    stage=st.sampled_from(Stage),
    reason=WORDS,
    starts=st.lists(STARTS, max_size=3).map(tuple),
    evidence=st.lists(st.builds(Evidence, st.sampled_from(Rung), WORDS, WORDS, COUNTS), max_size=3).map(tuple),
    basis=st.lists(st.sampled_from(Rung), max_size=2).map(tuple),
    acceptance=st.none()
    | st.builds(
        Acceptance,
        phrases=st.none() | st.builds(Score, COUNTS, COUNTS),
        p95_seconds=st.none() | NUMBERS,
        tool_accuracy=st.none() | st.builds(Score, COUNTS, COUNTS),
    ),
    displaced=st.lists(WORDS, max_size=2).map(tuple),
    away_seconds=st.none() | NUMBERS,
    owed=st.lists(st.builds(ServiceReport, WORDS, st.sampled_from(ServiceState), WORDS), max_size=2).map(tuple),
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all examples: each rolls back what it wrote."""
    folder: Path = tmp_path_factory.mktemp("round-trips")
    store = open_store(folder)
    yield store
    store.close()


class RolledBack(Exception):
    """Ends an example."""


@contextmanager
def forgotten(store: Store) -> Iterator[Transaction]:
    """Lend a transaction that is rolled back at its end, so that the next example starts with nothing."""
    with suppress(RolledBack), store.transaction() as tx:
        yield tx
        raise RolledBack


@QUICK
@given(state=STATES, found=st.lists(KNOWN, max_size=4, unique_by=lambda known: known.fact.key))
def test_facts_and_their_source(kept: Store, state: SourceState, found: list[KnownFact]) -> None:
    with forgotten(kept) as tx:
        event_of = [Event(state.name, EventKind.NEW, known.fact, NOON) for known in found]
        events = facts.save_look(tx, state, found, event_of)
        assert facts.known_facts(tx, state.name) == {known.fact.key: known for known in found}
        assert facts.source_states(tx) == {state.name: state}
        assert facts.events_since(tx) == events


@QUICK
@given(trial=TRIALS)
def test_trials_and_their_candidates(kept: Store, trial: Trial) -> None:
    with forgotten(kept) as tx:
        stored = trials.new_trial(tx, trial)
        assert trials.trial(tx, stored.id) == stored
        assert replace(stored, id=0, candidate=replace(stored.candidate, id=0)) == trial
        assert tuple(trials.candidates(tx)) == (stored.candidate,)


def test_half_a_surrogate_pair_does_not_stop_a_check(kept: Store) -> None:
    """JSON may hold one, and neither SQLite nor UTF-8 can."""
    hostile = Fact(FactKind.RELEASE, "v1\ud800", "\udfff", detail={"no\ud83dtes": "\ud800"})
    state = SourceState("hostile", "github-releases", error=LookError("x", "\ud800"))
    with forgotten(kept) as tx:
        event = Event("hostile", EventKind.NEW, hostile, NOON)
        (stored,) = facts.save_look(tx, state, [KnownFact(hostile, NOON)], [event])
        assert [known.fact.name for known in facts.known_facts(tx, "hostile").values()] == ["v1?"]
        assert facts.events_by_id(tx, [stored.id])[0].fact.name == "v1?"
