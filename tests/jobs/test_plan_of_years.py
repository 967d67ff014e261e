"""Of years of facts and trials few are read for a plan, and it says the same as one that is made of all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.bench.history import History, configuration, write_history
from tests.clocks import SteppingClock
from tests.store.examples import all_facts
from watcher.answer import open_ledger
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.means import Means
from watcher.jobs.plan import (
    FIRST_DEVICE_STATE,
    GONE,
    PAUSED_UNTIL,
    REPLACED,
    announcement_key,
    is_quarantined,
    make_plan,
    meanings,
    paused_until,
    rules_of,
)
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.facts import Event, Fact, FactKind, KnownFact
from watcher.model.notice import Notice, NoticeKind
from watcher.model.trial import Candidate, Outcome, Stage, Trial
from watcher.model.verdict import BugState
from watcher.planner import due
from watcher.planner.candidates import candidates
from watcher.planner.overlays import overlays
from watcher.planner.relevance import relevance
from watcher.ports import Lines
from watcher.store import candidates as candidate_store
from watcher.store import facts, outbox, statics, trials
from watcher.store.transaction import Reading, Transaction

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AUTOMATIC = """
[trial]
displace = ["container:zoe-ollama"]
[engines.vllm]
model = "/models/demo"
[schedule]
window = "02:00-06:00"
timezone = "UTC"
"""


@contextmanager
def years(folder: Path, history: History, is_automatic: bool) -> Iterator[Means]:
    text = configuration(history)
    if is_automatic:
        text = text.replace('docker = "none"', 'docker = "unix:///nowhere.sock"') + AUTOMATIC
    (folder / "config.toml").write_text(text)
    settings, clock = load_settings(folder / "config.toml", {}), SteppingClock()
    clock.time = NOW
    write_history(settings.store.data_dir, history)
    with open_means(settings, Lines(lambda line: None), clock=clock) as means:
        yield means


@dataclass(frozen=True)
class Told:
    """What a plan says and leaves in the database; a candidate that was not stored before has the id 0."""

    candidates: list[Candidate]
    changed: list[Candidate]
    starts: tuple[tuple[str, str], datetime] | None
    stored: dict[tuple[str, str], Candidate]


def told_of_all(means: Means, device: DeviceFacts, asked_now: bool) -> Told:
    """Return what is said, and would be stored, where every fact, trial and candidate is read."""
    settings, rules = means.settings, rules_of(means)
    by_name = {one.name: one for one in settings.sources}
    with means.store.reading() as tx:
        before = {content(one): one for one in candidate_store.candidates(tx)}
        shown = [(by_name[name], known) for name, known in all_facts(tx)]
        images = candidates(shown, settings.engines, device)
        bases = [one for one in images if content(one) not in before or not before[content(one)].skipped]
        read = statics.static_records(tx)
        laid = overlays(shown, bases, read, settings.engine, settings.bug.component, device)
        found = [replace(one, skipped=is_skipped(before.get(content(one)))) for one in (*images, *laid)]
        standing, tried = standing_of(tx, means, device, asked_now, found), trials.trials(tx)
        planned = [kept(one, before.get(content(one))) for one in due.plan(found, tried, rules, standing)]
        starts = due.next_start(planned, tried, rules, standing) if rules.displaces else None
    left = before.keys() - set(map(content, planned))
    gone = [marked(before[key]) for key in before if key in left]
    stored = {content(one): one for one in (*planned, *gone)}
    changed = [one for one in stored.values() if is_told(before.get(content(one)), one)]
    return Told(planned, changed, (content(starts[0]), starts[1]) if starts else None, stored)


def standing_of(
    tx: Reading, means: Means, device: DeviceFacts, asked_now: bool, found: list[Candidate]
) -> due.Standing:
    announced = {}
    for one in found:
        begin = announcement_key(means, device, one)
        if moments := [at for key, at in outbox.written(tx, NoticeKind.PLAN) if key.startswith(begin)]:
            announced[content(one)] = min(moments)
    return due.Standing(
        device=device,
        setup=means.settings.engine.setup,
        now=means.clock.now(),
        paused_until=paused_until(tx),
        quarantined=is_quarantined(tx, device.state.boot_id),
        device_changed=trials.get_meta(tx, FIRST_DEVICE_STATE) not in (None, device.state.key),
        check_now=asked_now,
        announced=announced,
    )


def content(one: Candidate) -> tuple[str, str]:
    return one.engine, one.fingerprint


def is_skipped(one: Candidate | None) -> bool:
    return one is not None and one.skipped


def kept(one: Candidate, before: Candidate | None) -> Candidate:
    if before is None:
        return one
    return replace(one, id=before.id, first_seen=before.first_seen or one.first_seen, skipped=before.skipped)


def marked(one: Candidate) -> Candidate:
    reasons = (REPLACED if one.overlay else GONE,)
    gone = replace(one, compatible=False, reasons=reasons, due=False, waiting_for=None)
    return gone if one.source else one


def is_told(before: Candidate | None, now: Candidate) -> bool:
    if now.overlay is not None and (now.baseline or now.reasons == (REPLACED,)):
        return False
    seen = [(one.compatible, one.reasons, one.due, one.image) for one in (before, now) if one]
    return before is None or seen[0] != seen[1]


def helps_of_all(means: Means, device: DeviceFacts, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Return what events mean where every fact, trial and candidate is read."""
    with means.store.reading() as tx:
        ledger = open_ledger(
            device=device,
            bug=means.settings.bug,
            engine=means.settings.engine,
            candidates=[one for one in candidate_store.candidates(tx) if one.source],
            statics=statics.static_records(tx),
            facts=all_facts(tx),
            sources=means.settings.sources,
            trials=trials.trials(tx),
        )
    return tuple(replace(event, helps=relevance(event, ledger)) for event in events)


