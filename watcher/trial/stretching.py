"""What only the level `stretch` asks of an engine that works: several models at once, and its return after a death.

It comes last and decides nothing but the level: by then the engine has shown that it works, and it dies by our hand.
Engines that hold one model meet "several models, where the engine can" by definition.
"""

from dataclasses import dataclass, replace

from watcher.model.trial import Acceptance
from watcher.ports import Clock, Display, Host
from watcher.trial.exchange import EngineClient
from watcher.trial.ladder import reached_level
from watcher.trial.machine import Enough
from watcher.trial.order import Order
from watcher.trial.running import Running
from watcher.trial.seen import Seen, seen_in_acceptance

_PAUSE = 0.1
_MOST_TRIED = 3
"""Of an engine's other models: some only embed text, and answer nobody."""


@dataclass(slots=True)
class Stretch:
    """Begun once the engine was soaked.

    Attributes:
        ended: the container whose engine is ended here; None until then. Whatever it dies of says nothing any more.
        killed_at: on the monotonic clock.
    """

    order: Order
    host: Host
    clock: Clock
    seen: Seen
    display: Display
    ended: str | None = None
    killed_at: float = 0.0

    @property
    def is_due(self) -> bool:
        return self.order.level == "stretch" and self.ended is None and self.seen.acceptance is not None

    @property
    def is_under_way(self) -> bool:
        """Return whether the engine has shown all that decides: from here on nothing costs the verdict."""
        return self.ended is not None

    def begin(self, running: Running, client: EngineClient) -> None:
        """Ask for a second model, then end the engine as a crash would, and see that it is noticed."""
        self.ended = running.container
        self._load_several(client)
        if not self.host.state(running.container).running:
            self._tell("several models: the engine ended while they were asked; it had worked with one")
        self.display.say("killing the engine, to see that it is noticed and comes back")
        self.killed_at = self.clock.monotonic()
        self.host.kill(running.container)
        noticed = self._noticed(running, client)
        self._keep(replace(self._figures, noticed_seconds=noticed))
        grace = self.order.engine.health_grace.total_seconds()
        self._tell(
            f"recovery: its death was not noticed within {grace:.0f} s"
            if noticed is None
            else f"recovery: its death was noticed after {noticed:.1f} s"
        )

    def came_back(self, running: Running, client: EngineClient) -> bool:
        """Ask the engine that was started again what the first one was asked; return whether it answers as well."""
        seconds = round(self.clock.monotonic() - self.killed_at, 1)
        before = self.seen.acceptance
        failure = running.answers(client, self.seen)
        self.seen.acceptance = before
        if failure is not None:
            self.give_up(f"{failure} after it had come back")
            return False
        self._keep(replace(self._figures, ready_again_seconds=seconds))
        self._tell(f"recovery: it was ready again after {seconds:.1f} s, and answers")
        return True

    def give_up(self, reason: str) -> Enough:
        """Tell why it went no further, and end the trial with the verdict that it has."""
        self._tell(f"recovery: given up: {reason}")
        return Enough()

    def _noticed(self, running: Running, client: EngineClient) -> float | None:
        """Return after how many seconds the death was seen; None where health's grace was over before."""
        ends = self.killed_at + self.order.engine.health_grace.total_seconds()
        while self.host.state(running.container).running and client.is_well():
            if self.clock.monotonic() >= ends:
                return None
            self.clock.sleep(_PAUSE)
        return round(self.clock.monotonic() - self.killed_at, 1)

    def _load_several(self, client: EngineClient) -> None:
        engine = self.order.engine
        self._keep(replace(self._figures, multi_model=engine.multi_model))
        if not engine.multi_model:
            self._tell(f"several models: {engine.title} holds one, so there is nothing to ask")
            return
        others = client.other_models()
        if not others:
            self._tell(f"several models: the engine has no other model than {client.model}")
            return
        answering = next((name for name in others[:_MOST_TRIED] if self._answers(client, name)), None)
        if answering is None:
            self._keep(replace(self._figures, models_loaded=1))
            return
        first = client.complete()
        loaded = client.loaded_among((client.model, answering))
        self._keep(replace(self._figures, models_loaded=len(loaded)))
        self._tell(
            f"several models: {client.model} and {answering} answered; loaded at once: {', '.join(loaded) or 'none'}"
            if first.ok
            else f"several models: with {answering} loaded, {client.model} does not answer: {first.text}"
        )

    def _answers(self, client: EngineClient, name: str) -> bool:
        self.display.say(f"asking {name} beside {client.model}")
        reply = client.complete(name)
        if not reply.ok:
            self._tell(f"several models: {name} does not answer: {reply.text}")
        return reply.ok

    @property
    def _figures(self) -> Acceptance:
        assert self.seen.acceptance is not None, "it is due only where figures were taken"
        return self.seen.acceptance

    def _keep(self, figures: Acceptance) -> None:
        self.seen.acceptance = replace(figures, level=reached_level(figures))

    def _tell(self, line: str) -> None:
        self.seen.extra.append(seen_in_acceptance(line))
