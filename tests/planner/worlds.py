"""Values that the planner's tests are made of."""

from datetime import UTC, datetime, timedelta

from watcher.config.engines import EngineSettings
from watcher.config.load import read_presets
from watcher.config.sources import OciTagsConfig
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.model.verdict import BringUp, BugState, Rung
from watcher.planner.candidates import fingerprint
from watcher.planner.versions import parse_tag

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUG_ID = "cuda-allocator"


def vllm() -> EngineSettings:
    return read_presets()["vllm"]


def orin(l4t: str | None = "36.4.4", driver: str | None = None, boot: str | None = "boot-1") -> DeviceFacts:
    return DeviceFacts("orin-nx", DeviceState(l4t, driver, boot), model="NVIDIA Jetson Orin NX Engineering Reference")


def digest(name: str) -> str:
    return "sha256:" + name.encode().hex().ljust(64, "0")[:64]


def tag(name: str, content: str | None = None, *, seen: datetime = NOW, baseline: bool = False) -> KnownFact:
    """Return an image tag as a source stored it; `content` None has no digest."""
    fact = Fact(FactKind.IMAGE, name, parse_tag(name).version, digest(content) if content else None)
    return KnownFact(fact, first_seen=seen, baseline=baseline)


def oci(image: str = "dustynv/vllm", **keys: object) -> OciTagsConfig:
    return OciTagsConfig.model_validate(
        {"kind": "oci-tags", "name": image.replace("/", "-").replace(":", "-"), "image": image, **keys}
    )


def candidate(name: str, *, seen: datetime = NOW - 24 * HOUR, baseline: bool = False, **keys: object) -> Candidate:
    """Return a compatible vLLM candidate with the tag `name`, whose content is named like it."""
    values: dict[str, object] = {
        "engine": "vllm",
        "image": f"dustynv/vllm:{name}",
        "digest": digest(name),
        "fingerprint": fingerprint(digest(name)),
        "compatible": True,
        "version": parse_tag(name).version,
        "first_seen": seen,
        "baseline": baseline,
    }
    return Candidate(**(values | keys))  # type: ignore[arg-type]


def trial(
    of: Candidate,
    outcome: Outcome | None = Outcome.VERDICT,
    *,
    ended: datetime = NOW - HOUR,
    device: DeviceFacts | None = None,
    number: int = 1,
    **keys: object,
) -> Trial:
    """Return a trial that began ten minutes before it ended; a verdict says present and fails unless told."""
    values: dict[str, object] = {"setup": "setup-1"}
    if outcome is Outcome.VERDICT:
        values |= {"bug": BugState.PRESENT, "bring_up": BringUp.FAILS, "basis": (Rung.STATIC, Rung.BRING_UP)}
    return Trial(
        candidate=of,
        device_state=(device or orin()).state,
        bug_id=BUG_ID,
        started_at=ended - timedelta(minutes=10),
        finished_at=ended if outcome else None,
        outcome=outcome,
        id=number,
        **(values | keys),  # type: ignore[arg-type]
    )
