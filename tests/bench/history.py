"""The database of a watcher that ran for years: 10⁵ facts of 62 sources, 10⁴ trials, and what was told of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from watcher.config.load import read_presets
from watcher.demo.world import sources_toml
from watcher.model.device import DeviceState
from watcher.model.facts import Event, EventKind, Fact, FactKind, KnownFact, SourceState, Traffic
from watcher.model.notice import Notice, NoticeKind
from watcher.model.trial import Acceptance, Candidate, Outcome, Score, Stage, Start, Trial
from watcher.model.verdict import (
    BringUp,
    BugState,
    ByteEvidence,
    Evidence,
    FailureClass,
    ProbeReading,
    Rung,
    StaticReading,
    StaticRecord,
)
from watcher.planner.candidates import fingerprint
from watcher.store import facts as fact_store
from watcher.store import outbox, statics, trials
from watcher.store.database import open_store
from watcher.store.transaction import Transaction
from watcher.verdict.signatures import VERSION

YEARS = timedelta(days=4 * 365)
_STATES = (("36.4.3", "540.3.0"), ("36.4.4", "540.4.0"), ("36.5.0", "540.5.0"))
"""L4T and driver: the device was brought up to date twice."""
_KINDS: tuple[tuple[str, int, float], ...] = (
    ("wheels", 28, 0.42),
    ("images", 14, 0.34),
    ("debs", 10, 0.16),
    ("releases", 6, 0.03),
    ("items", 4, 0.05),
)
"""Kind, sources of it, its share of the facts."""
_SETUP = read_presets()["vllm"].setup
_WAY = (Stage.PREFLIGHT, Stage.PULL, Stage.INSPECT, Stage.PROBE, Stage.DISPLACE, Stage.SETTLE, Stage.START)
_WAY_BACK = (Stage.READY, Stage.TEARDOWN, Stage.RESTORE, Stage.DONE)


@dataclass(frozen=True, slots=True)
class History:
    """What is made: so many facts and trials until `now`, alike for the same `seed`.

    Attributes:
        works: an engine comes up in some trials; else the answer has to look for what an upgrade would open.
        read: how many builds were read for the bug.
    """

    now: datetime
    facts: int = 100_000
    trials: int = 10_000
    works: bool = False
    read: int = 400
    seed: int = 1


def configuration(history: History, served: Mapping[str, str] | None = None) -> str:
    """Return the text of a config.toml whose sources are those of the history.

    Where `served` is given, they are asked at the addresses that it names for them; the others are switched off.
    """
    l4t, driver = _STATES[-1]
    device = f'[device]\nname = "orin"\ndocker = "none"\nl4t = "{l4t}"\ndriver = "{driver}"\n'
    tables = [_table(kind, number) for kind, sources, _ in _KINDS for number in range(sources)]
    if served is not None:
        asked = {name: {"url": url} for name, url in served.items()}
        tables = [table | asked.get(str(table["name"]), {"enabled": False}) for table in tables]
    return f'[store]\ndata_dir = "data"\n\n{device}\n{sources_toml(tables)}'


def write_history(data_dir: Path, history: History) -> None:
    """Fill the database of `data_dir`, which is made."""
    store = open_store(data_dir)
    past = _Past(history, Random(history.seed))
    with store.transaction() as tx:
        for kind, sources, share in _KINDS:
            for number in range(sources):
                past.save_source(tx, kind, number, int(history.facts * share / sources))
        past.save_statics(tx)
        past.save_trials(tx)
    store.close()


def _table(kind: str, number: int) -> dict[str, object]:
    name, at = f"{kind}-{number}", "http://127.0.0.1:9"
    match kind:
        case "wheels":
            project, index = ("torch", "vllm", "torchvision", "flash-attn")[number % 4], ("jp6/cu126", "sbsa/cu130")
            return {"name": name, "kind": "simple-index", "url": f"{at}/{index[number % 2]}/{number}/{project}/"}
        case "images":
            image, engine = f"127.0.0.1:9/{name}/{_engine(number)}", _engine(number)
            only = {"include": "-r[0-9]+", "exclude": ["builder", "nightly"]} if number % 2 else {}
            return {"name": name, "kind": "oci-tags", "image": image, "registry_url": at, "engine": engine, **only}
        case "debs":
            packages = ["nvidia-l4t-core", "nvidia-jetpack"]
            return {"name": name, "kind": "apt", "urls": [at], "dists": [f"r36.{number}"], "packages": packages}
        case "releases":
            repo = "lab/vllm" if number == 0 else f"lab/part-{number}"
            return {"name": name, "kind": "github-releases", "repo": repo, "api_url": at}
        case _:
            return {"name": name, "kind": "feed", "url": f"{at}/{number}.atom"}


def _setup_at(begun: datetime) -> str:
    """Return the setup of a trial: every other had the one of now, as if a person changed it to and fro."""
    return _SETUP if begun.microsecond % 2 else "0123456789ab"


def _engine(number: int) -> str:
    """Return the engine of a source of images: a third brings the one that is wanted."""
    return ("vllm", "ollama", "llama-cpp")[number % 3]


class _Past:
    """Draws what happened; one draw after another from `random`, so that it is the same each time."""

    def __init__(self, history: History, random: Random) -> None:
        self.history, self.random = history, random
        self.began = history.now - YEARS
        self.images: list[tuple[str, KnownFact]] = []
        self.wheels: list[tuple[str, KnownFact]] = []

    def when(self) -> datetime:
        """Return some moment, quiet in the last two months for a third of the sources' facts."""
        return self.began + YEARS * self.random.random()

    def digest(self) -> str:
        return f"sha256:{self.random.getrandbits(256):064x}"

    def save_source(self, tx: Transaction, kind: str, number: int, count: int) -> None:
        name = f"{kind}-{number}"
        known = [self._known(fact) for fact in self._facts(kind, number, count)]
        if kind in ("wheels", "images"):
            (self.wheels if kind == "wheels" else self.images).extend((name, one) for one in known)
        changed = self.random.sample(known, min(len(known), 300))
        seen = sorted(one.first_seen for one in changed)
        events = [
            Event(name, self.random.choice(list(EventKind)), one.fact, at)
            for one, at in zip(changed, seen, strict=True)
        ]
        looked, kind_of = self.history.now - timedelta(minutes=20 + number), str(_table(kind, number)["kind"])
        state = SourceState(
            name=name,
            kind=kind_of,
            cursor=json.dumps({"etag": self.digest()}),
            baseline_at=self.began,
            last_look=looked,
            last_ok=looked if number % 9 else looked - timedelta(days=3),
            last_change=seen[-1] if seen else None,
            traffic=Traffic(90_000, 80_000, 10**9),
            newest=known[0].fact.name,
            newest_at=known[0].first_seen,
        )
        kept = fact_store.save_look(tx, state, known, events)
        for event in kept[::10]:
            outbox.enqueue(tx, Notice(NoticeKind.NEWS, f"news:{event.id}", "news", (str(event.id),), event.seen_at))

    def _known(self, fact: Fact) -> KnownFact:
        is_old = self.random.random() < 0.2
        seen = self.began if is_old else fact.published_at or self.when()
        return KnownFact(fact, seen, missed=0, withdrawn=self.random.random() < 0.06, baseline=is_old)

    def _facts(self, kind: str, number: int, count: int) -> Iterator[Fact]:
        draw, url, day = self.random.randrange, "http://127.0.0.1:9/", self.began
        for at in range(count):
            minor, patch = at // 40, at % 40
            if at % 10 == 0:  # what belongs together is published together
                day = self.when() if number % 3 else self.when() - timedelta(days=200)
            match kind:
                case "wheels":
                    project = ("torch", "vllm", "torchvision", "flash_attn")[number % 4]
                    version = f"2.{minor}.{patch}" + ("+cu126" if draw(2) else "")
                    name = f"{project}-{version}-cp3{draw(8, 14)}-cp310-linux_aarch64.whl"
                    size = {"_size": str(draw(10**9))}
                    yield Fact(FactKind.WHEEL, name, version, self.digest(), url + name, day, False, False, size)
                case "images":
                    l4t = draw(35, 40)
                    tag = f"0.{minor}.{patch}-r{l4t}.{draw(6)}-cu{(114, 129, 126, 130, 132)[l4t - 35]}-24.04"
                    tag += ("", "-builder", "-nightly")[min(2, draw(12))]
                    found = self.digest() if draw(10) == 0 else None
                    yield Fact(FactKind.IMAGE, tag, None, found, url, day if draw(2) else None)
                case "debs":
                    package = ("nvidia-l4t-core", "nvidia-jetpack", *(f"lib-{part}" for part in range(38)))[draw(40)]
                    dist, version = f"r{36 + draw(4)}.{draw(6)}", f"{at}.0-20260806224157"
                    if package == "nvidia-l4t-core":
                        version = f"{dist[1:]}.{draw(9)}-{draw(10**9)}"
                    yield Fact(FactKind.DEB, f"{package} {dist}", version, self.digest(), url)
                case "releases":
                    version = f"0.{minor}.{patch}"
                    yield Fact(FactKind.RELEASE, f"v{version}", version, None, url, day, False, draw(4) == 0)
                case _:
                    yield Fact(FactKind.ITEM, f"commit {at}: something", None, None, url, day, detail={"_id": str(at)})

    def save_statics(self, tx: Transaction) -> None:
        read = self.history.read
        wheels = [one for one in self.wheels if one[1].fact.name.startswith(("torch-", "vllm-"))]
        images = [one for one in self.images if one[1].fact.digest]
        for source, known in self.random.sample(wheels, min(read, len(wheels))):
            fact, component = known.fact, known.fact.name.partition("-")[0]
            pin = f"=={fact.version.partition('+')[0]}" if component == "vllm" and fact.version else None
            reading = self._reading("wheel", component, pin)
            record = StaticRecord(
                source, component, fact.name, fact.version, fact.digest or "", reading, known.first_seen
            )
            statics.save_static(tx, record)
        for source, known in self.random.sample(images, min(read // 4, len(images))):
            fact, reading = known.fact, self._reading("image", "torch", None)
            name = f"{source}:{fact.name}"
            statics.save_static(
                tx, StaticRecord("", "vllm", name, reading.torch, fact.digest or "", reading, known.first_seen)
            )

    def _reading(self, kind: str, component: str, pin: str | None) -> StaticReading:
        state = self.random.choice((BugState.PRESENT, BugState.PRESENT, BugState.FIXED, BugState.UNKNOWN))
        member = "torch/lib/libc10_cuda.so"
        evidence = tuple(ByteEvidence(member, f"CUDACachingAllocator.cpp {line}") for line in range(2))
        return StaticReading(f"{component} build", kind, state, "seen", "2.14.0", evidence, 1_500_000, (member,), pin)

    def save_trials(self, tx: Transaction) -> None:
        known = trials.upsert_candidates(tx, [*self._candidates()])
        tried = [one for one in known if one.engine == "vllm" or one.id % 20 == 0]
        moments = sorted(self.when() for _ in range(self.history.trials))
        for number, begun in enumerate(moments):
            trial = self._trial(self.random.choice(tried), begun, number / len(moments))
            kept = trials.new_trial(tx, replace(trial, stage=Stage.PREFLIGHT))
            ended = trial.finished_at or begun
            trials.record_trial(tx, replace(trial, id=kept.id), ended)
            tx.insert("journal", [self._change(kept.id, old, new, begun) for old, new in self._steps()])
            kind = NoticeKind.VERDICT if trial.outcome is Outcome.VERDICT else NoticeKind.TROUBLE
            outbox.enqueue(tx, Notice(kind, f"trial:{kept.id}", "trial", (str(kept.id),), ended))
        for notice in outbox.pending(tx, "mail", tuple(NoticeKind), self.history.now - YEARS):
            outbox.delivered(tx, "mail", [notice.id], notice.created_at)

    def _candidates(self) -> Iterator[Candidate]:
        for source, known in self.images:
            fact = known.fact
            if fact.digest is None:
                continue
            is_fit = "-r36.4" in fact.name or "-r36.5" in fact.name
            engine = _engine(int(source.rpartition("-")[2]))
            yield Candidate(
                engine=engine,
                image=f"127.0.0.1:9/{source}/{engine}:{fact.name}",
                digest=fact.digest,
                fingerprint=fingerprint(fact.digest),
                source=source,
                compatible=is_fit,
                reasons=() if is_fit else ("needs L4T r39.0; this device runs r36.5.0",),
                version=fact.name.partition("-")[0],
                published_at=fact.published_at,
                first_seen=known.first_seen,
                baseline=known.baseline,
            )

    def _steps(self) -> Iterator[tuple[Stage, Stage]]:
        way = (*_WAY, *_WAY_BACK)
        yield from pairwise(way)

    def _change(self, trial: int, old: Stage, new: Stage, at: datetime) -> dict[str, object]:
        return {"trial_id": trial, "old_stage": old, "new_stage": new, "reason": "passed", "at": at}

    def _trial(self, candidate: Candidate, begun: datetime, share: float) -> Trial:
        l4t, driver = _STATES[min(int(share * len(_STATES)), len(_STATES) - 1)]
        state, draw = DeviceState(l4t, driver, f"boot-{int(share * 200)}"), self.random.random
        ended = begun + timedelta(minutes=7)
        outcome = self.random.choices(tuple(Outcome), (70, 12, 15, 3))[0]
        trial = Trial(candidate, state, "cuda-allocator", begun, 0, ended, Stage.DONE, outcome, setup=_setup_at(begun))
        if outcome is not Outcome.VERDICT:
            return replace(trial, failed_stage=Stage.PREFLIGHT, reason="0.4 GB free, 8.0 GB needed")
        works = self.history.works and share > 0.9 and draw() < 0.5
        bug = BugState.FIXED if share > 0.8 and draw() < 0.9 else BugState.PRESENT
        return replace(trial, **self._seen(bug, works))

    def _seen(self, bug: BugState, works: bool) -> dict[str, Any]:
        text = 'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "CUDACachingAllocator.cpp":1131'
        evidence = tuple(Evidence(Rung.BRING_UP, text, "nvml-assert", 100 + line) for line in range(5))
        failed = None if works else FailureClass.ALLOCATOR_NVML_ASSERT
        bring_up, stage = (BringUp.WORKS, Stage.ACCEPT) if works else (BringUp.FAILS, Stage.READY)
        figures = Acceptance(True, True, True, Score(30, 32), Score(66, 68), 1.4, None, "minimum", 72)
        return {
            "bug": bug,
            "bring_up": bring_up,
            "failure_class": failed,
            "failed_stage": None if works else Stage.READY,
            "reason": "seen in the log of the engine",
            "starts": (Start("recommended", stage, bring_up, failed, 1, "logs/trial-1/start-0.log.gz"),) * 2,
            "deciding_start": 0,
            "evidence": (Evidence(Rung.STATIC, "the assert is in the bytes"), *evidence),
            "basis": (Rung.STATIC, Rung.PROBE, Rung.BRING_UP),
            "acceptance": figures if works else None,
            "displaced": ("container:zoe-ollama",),
            "away_seconds": 212.5,
            "signatures": VERSION,
            "probe": ProbeReading(bug, True, "clean", "2.14.0", "/usr/lib/libc10_cuda.so", "said"),
        }


def main(folder: str, works: str = "") -> None:
    """Make a folder that `watcher --config FOLDER/config.toml status` can be asked in."""
    history, at = History(datetime.now(UTC), works=bool(works)), Path(folder)
    at.mkdir(parents=True, exist_ok=True)
    (at / "config.toml").write_text(configuration(history))
    write_history(at / "data", history)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