class Days:
    """Lets days pass: each brings trials, facts, announcements, and what a person decides."""

    def __init__(self, means: Means, random: Random) -> None:
        self.means, self.random = means, random

    def pass_one(self) -> None:
        clock, chance = self.means.clock, self.random.random
        assert isinstance(clock, SteppingClock)
        clock.time += timedelta(hours=self.random.randrange(1, 60))
        with self.means.store.transaction() as tx:
            known = list(candidate_store.candidates(tx))
            fitting = [one for one in known if one.compatible] or known
            wanted = [one for one in known if one.due or "superseded" not in (one.waiting_for or "superseded")]
            wanted = wanted or fitting
            for _ in range(self.random.randrange(1, 6)):
                self.add_trial(tx, self.random.choice(wanted if chance() < 0.6 else fitting))
            for one in [one for one in wanted if one.overlay][:1]:
                self.add_trial(tx, one)
            for one in self.random.sample(fitting, min(len(fitting), 6)):
                candidate_store.set_skipped(tx, one.id, chance() < 0.5)
            for one in (*wanted[:5], *self.random.sample(fitting, min(len(fitting), 3))):
                self.announce(tx, one)
            paused = clock.now() + self.random.choice((-1, 1)) * HOUR if chance() < 0.2 else None
            trials.set_meta(tx, PAUSED_UNTIL, paused.isoformat() if paused else None)
            self.move_facts(tx)

    def add_trial(self, tx: Transaction, one: Candidate) -> None:
        state = DeviceState("36.5.0", "540.5.0" if self.random.random() < 0.8 else "540.6.0", "boot-x")
        ended = self.means.clock.now() - self.random.randrange(8) * HOUR
        outcome = self.random.choice((*Outcome, None))
        begun = Trial(
            one,
            state,
            self.means.settings.bug.id,
            ended - HOUR,
            by_hand=self.random.random() < 0.5,
            setup=self.means.settings.engine.setup if self.random.random() < 0.8 else "another",
        )
        trial = trials.new_trial(tx, begun)
        if outcome is not None:
            bug = self.random.choice(list(BugState)) if outcome is Outcome.VERDICT else BugState.UNKNOWN
            again = ended + self.random.randrange(200) * HOUR if self.random.random() < 0.5 else None
            done = replace(trial, stage=Stage.DONE, outcome=outcome, finished_at=ended, bug=bug, retry_at=again)
            trials.record_trial(tx, replace(done, reason="no room"), ended)

    def announce(self, tx: Transaction, one: Candidate) -> None:
        now = self.means.clock.now()
        key = announcement_key(self.means, self.means.read_device(), one) + now.isoformat()
        outbox.enqueue(tx, Notice(NoticeKind.PLAN, key, "planned", (str(one.id), now.isoformat()), now))

    def move_facts(self, tx: Transaction) -> None:
        now = self.means.clock.now()
        for source in ("images-0", "images-1", "images-3", "wheels-0", "wheels-4"):
            state, known = facts.source_states(tx)[source], list(facts.known_facts(tx, source).values())
            moved = [
                replace(one, withdrawn=not one.withdrawn)
                if self.random.random() < 0.5
                else replace(one, fact=replace(one.fact, yanked=not one.fact.yanked))
                for one in self.random.sample(known, min(2, len(known)))
            ]
            if self.random.random() < 0.4:
                moved.append(KnownFact(self.new_fact(source), first_seen=now))
            facts.save_look(tx, state, moved, [])

    def new_fact(self, source: str) -> Fact:
        number, digest = self.random.randrange(10**6), f"sha256:{self.random.getrandbits(256):064x}"
        published = self.means.clock.now() - HOUR
        if source.startswith("images"):
            return Fact(FactKind.IMAGE, f"1.{number}.0-r36.5.0-cu126-24.04", None, digest, "", published)
        project = self.random.choice(("torch", "Torch", "torchaudio"))
        name = f"{project}-3.{number}.0-cp312-cp312-linux_aarch64.whl"
        return Fact(FactKind.WHEEL, name, f"3.{number}.0", digest, "http://127.0.0.1:9/a.whl", published)


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_says_what_one_of_all_facts_and_trials_would(tmp_path: Path, seed: int) -> None:
    history = History(NOW, facts=1500, trials=(0, 3, 40, 200)[seed % 4], works=True, read=seed * 10, seed=seed)
    with years(tmp_path, history, is_automatic=seed % 8 < 6) as means:
        device, days = means.read_device(), Days(means, Random(seed))
        for asked_now in (True, False, False, True, False):
            expected = told_of_all(means, device, asked_now)
            before = {content(one): one.id for one in all_stored(means)}
            planned = make_plan(means, device, asked_now)
            as_new = [replace(one, id=before.get(content(one), 0)) for one in planned.candidates]
            assert as_new == expected.candidates
            assert [replace(one, id=before.get(content(one), 0)) for one in planned.changed] == expected.changed
            assert (planned.starts and (content(planned.starts[0]), planned.starts[1])) == expected.starts
            stored = all_stored(means)
            assert {content(one): replace(one, id=before.get(content(one), 0)) for one in stored} == expected.stored
            again = make_plan(means, device, asked_now)
            assert (again.candidates, again.changed) == (planned.candidates, ())
            assert all_stored(means) == stored, "planning twice adds nothing"
            days.pass_one()


