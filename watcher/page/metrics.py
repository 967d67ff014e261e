"""What Prometheus reads, in its text format: names by its conventions, values of labels from short lists only. Pure.

A label holds what this program or the configuration names, never what an upstream wrote.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from watcher import __version__
from watcher.model.trial import Outcome
from watcher.model.verdict import BringUp, BugState
from watcher.page.facts import PageFacts, SourceRow

Sample = tuple[dict[str, str], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples; `kind` is Prometheus' TYPE."""

    name: str
    kind: str
    meaning: str
    samples: tuple[Sample, ...]


def metrics(facts: PageFacts) -> str:
    """Return the whole text; a family without a value says nothing."""
    return "".join(_text(family) for family in families(facts) if family.samples)


def families(facts: PageFacts) -> tuple[Family, ...]:
    return (*_answer(facts), *_sources(facts), *_trials(facts), *_telling(facts))


def _answer(facts: PageFacts) -> Iterator[Family]:
    answer = facts.answer
    named = {"device": answer.device, "bug": answer.bug_id, "engine": facts.engine}
    yield _gauge("watcher_build_info", "The program that wrote this.", ({"version": __version__}, 1))
    yield _gauge("watcher_answer_info", "What the answer is about.", (named, 1))
    yield _states("watcher_bug_state", "1 for what is known of the bug in this build.", BugState, answer.bug)
    yield _states("watcher_bring_up_state", "1 for how the engine does on this device.", BringUp, answer.bring_up)
    yield _gauge("watcher_answer_since_timestamp_seconds", "Since when the answer stands.", *_stamp({}, answer.since))
    waits = [{"question": question} for question in ("bug", "bring_up")]
    counted = [(one, float(sum(w.question == one["question"] for w in answer.waits_for))) for one in waits]
    yield _gauge("watcher_waits", "For how many things each question waits.", *counted)


def _sources(facts: PageFacts) -> Iterator[Family]:
    looked = [one for one in facts.sources if one.enabled and one.state is not None and one.state.last_look]
    about = [one for one in facts.sources if one.enabled]

    def each(sources: Iterable[SourceRow], value: str) -> list[Sample]:
        return [sample for one in sources for sample in _stamp(_label(one), getattr(one.state, value))]

    yield _gauge("watcher_source_up", "1 where the last look worked.", *((_label(one), _up(one)) for one in looked))
    yield _gauge(
        "watcher_source_stale",
        "1 where a source is quiet past its rhythm, or was not seen for long.",
        *((_label(one), float(one.stale is not None)) for one in about),
    )
    yield _gauge(
        "watcher_source_failed_looks",
        "Failed looks in a row.",
        *((_label(one), float(one.state.failures)) for one in looked if one.state),
    )
    yield _gauge("watcher_source_facts", "What it shows now.", *((_label(one), float(one.facts)) for one in about))
    for name, meaning, value in (
        ("last_look", "When it was last looked at.", "last_look"),
        ("last_success", "When a look last worked.", "last_ok"),
        ("last_change", "When a look last brought an event.", "last_change"),
    ):
        yield _gauge(f"watcher_source_{name}_timestamp_seconds", meaning, *each(looked, value))


def _trials(facts: PageFacts) -> Iterator[Family]:
    counted = facts.totals.outcomes
    outcomes = [({"outcome": outcome.value}, float(counted.get(outcome, 0))) for outcome in Outcome]
    yield Family("watcher_trials_total", "counter", "Trials that ended, by outcome.", tuple(outcomes))
    away: tuple[Sample, ...] = (({}, float(facts.totals.away_seconds)),)
    yield Family("watcher_service_away_seconds_total", "counter", "How long trials put services aside, in all.", away)
    ended = max((one.finished_at for one in facts.trials if one.finished_at), default=None)
    yield _gauge("watcher_last_trial_timestamp_seconds", "When the last trial ended.", *_stamp({}, ended))
    yield _gauge("watcher_trial_running", "1 while a trial runs.", ({}, float(facts.trial_is_alive)))
    owed = dict.fromkeys(("in_trial", "kept", "overdue"), 0)
    for one in facts.owed:
        owed["kept" if one.makes_room else "in_trial" if facts.trial_is_alive else "overdue"] += 1
    meaning = (
        "Services that were put aside: for the trial that runs, for an engine that is kept, or down without reason."
    )
    yield _gauge("watcher_owed_services", meaning, *(({"state": state}, float(n)) for state, n in owed.items()))


def _telling(facts: PageFacts) -> Iterator[Family]:
    totals = facts.totals
    waiting = [({"channel": name}, float(count)) for name, count in totals.undelivered.items()]
    yield _gauge("watcher_undelivered_notices", "Notices that a channel has not taken yet.", *waiting)
    yield _gauge("watcher_last_check_timestamp_seconds", "When the last check ended.", *_stamp({}, totals.checked_at))
    took: list[Sample] = [({}, totals.check_seconds)] if totals.check_seconds is not None else []
    yield _gauge("watcher_last_check_duration_seconds", "How long the last check took, its trials included.", *took)
    yield _gauge("watcher_written_timestamp_seconds", "When this was written.", ({}, facts.now.timestamp()))


def _gauge(name: str, meaning: str, *samples: Sample) -> Family:
    return Family(name, "gauge", meaning, samples)


def _states(name: str, meaning: str, states: Iterable[BugState | BringUp], now: BugState | BringUp) -> Family:
    return _gauge(name, meaning, *(({"state": state.value}, float(state is now)) for state in states))


def _stamp(labels: dict[str, str], when: datetime | None) -> list[Sample]:
    return [] if when is None else [(labels, when.timestamp())]


def _label(source: SourceRow) -> dict[str, str]:
    return {"source": source.name}


def _up(source: SourceRow) -> float:
    return float(source.state is not None and source.state.failures == 0)


def _text(family: Family) -> str:
    lines = [f"# HELP {family.name} {_escaped(family.meaning)}", f"# TYPE {family.name} {family.kind}"]
    for labels, value in family.samples:
        told = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
        lines.append(f"{family.name}{{{told}}} {value!r}" if told else f"{family.name} {value!r}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text.encode("utf-8", "replace").decode()).replace('"', '\\"')
