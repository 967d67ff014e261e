"""The few facts and trials that an answer can stand on, out of all that years have left.

What is returned is chosen so that `watcher.answer.stand` says the same of it as of everything; a test compares both on
generated histories. The values are whole where they speak, and lack what no answer reads.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from watcher.model.device import DeviceState
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate, Trial
from watcher.model.verdict import FailureClass
from watcher.store.candidates import candidates
from watcher.store.facts import facts_where
from watcher.store.transaction import Reading
from watcher.store.trials import outlines
from watcher.store.values import json_text, listed

Facts = tuple[tuple[str, KnownFact], ...]

_KNOWN = "engine IN (SELECT value FROM json_each(:engines)) AND source != ''"
"""What holds of a candidate of these engines that a source showed at some time."""


def candidates_of(tx: Reading, engines: Collection[str]) -> tuple[Candidate, ...]:
    """Return the candidates of these engines that a source showed at some time, in order of id."""
    return tuple(candidates(tx, _KNOWN, {"engines": listed(engines)}))


def telling_facts(
    tx: Reading, engines: Collection[str], images: Collection[str], releases: Collection[str], debs: Collection[str]
) -> Facts:
    """Return the facts of which an answer can speak, in order of source and key.

    Args:
        images: sources of the wanted engine's images; what they show is judged for another L4T, too.
        releases: sources of its releases.
        debs: names of packages that tell an L4T or a JetPack.
    """
    named = {"engines": listed(engines), "images": listed(images), "releases": listed(releases)}
    ours = "source IN (SELECT value FROM json_each(:images))"
    known = f"SELECT digest FROM candidates WHERE {_KNOWN}"
    of_apt = "kind = 'deb' AND source IN (SELECT name FROM sources WHERE kind = 'apt')"
    undigested = "SELECT source, substr(digest, 6) FROM statics WHERE digest LIKE 'name:%'"
    chosen = (
        f"kind = 'image' AND {ours} AND digest IS NOT NULL",
        f"kind = 'image' AND NOT {ours} AND digest IN ({known})",
        "kind = 'release' AND source IN (SELECT value FROM json_each(:releases))",
        "kind = 'wheel' AND digest IN (SELECT digest FROM statics)",
        f"kind = 'wheel' AND digest IS NULL AND (source, key) IN ({undigested})",
    )
    found = {(source, fact.fact.key): fact for one in chosen for source, fact in facts_where(tx, one, named)}
    for name in debs:  # a key begins with the name
        of_name = facts_where(tx, f"{of_apt} AND key BETWEEN ? AND ?", (f"{name} ", f"{name}!"))
        found.update(((source, one.fact.key), one) for source, one in of_name)
    speaking = (
        (FactKind.IMAGE, tx.rows(f"SELECT DISTINCT source FROM candidates WHERE {_KNOWN}", named)),
        (FactKind.WHEEL, tx.rows("SELECT DISTINCT source FROM statics")),
    )
    for kind, rows in speaking:  # that it shows any says that what it does not show is gone
        heard = {source for (source, _), one in found.items() if one.fact.kind is kind}
        for name in sorted({row[0] for row in rows} - heard):
            any_of_kind = facts_where(tx, "kind = ? AND source = ? LIMIT 1", (kind, name))
            found.update(((source, one.fact.key), one) for source, one in any_of_kind)
    return tuple((source, found[source, key]) for source, key in sorted(found))


def wheels_of_version(tx: Reading, versions: Iterable[str]) -> Facts:
    """Return the wheels of these public versions, whatever their local part."""
    spelled = [begin + version for version in dict.fromkeys(versions) for begin in ("", "v")]
    is_one = "(version = ? OR version BETWEEN ? AND ?) AND kind = 'wheel'"
    ranges = ((version, f"{version}+", f"{version},") for version in spelled)
    return tuple(fact for one in ranges for fact in facts_where(tx, is_one, one))


def telling_trials(
    tx: Reading,
    bug_id: str,
    engine: str,
    state: DeviceState,
    gone: Sequence[str],
    may_leave_memory: Iterable[FailureClass],
) -> tuple[Trial, ...]:
    """Return the trials of which an answer can speak, newest first, without what it does not read of them.

    These are the verdicts on this device state, but for those of images that sources show and it cannot run any more;
    of all others, those where the answers turned, or that came just before; and, for each boot with a verdict on this
    device state, the first trial with a start that may have left memory mapped.

    Args:
        gone: the reasons against candidates that no source shows any more.
    """
    speaking = listed(_speaking(tx, bug_id, engine, state, gone))
    these = outlines(tx, _SPEAKING, "WHERE id IN (SELECT value FROM json_each(?))", (speaking,))
    found = {one.id: one for one in these}
    boots = {one.device_state.boot_id for one in found.values() if one.device_state.key == state.key} - {None}
    found.update((one.id, one) for one in _first_of_boots(tx, boots, may_leave_memory))
    return tuple(sorted(found.values(), key=lambda one: one.id, reverse=True))


def _speaking(tx: Reading, bug_id: str, engine: str, state: DeviceState, gone: Sequence[str]) -> Iterator[int]:
    """Yield the ids of the verdicts that count here, and of those where the engine's answers turned."""
    ours = {row[0] for row in tx.rows(_IMAGES_OF, (engine,))}
    reasons = json_text(tuple[str, ...], tuple(gone))
    unusable = {row[0] for row in tx.rows(_UNUSABLE, {"gone": reasons, "engine": engine})}
    here = {"bug": bug_id, "l4t": state.l4t or "?", "driver": state.driver or "?"}
    course: list[tuple[int, str, bool]] = []
    for number, candidate, said, is_here in tx.rows(_VERDICTS, here):
        if candidate in ours:
            course.append((number, said, is_here and candidate not in unusable))
        elif is_here:
            yield number
    edge = (0, "", False)
    for (_, before, _), (number, said, counts), (_, after, is_next) in zip(
        (edge, *course), course, (*course[1:], edge), strict=False
    ):
        if counts or is_next or not before == said == after:
            yield number


