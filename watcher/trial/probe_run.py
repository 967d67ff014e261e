"""One run of the probe, in a container of the candidate, and what it says."""

from dataclasses import dataclass, replace

from watcher.errors import CannotStart
from watcher.model.container import LocalImage
from watcher.model.verdict import BugState, Evidence, ProbeReading
from watcher.ports import Host
from watcher.trial.order import LABEL, Order
from watcher.trial.overlaying import read_overlay_probe
from watcher.trial.probing import probe_spec, read_probe

_OUTPUT_CAP = 1_000_000


@dataclass(slots=True)
class ProbeRun:
    """`started` tells a probe that does not end from a container that could not be started."""

    order: Order
    host: Host
    started: bool = False

    def read(self, image: LocalImage, trial_id: int, extra: list[Evidence]) -> ProbeReading:
        """Return what the probe says, and add to `extra` how it was laid out where that needs saying."""
        source = self.order.bug.probe or ""
        spec = probe_spec(image.id, source, self.order.engine, self.order.device.runtime)
        # with the engine's mounts: some bring torch along, and a wrong path is refused before anything is stopped
        mounts = tuple(replace(mount, read_only=True) for mount in self.order.engine.parsed_mounts())
        spec = replace(spec, labels={LABEL: str(trial_id)}, mounts=mounts)
        laying = self.order.laying
        if laying is not None:
            spec = laying.over(spec, image)
            extra.append(laying.evidence())
        try:
            container = self.host.start(spec)
            self.started = True
            output = bytearray()
            for chunk in self.host.follow(container):
                output += chunk[: _OUTPUT_CAP - len(output)]
            state = self.host.state(container)
        except CannotStart as error:
            return ProbeReading(BugState.UNKNOWN, trap_set=False, reason=f"the probe could not be run: {error.message}")
        finally:
            self.host.remove_trial()
        if laying is not None:
            return read_overlay_probe(bytes(output), state.exit_code, laying.overlay)
        return read_probe(bytes(output), state.exit_code)
