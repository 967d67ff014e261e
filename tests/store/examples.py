"""Values that the tests of the store keep."""

from datetime import UTC, datetime, timedelta

from watcher.model.device import DeviceState
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.model.notice import Notice, NoticeKind
from watcher.model.trial import Candidate, Trial
from watcher.store.facts import facts_where
from watcher.store.transaction import Reading

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wheel(name: str = "torch-2.14.0-cp310-cp310-linux_aarch64.whl", digest: str = "sha256:aa") -> Fact:
    return Fact(FactKind.WHEEL, name, "2.14.0", digest, f"http://127.0.0.1/{name}", NOON)


def known(fact: Fact | None = None) -> KnownFact:
    return KnownFact(fact or wheel(), NOON)


def candidate(fingerprint: str = "f1", first_seen: datetime | None = NOON) -> Candidate:
    return Candidate("vllm", f"example/vllm:{fingerprint}", "sha256:bb", fingerprint, first_seen=first_seen)


def begun(of: Candidate | None = None) -> Trial:
    return Trial(of or candidate(), DeviceState("36.4.4", "540.4.0", "boot"), "cuda-allocator", NOON)


def notice(key: str, kind: NoticeKind = NoticeKind.NEWS, at: datetime = NOON) -> Notice:
    return Notice(kind, key, "news", ("1", "2"), at)


def all_facts(tx: Reading) -> tuple[tuple[str, KnownFact], ...]:
    """Return every fact with its source's name, in order of source and key."""
    return tuple(sorted(facts_where(tx, "true"), key=lambda row: (row[0], row[1].fact.key)))
