"""The start that is under way, and the first questions that decide whether it works."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from watcher.errors import HostError
from watcher.model.container import ContainerState
from watcher.model.trial import Acceptance
from watcher.ports import Display, Host
from watcher.trial.engine_log import EngineLog
from watcher.trial.exchange import EngineClient
from watcher.trial.ladder import reached_level
from watcher.trial.metrics import kept_text, metrics_beside
from watcher.trial.seen import Seen, seen_in_acceptance
from watcher.verdict.judge import StartSeen


@dataclass(slots=True)
class Running:
    """An engine in its container; `seen` grows with each answer, so that nothing is lost where time runs out."""

    container: str
    log: EngineLog
    log_name: str
    seen: StartSeen

    def end(self, host: Host, grace: timedelta, display: Display) -> tuple[bool, ContainerState]:
        """Return whether we ended it, and how it stood; a lost daemon takes nothing of what was seen before."""
        try:
            state = host.state(self.container)
            if not state.running:
                return False, state
            return True, host.signal(self.container, grace.total_seconds())
        except HostError as error:
            display.say(f"the end of the engine was not seen: {error}")
            return True, ContainerState(exists=False)

    def keep_metrics(self, client: EngineClient) -> None:
        """Keep beside the log what the engine tells of itself now; a full disk costs the file, never the trial."""
        path = metrics_beside(self.log.path)
        if kept := kept_text(client.scrape()):
            try:
                path.write_bytes(kept)
            except OSError:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def answers(self, client: EngineClient, trial: Seen) -> str | None:
        """Ask for an answer, a streamed one and, where declared, a tool call; return why the engine fails, or None."""
        answered = client.complete()
        self.seen = replace(self.seen, completion_ok=answered.ok)
        trial.extra.append(seen_in_acceptance(f"completion: {answered.text}"))
        if (shortfall := client.shortfall()) is not None:
            self.seen = replace(self.seen, shortfall=shortfall)
            trial.extra.append(seen_in_acceptance(shortfall))
        if not answered.ok:
            return "the engine did not answer a completion"
        streamed = client.stream()
        self.seen = replace(self.seen, stream_ok=streamed.ok)
        trial.extra.append(seen_in_acceptance(f"stream: {streamed.text}"))
        metrics = client.metrics()
        trial.extra.append(seen_in_acceptance(f"metrics: {f'{len(metrics)} kinds' if metrics else 'none'}"))
        acceptance = Acceptance(completion=True, streams=streamed.ok, metrics=len(metrics))
        if self.seen.tools_asked:
            called = client.call_tool()
            self.seen = replace(self.seen, tool_ok=called.ok)
            trial.extra.append(seen_in_acceptance(f"tool call: {called.text}"))
            acceptance = replace(acceptance, tool_call=called.ok)
        trial.acceptance = replace(acceptance, level=reached_level(acceptance))
        return "the engine did not call the tool" if self.seen.tools_asked and not self.seen.tool_ok else None
