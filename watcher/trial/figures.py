"""The figures of an engine that works: its answers to the phrases, or what the operator's command says of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from watcher.ports import Clock, Display
from watcher.trial.asking import Asking
from watcher.trial.exchange import EngineClient
from watcher.trial.ladder import reached_level
from watcher.trial.machine import Event
from watcher.trial.order import Order
from watcher.trial.scoring import Scoring
from watcher.trial.seen import Seen, seen_in_acceptance


@dataclass(slots=True)
class Figures:
    """`measuring` is set while they are taken, and stays set where that is cut off: the engine worked all the same."""

    order: Order
    clock: Clock
    seen: Seen
    display: Display
    measuring: Asking | Scoring | None = None

    def take(
        self,
        client: EngineClient,
        tools: bool,
        until: float,
        give_way: Callable[[], None],
        still_well: Callable[[], Event | None],
    ) -> Event | None:
        """Return the engine's end where it dies meanwhile. `until` is on the monotonic clock, `tools`: it has some."""
        self.measuring = measuring = self._begin(client, tools)
        if measuring is None:
            return None
        try:
            dead = measuring.ask(until, give_way, still_well)
        finally:  # whatever ends it: what was measured is kept
            self.seen.extra += map(seen_in_acceptance, measuring.told())
            if self.seen.acceptance is not None:
                figures = measuring.measured(self.seen.acceptance)
                self.seen.acceptance = replace(figures, level=reached_level(figures))
        self.measuring = None
        return dead

    def _begin(self, client: EngineClient, tools: bool) -> Asking | Scoring | None:
        if self.order.score_command is not None:
            self.display.say("running the command of [acceptance]")
            return Scoring(self.order.score_command, client.base_url, client.model)
        phrases = self.order.suite.asked_for(self.order.level)
        if not tools or not phrases:
            return None
        self.display.say(f"asking {len(phrases)} phrases")
        return Asking(self.order.suite, phrases, client, self.clock)
