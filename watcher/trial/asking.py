"""Asking the phrases of a suite, one after another, for as long as there is time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from watcher.model.suite import Phrase, Suite
from watcher.model.trial import Acceptance
from watcher.ports import Clock
from watcher.trial.exchange import EngineClient
from watcher.trial.machine import Event
from watcher.trial.phrases import Answer, is_right, measured, shown, told

_LOOK_EVERY = 1.0
_LEAST_SECONDS = 0.5


@dataclass(slots=True)
class Asking:
    """`answers` holds what came so far, also when the asking is cut off; `phrases` are those of the suite to ask."""

    suite: Suite
    phrases: tuple[Phrase, ...]
    client: EngineClient
    clock: Clock
    answers: list[Answer] = field(default_factory=list)

    def ask(self, until: float, give_way: Callable[[], None], still_well: Callable[[], Event | None]) -> Event | None:
        """Ask what was not asked yet; return the engine's end where it dies.

        `until` is on the monotonic clock; `give_way` raises where the trial must end for others.
        """
        declared = self.suite.declared
        looked = self.clock.monotonic()
        for phrase in self.phrases[len(self.answers) :]:
            begun = self.clock.monotonic()
            if until - begun < _LEAST_SECONDS:
                return None
            if begun - looked >= _LOOK_EVERY:
                give_way()
                looked = begun
            answer = self.client.ask(phrase.say, self.suite.tools, until - begun)
            ended = self.clock.monotonic()
            if answer.fault is not None and ended >= until:
                return None  # it was our time that ended, so the phrase was not asked
            if answer.fault is not None and (dead := still_well()) is not None:
                return dead
            seconds = math.inf if answer.fault is not None else ended - begun
            self.answers.append(Answer(phrase, is_right(phrase, answer, declared), seconds, shown(answer)))
        return None

    def measured(self, seen: Acceptance) -> Acceptance:
        return measured(seen, self.suite, self.answers)

    def told(self) -> tuple[str, ...]:
        return tuple(told(len(self.phrases), self.answers))