def _first_of_boots(
    tx: Reading, boots: Iterable[str | None], may_leave_memory: Iterable[FailureClass]
) -> Iterator[Trial]:
    """Yield, of each boot, the first trial with such a start, where it had one."""
    spelled = [f'"failure_class":{space}"{failure.value}"' for failure in may_leave_memory for space in ("", " ")]
    rest = """
        WHERE id IN (
          SELECT (
            SELECT id FROM trials WHERE boot_id = boot.value
              AND EXISTS (SELECT 1 FROM json_each(:spelled) says WHERE instr(starts, says.value))
            ORDER BY started_at, id LIMIT 1
          ) FROM json_each(:boots) boot
        )
    """
    yield from outlines(tx, (*_SPEAKING, "starts"), rest, {"boots": listed(boots), "spelled": listed(spelled)})


_IMAGES_OF = "SELECT id FROM candidates WHERE engine = ? AND overlay IS NULL"
_UNUSABLE = """
    SELECT id FROM candidates c
    WHERE engine = :engine AND NOT compatible AND source != '' AND reasons != :gone AND overlay IS NULL AND EXISTS (
      SELECT 1 FROM facts f WHERE f.digest = c.digest AND f.kind = 'image' AND NOT f.withdrawn
    )
"""
_VERDICTS = """
    SELECT id, candidate_id, bug || ' ' || bring_up,
      coalesce(nullif(l4t, ''), '?') = :l4t AND coalesce(nullif(driver, ''), '?') = :driver
    FROM trials WHERE outcome = 'verdict' AND bug_id = :bug ORDER BY ended_at, id
"""
_SPEAKING = (
    "id",
    "candidate",
    "device_state",
    "bug_id",
    "started_at",
    "finished_at",
    "stage",
    "outcome",
    "bug",
    "bring_up",
    "failure_class",
    "basis",
    "probe",
)
