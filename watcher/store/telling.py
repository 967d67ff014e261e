"""The few facts and trials that an answer can stand on, out of all that years have left.

What is returned is chosen so that `watcher.answer.stand` says the same of it as of everything; a test compares both on
generated histories. The values are whole where they speak, and lack what no answer reads.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import Select, TableValuedAlias, and_, bindparam, func, or_, select, text, tuple_

from watcher.model.device import DeviceState
from watcher.model.facts import FactKind, KnownFact
from watcher.model.trial import Candidate, Trial
from watcher.model.verdict import FailureClass
from watcher.store.candidates import candidates as stored_candidates
from watcher.store.database import Transaction
from watcher.store.facts import facts_where
from watcher.store.tables import candidates, facts, sources, statics, trials
from watcher.store.trials import outlines

Facts = tuple[tuple[str, KnownFact], ...]


def candidates_of(tx: Transaction, engines: Collection[str]) -> tuple[Candidate, ...]:
    """Return the candidates of these engines that a source showed at some time, in order of id."""
    return tuple(stored_candidates(tx, candidates.c.engine.in_(engines) & (candidates.c.source != "")))


def telling_facts(
    tx: Transaction, engines: Collection[str], images: Collection[str], releases: Collection[str], debs: Collection[str]
) -> Facts:
    """Return the facts of which an answer can speak, in order of source and key.

    Args:
        images: sources of the wanted engine's images; what they show is judged for another L4T, too.
        releases: sources of its releases.
        debs: names of packages that tell an L4T or a JetPack.
    """
    known = candidates.c.engine.in_(engines) & (candidates.c.source != "")
    wheel = facts.c.kind == FactKind.WHEEL
    image = facts.c.kind == FactKind.IMAGE
    dists = select(sources.c.name).where(sources.c.kind == "apt")
    of_apt = (facts.c.kind == FactKind.DEB) & facts.c.source.in_(dists)
    undigested = select(statics.c.source, func.substr(statics.c.digest, 6)).where(statics.c.digest.startswith("name:"))
    chosen = (
        and_(image, facts.c.source.in_(images), facts.c.digest.is_not(None)),
        and_(image, facts.c.source.not_in(images), facts.c.digest.in_(select(candidates.c.digest).where(known))),
        and_(facts.c.kind == FactKind.RELEASE, facts.c.source.in_(releases)),
        *(of_apt & facts.c.key.between(f"{name} ", f"{name}!") for name in debs),  # a key begins with the name
        and_(wheel, facts.c.digest.in_(select(statics.c.digest))),
        and_(wheel, facts.c.digest.is_(None), tuple_(facts.c.source, facts.c.key).in_(undigested)),
    )
    found = {(source, fact.fact.key): fact for one in chosen for source, fact in facts_where(tx, one)}
    speaking = (
        (FactKind.IMAGE, tx.execute(select(candidates.c.source).where(known).distinct()).scalars().all()),
        (FactKind.WHEEL, tx.execute(select(statics.c.source).distinct()).scalars().all()),
    )
    for kind, names in speaking:  # that it shows any says that what it does not show is gone
        heard = {source for (source, _), one in found.items() if one.fact.kind is kind}
        for name in sorted(set(names) - heard):
            of_kind = (facts.c.kind == kind) & (facts.c.source == name)
            found.update(((source, one.fact.key), one) for source, one in facts_where(tx, of_kind, 1))
    return tuple((source, found[source, key]) for source, key in sorted(found))


def wheels_of_version(tx: Transaction, versions: Iterable[str]) -> Facts:
    """Return the wheels of these public versions, whatever their local part."""
    spelled = [begin + version for version in versions for begin in ("", "v")]
    locals_of = (facts.c.version.between(f"{version}+", f"{version},") for version in spelled)
    is_one = or_(facts.c.version.in_(spelled), *locals_of)
    return tuple(facts_where(tx, is_one & (facts.c.kind == FactKind.WHEEL))) if spelled else ()


def telling_trials(
    tx: Transaction,
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
    speaking = _listed(_speaking(tx, bug_id, engine, state, gone))
    found = {one.id: one for one in outlines(tx, select(*_SPEAKING).where(trials.c.id.in_(select(speaking.c.value))))}
    boots = {one.device_state.boot_id for one in found.values() if one.device_state.key == state.key} - {None}
    first = select(*_SPEAKING, trials.c.starts).where(trials.c.id.in_(_first_of_boot(boots, may_leave_memory)))
    found.update((one.id, one) for one in outlines(tx, first))
    return tuple(sorted(found.values(), key=lambda one: one.id, reverse=True))


def _speaking(tx: Transaction, bug_id: str, engine: str, state: DeviceState, gone: Sequence[str]) -> Iterator[int]:
    """Yield the ids of the verdicts that count here, and of those where the engine's answers turned."""
    ours = set(tx.execute(_IMAGES_OF, {"engine": engine}).scalars().all())
    unusable = set(tx.execute(_UNUSABLE, {"gone": tuple(gone), "engine": engine}).scalars().all())
    here = {"bug": bug_id, "l4t": state.l4t or "?", "driver": state.driver or "?"}
    course: list[tuple[int, str, bool]] = []
    for number, candidate, said, is_here in tx.execute(_VERDICTS, here).all():
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


def _listed(values: Iterable[int | str | None]) -> TableValuedAlias:
    """Return values as a table: as many as there are, where bound ones come to an end."""
    return func.json_each(json.dumps([*values])).table_valued("value")


def _first_of_boot(boots: Iterable[str | None], may_leave_memory: Iterable[FailureClass]) -> Select[int | None]:
    """Return the query for, of each boot, the first trial with such a start; None where a boot had none."""
    one = trials.alias()
    says = or_(
        *(
            func.instr(one.c.starts, f'"failure_class":{space}"{failure.value}"') > 0
            for failure in may_leave_memory
            for space in ("", " ")
        )
    )
    each = _listed(boots)
    on_boot = select(one.c.id).where(one.c.boot_id == each.c.value, says).order_by(one.c.started_at, one.c.id)
    return select(on_boot.limit(1).scalar_subquery()).select_from(each)


_IMAGES_OF = text("SELECT id FROM candidates WHERE engine = :engine AND overlay IS NULL")
_UNUSABLE = text(
    """
    SELECT id FROM candidates c
    WHERE engine = :engine AND NOT compatible AND source != '' AND reasons != :gone AND overlay IS NULL AND EXISTS (
      SELECT 1 FROM facts f WHERE f.digest = c.digest AND f.kind = 'image' AND NOT f.withdrawn
    )
    """
).bindparams(bindparam("gone", type_=candidates.c.reasons.type))
_VERDICTS = text(
    """
    SELECT id, candidate_id, bug || ' ' || bring_up,
      coalesce(nullif(l4t, ''), '?') = :l4t AND coalesce(nullif(driver, ''), '?') = :driver
    FROM trials WHERE outcome = 'verdict' AND bug_id = :bug ORDER BY ended_at, id
    """
)
_SPEAKING = (
    trials.c.id,
    trials.c.candidate,
    trials.c.device_state,
    trials.c.bug_id,
    trials.c.started_at,
    trials.c.finished_at,
    trials.c.stage,
    trials.c.outcome,
    trials.c.bug,
    trials.c.bring_up,
    trials.c.failure_class,
    trials.c.basis,
    trials.c.probe,
)
