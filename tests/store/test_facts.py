"""Facts, events, source states and holds survive being stored."""

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.store.examples import HOUR, NOON, all_facts, known, wheel
from watcher.model.budget import Budget
from watcher.model.facts import Event, EventKind, KnownFact, LookError, SourceState, Traffic
from watcher.store import facts
from watcher.store.database import Store
from watcher.store.transaction import Transaction

STATE = SourceState("torch", "simple-index", '{"etag": "x"}', NOON, NOON, NOON, None, 0, False, None, Traffic(2, 1, 99))


def test_a_look_is_kept_whole_and_its_events_get_ids(store: Store) -> None:
    fact = known()
    event = Event("torch", EventKind.REBUILT, fact.fact, NOON, "sha256:old")
    with store.transaction() as tx:
        (kept,) = facts.save_look(tx, STATE, [fact], [event])
    with store.transaction() as tx:
        assert facts.known_facts(tx, "torch") == {fact.fact.key: fact}
        assert all_facts(tx) == (("torch", fact),)
        assert facts.source_states(tx) == {"torch": STATE}
        assert facts.events_since(tx) == (kept,)
    assert kept == replace(event, id=kept.id)
    assert kept.id > 0


def test_facts_of_one_source_are_not_those_of_another(store: Store) -> None:
    with store.transaction() as tx:
        facts.save_look(tx, STATE, [known()], [])
        facts.save_look(tx, replace(STATE, name="other"), [known(wheel(digest="sha256:bb"))], [])
        assert facts.known_facts(tx, "torch")[wheel().key].fact.digest == "sha256:aa"
        assert facts.known_facts(tx, "other")[wheel().key].fact.digest == "sha256:bb"
        assert facts.known_facts(tx, "third") == {}


def test_a_changed_fact_replaces_the_old_one(store: Store) -> None:
    later = replace(known(wheel(digest="sha256:new")), missed=1, withdrawn=True)
    with store.transaction() as tx:
        facts.save_look(tx, STATE, [known()], [])
        facts.save_look(tx, STATE, [later], [])
        assert facts.known_facts(tx, "torch") == {later.fact.key: later}


def test_equal_facts_are_not_written_again(store: Store) -> None:
    many = [known(wheel(f"torch-{number}.whl")) for number in range(200)]
    changed = replace(many[7], missed=1)
    with store.transaction() as tx:
        facts.save_look(tx, STATE, many, [])
        before = tx.value("SELECT total_changes()")
        facts.save_look(tx, STATE, [*many[:7], changed, *many[8:]], [])
        assert tx.value("SELECT total_changes()") - before == 1


class Counting(sqlite3.Connection):
    """Counts what it is asked to do."""

    asked = 0

    def execute(self, *call: Any) -> sqlite3.Cursor:
        self.asked += 1
        return super().execute(*call)

    def executemany(self, *call: Any) -> sqlite3.Cursor:
        self.asked += 1
        return super().executemany(*call)


def test_ten_thousand_facts_take_a_handful_of_statements(store: Store) -> None:
    many: list[KnownFact] = [known(wheel(f"torch-{number}.whl")) for number in range(10_000)]
    counting = sqlite3.connect(store.path, isolation_level=None, factory=Counting)
    tx = Transaction(counting)
    facts.save_look(tx, STATE, many, [])
    assert len(facts.known_facts(tx, "torch")) == 10_000
    assert 3 <= counting.asked < 10
    counting.close()


def test_a_failed_look_is_remembered_with_its_reason(store: Store) -> None:
    failed = replace(STATE, failures=3, told=True, error=LookError("SourceUnavailable", "503", 60))
    with store.transaction() as tx:
        facts.save_source_state(tx, STATE)
        facts.save_source_state(tx, failed)
        assert facts.source_states(tx) == {"torch": failed}


def test_events_come_oldest_first_and_a_limit_keeps_the_newest(store: Store) -> None:
    made = [Event("torch", EventKind.NEW, wheel(str(hour)), NOON + hour * HOUR) for hour in range(5)]
    with store.transaction() as tx:
        kept = facts.save_look(tx, STATE, [], made)
        assert [event.fact.name for event in kept] == ["0", "1", "2", "3", "4"]
        assert facts.events_since(tx, NOON + 2 * HOUR) == kept[2:]
        assert facts.events_since(tx, None, limit=2) == kept[3:]
        assert facts.events_by_id(tx, [kept[3].id, kept[0].id, 999]) == (kept[0], kept[3])


def test_a_thousand_events_are_found_by_their_ids(store: Store) -> None:
    with store.transaction() as tx:
        made = [Event("torch", EventKind.NEW, wheel(str(number)), NOON) for number in range(1200)]
        kept = facts.save_look(tx, STATE, [], made)
        assert facts.events_by_id(tx, [event.id for event in kept]) == kept


def test_an_event_shows_the_fact_as_it_was_then(store: Store) -> None:
    with store.transaction() as tx:
        facts.save_look(tx, STATE, [known()], [Event("torch", EventKind.NEW, wheel(), NOON)])
        facts.save_look(tx, STATE, [known(wheel(digest="sha256:new"))], [])
        assert facts.events_since(tx)[0].fact == wheel()


def test_times_of_other_zones_are_compared_as_points_in_time(store: Store) -> None:
    berlin = timezone(timedelta(hours=1))
    with store.transaction() as tx:
        event = Event("torch", EventKind.NEW, wheel(), datetime(2026, 11, 2, 12, 30, tzinfo=berlin))
        facts.save_look(tx, STATE, [], [event])
        assert facts.events_since(tx, NOON) == ()
        assert len(facts.events_since(tx, NOON - HOUR)) == 1


def test_saving_holds_forgets_those_that_ended(store: Store) -> None:
    with store.transaction() as tx:
        facts.save_holds(tx, {"a.example": NOON, "b.example:8080": NOON + HOUR})
        facts.save_holds(tx, {"b.example:8080": NOON + HOUR})
        assert facts.holds(tx) == {"b.example:8080": NOON + HOUR}
        facts.save_holds(tx, {})
        assert facts.holds(tx) == {}


def test_saving_budgets_keeps_exactly_those(store: Store) -> None:
    github, registry = (
        Budget("api.github.com", 60, 57, NOON + HOUR, NOON),
        Budget("b.example:8080", None, 0, None, NOON),
    )
    with store.transaction() as tx:
        facts.save_budgets(tx, (registry, github))
        assert facts.budgets(tx) == (github, registry)
        facts.save_budgets(tx, (replace(github, remaining=56),))
        assert [budget.remaining for budget in facts.budgets(tx)] == [56]
        facts.save_budgets(tx, ())
        assert facts.budgets(tx) == ()


def test_the_host_that_answers_instead_is_remembered_and_forgotten(store: Store) -> None:
    moved = replace(STATE, moved_to_host="new.example")
    with store.transaction() as tx:
        facts.save_source_state(tx, moved)
        assert facts.source_states(tx) == {"torch": moved}
        facts.save_source_state(tx, STATE)
        assert facts.source_states(tx) == {"torch": STATE}
