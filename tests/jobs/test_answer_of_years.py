"""Of years of facts and trials few are read for an answer, and it is the same as of all."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.bench.history import History, configuration, write_history
from tests.clocks import SteppingClock
from tests.store.examples import all_facts
from watcher.answer import stand
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.health import rhythm_of, stale_now
from watcher.jobs.means import Means
from watcher.jobs.plan import GONE, answer_now
from watcher.model.answer import Answer
from watcher.model.facts import Fact, FactKind, KnownFact, SourceState
from watcher.planner.health import Stale, course_of, staleness
from watcher.ports import Lines
from watcher.store import candidates, facts, statics, trials

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@contextmanager
def years(folder: Path, history: History) -> Iterator[Means]:
    (folder / "config.toml").write_text(configuration(history))
    settings, clock = load_settings(folder / "config.toml", {}), SteppingClock()
    clock.time = NOW
    write_history(settings.store.data_dir, history)
    with open_means(settings, Lines(lambda line: None), clock=clock) as means:
        yield means


def stale_of_all(
    means: Means, states: Mapping[str, SourceState], known: Iterable[tuple[str, KnownFact]]
) -> dict[str, Stale]:
    """Return which sources are stale where every fact is read."""
    shown: dict[str, list[KnownFact]] = {}
    for name, fact in known:
        shown.setdefault(name, []).append(fact)
    found = {
        one.name: staleness(
            one,
            states.get(one.name),
            course_of(one, shown.get(one.name, ())),
            rhythm_of(means, one),
            means.clock.now(),
        )
        for one in means.settings.sources
    }
    return {name: stale for name, stale in found.items() if stale is not None}


def answer_of_all(means: Means) -> Answer:
    """Return what is said where every fact and every trial is read."""
    with means.store.reading() as tx:
        known = all_facts(tx)
        stale = stale_of_all(means, facts.source_states(tx), known)
        return stand(
            device=means.device(),
            bug=means.settings.bug,
            engine=means.settings.engine,
            candidates=[one for one in candidates.candidates(tx) if one.source and one.reasons != (GONE,)],
            trials=trials.trials(tx),
            statics=statics.static_records(tx),
            facts=known,
            sources=means.settings.sources,
            auto_missing=means.settings.auto_missing,
            stale={name: one.sentence for name, one in stale.items()},
        )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("works", [False, True])
def test_the_answer_is_the_one_of_all_facts_and_trials(tmp_path: Path, seed: int, works: bool) -> None:
    history = History(NOW, facts=1500, trials=(0, 3, 40, 200, 200, 400)[seed], works=works, read=seed * 20, seed=seed)
    with years(tmp_path, history) as means:
        expected = answer_of_all(means)
        assert answer_now(means, means.device()) == expected
        if history.trials >= 40:
            assert expected.trial_id is not None
            assert expected.fixed_in


@pytest.mark.parametrize("seed", range(3))
def test_which_sources_are_stale_is_told_from_few_facts(tmp_path: Path, seed: int) -> None:
    with years(tmp_path, History(NOW, facts=3000, trials=0, read=0, seed=seed)) as means:
        clock = means.clock
        assert isinstance(clock, SteppingClock)
        with means.store.reading() as tx:
            states, known = facts.source_states(tx), all_facts(tx)
            found = []
            for days in (0, 40, 60, 100, 200):
                clock.time = NOW - timedelta(days=days)
                expected = stale_of_all(means, states, known)
                assert stale_now(means, tx, states) == expected
                found.append(sum(not one.is_unseen for one in expected.values()))
        assert found[0] > 0


def test_a_pre_release_ends_no_quiet_where_final_ones_are_wanted(tmp_path: Path) -> None:
    with years(tmp_path, History(NOW, facts=1500, trials=0, read=0)) as means:
        with means.store.transaction() as tx:
            state = facts.source_states(tx)["releases-1"]
            stamps = [(f"v1.{number}", NOW - timedelta(days=100 + 10 * number), False) for number in range(4)]
            stamps.append(("v2.0rc1", NOW - timedelta(days=5), True))
            shown = [Fact(FactKind.RELEASE, name, prerelease=rc, published_at=when) for name, when, rc in stamps]
            tx.change("DELETE FROM facts WHERE source = ?", (state.name,))
            facts.save_look(tx, replace(state, last_ok=NOW), [KnownFact(one, NOW) for one in shown], ())
        with means.store.reading() as tx:
            states, known = facts.source_states(tx), all_facts(tx)
            assert stale_now(means, tx, states) == stale_of_all(means, states, known)
            assert stale_now(means, tx, states)["releases-1"].since == NOW - timedelta(days=100)
