"""Which wheel is read next: wheels only, whatever else a source lists under a name."""

from tests.planner.worlds import NOW
from watcher.model.facts import Fact, FactKind, KnownFact
from watcher.planner.inspections import next_wheel

NAME = "torch-2.14.0-cp310-cp310-linux_aarch64.whl"


def known(kind: FactKind, name: str = NAME) -> KnownFact:
    return KnownFact(Fact(kind, name), first_seen=NOW)


def test_a_new_wheel_of_the_component_is_read_next() -> None:
    fact = next_wheel([known(FactKind.WHEEL)], [], "torch", frozenset())
    assert fact is not None
    assert fact.name == NAME


def test_what_a_list_names_is_never_read() -> None:
    listed = [known(FactKind.INDEX), known(FactKind.INDEX, "torch"), known(FactKind.INDEX, "jp6/cu126")]
    assert next_wheel(listed, [], "torch", frozenset()) is None
