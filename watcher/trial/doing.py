"""What a trial does at each stage, in words for a person who watches."""

from collections.abc import Sequence

from watcher.model.container import OwedService
from watcher.model.trial import Stage
from watcher.trial.order import Order


def doing(stage: Stage, order: Order, services: Sequence[OwedService], profile: str | None) -> str:
    """Return what the stage does; `profile` is that of the start under way, None before one."""
    engine = order.engine.title + (f" with profile {profile}" if profile else "")
    named = ", ".join(owed.service for owed in services) or "nothing"
    words = {
        Stage.PREFLIGHT: "looking whether the device is fit for it",
        Stage.PULL: f"fetching {order.candidate.image}",
        Stage.INSPECT: f"reading {order.bug.component} where it lies",
        Stage.PROBE: "asking the build itself for the bug",
        Stage.DISPLACE: f"putting {named} aside",
        Stage.SETTLE: "waiting until memory has come to rest",
        Stage.START: f"starting {engine}",
        Stage.READY: f"waiting until {engine} is ready",
        Stage.ACCEPT: f"asking {engine} for answers",
        Stage.SOAK: f"watching {engine}",
        Stage.TEARDOWN: f"ending {engine}",
        Stage.RESTORE: f"giving {named} back",
    }
    return words[stage]