def all_stored(means: Means) -> list[Candidate]:
    with means.store.reading() as tx:
        return list(candidate_store.candidates(tx))


def test_the_plans_that_are_compared_say_something_of_everything(tmp_path: Path) -> None:
    """A law that holds of empty plans would hold of anything."""
    seen: set[str] = set()
    for seed in range(8):
        (tmp_path / str(seed)).mkdir()
        history = History(NOW, facts=1500, trials=(0, 3, 40, 200)[seed % 4], works=True, read=seed * 10, seed=seed)
        with years(tmp_path / str(seed), history, is_automatic=seed % 8 < 6) as means:
            device, days = means.read_device(), Days(means, Random(seed))
            for asked_now in (True, False, False, True, False):
                plan = make_plan(means, device, asked_now)
                waits = {one.waiting_for or "" for one in plan.candidates}
                seen |= {"due"} if plan.next_due else set()
                seen |= {"starts"} if plan.starts else set()
                seen |= {"overlay"} if any(one.overlay and one.compatible for one in plan.candidates) else set()
                for word in ("again at", "superseded", "paused", "announcement", "running", "left it out", "window"):
                    seen |= {word} if any(word in one for one in waits) else set()
                days.pass_one()
    expected = {"due", "starts", "overlay", "again at", "superseded", "paused", "announcement", "running"}
    assert seen == {*expected, "left it out", "window"}


@pytest.mark.parametrize("seed", range(4))
def test_what_an_event_means_is_read_from_few_facts(tmp_path: Path, seed: int) -> None:
    history = History(NOW, facts=3000, trials=200, read=300, seed=seed)
    with years(tmp_path, history, is_automatic=True) as means:
        device, days = means.read_device(), Days(means, Random(seed))
        for _ in range(8):
            make_plan(means, device, asked_now=True)
            days.pass_one()
        with means.store.reading() as tx:
            events = facts.events_since(tx)
        expected = helps_of_all(means, device, events)
        assert meanings(means, device, events) == expected
        assert {one.fact.kind for one in expected if one.helps} >= {FactKind.WHEEL, FactKind.IMAGE, FactKind.DEB}
        for one in expected[::40]:  # each alone: of the others nothing is read then
            assert meanings(means, device, (replace(one, helps=None),)) == (one,)
