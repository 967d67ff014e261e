"""What a look changes, and what of it is told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.worlds import NOW
from watcher.errors import SourceChanged
from watcher.model.facts import Event, EventKind, Fact, FactKind, KnownFact, Poll
from watcher.planner.news import Changes, changes, is_wanted

Known = dict[str, KnownFact]


class Watch:
    """A source with its memory: each look is one hour after the one before."""

    def __init__(self, *shown: Fact, **options: object) -> None:
        self.known: Known = {}
        self.options = options
        self.now = NOW
        if shown:
            self.look(*shown, baseline=True)

    def look(
        self, *shown: Fact, baseline: bool = False, complete: bool = True, is_fresh: bool = False
    ) -> tuple[Event, ...]:
        return self.see(Poll(shown, complete=complete, is_fresh=is_fresh), baseline=baseline)

    def see(self, poll: Poll, baseline: bool = False) -> tuple[Event, ...]:
        found: Changes = changes("s", self.known, poll, baseline=baseline, now=self.now, **self.options)  # type: ignore[arg-type]
        self.known |= {fact.fact.key: fact for fact in found.facts}
        self.now += timedelta(hours=1)
        return found.events


def told(events: tuple[Event, ...]) -> list[tuple[str, str]]:
    return [(event.kind.value, event.fact.name) for event in events]


def release(name: str, **keys: object) -> Fact:
    return Fact(FactKind.RELEASE, name, name.removeprefix("v"), **keys)  # type: ignore[arg-type]


def image(name: str, content: str | None, **keys: object) -> Fact:
    return Fact(FactKind.IMAGE, name, digest=f"sha256:{content}" if content else None, **keys)  # type: ignore[arg-type]


def test_first_sight_is_not_news_but_is_kept() -> None:
    watch = Watch()
    assert watch.look(release("v0.32.0"), release("v0.33.0"), baseline=True) == ()
    assert all(fact.baseline for fact in watch.known.values())
    assert len(watch.known) == 2


def test_what_comes_later_is_new_in_the_order_of_versions() -> None:
    watch = Watch(release("v0.9.0"))
    events = watch.look(release("v0.10.0"), release("v0.9.0"), release("v0.9.1"))
    assert told(events) == [("new", "v0.9.1"), ("new", "v0.10.0")]
    assert not watch.known["v0.10.0"].baseline


def test_the_same_name_with_other_content_is_rebuilt_and_counts_as_seen_now() -> None:
    watch = Watch(image("r36.4", "a"))
    (event,) = watch.look(image("r36.4", "b"))
    assert (event.kind, event.previous_digest, event.fact.digest) == (EventKind.REBUILT, "sha256:a", "sha256:b")
    kept = watch.known["r36.4"]
    assert (kept.first_seen, kept.baseline) == (NOW + timedelta(hours=1), False)


def test_a_digest_that_is_looked_up_later_is_no_event_and_one_that_is_not_is_kept() -> None:
    watch = Watch(image("r36.4", None))
    assert watch.look(image("r36.4", "a")) == ()
    assert watch.look(image("r36.4", None)) == ()
    assert watch.known["r36.4"].fact.digest == "sha256:a"
    assert told(watch.look(image("r36.4", "b"))) == [("rebuilt", "r36.4")]


def test_an_index_that_gains_this_architecture_later_is_told() -> None:
    watch = Watch(image("v0.33.0", None, detail={"_index_digest": "sha256:1"}))
    assert told(watch.look(image("v0.33.0", "a", detail={"_index_digest": "sha256:2"}))) == [("rebuilt", "v0.33.0")]
    assert not watch.known["v0.33.0"].baseline


def test_an_index_that_moved_while_the_architecture_did_not_is_no_event_but_is_kept() -> None:
    watch = Watch(image("r36.4", "a", detail={"_index_digest": "sha256:1"}))
    assert watch.look(image("r36.4", "a", detail={"_index_digest": "sha256:2"})) == ()
    assert watch.known["r36.4"].fact.detail["_index_digest"] == "sha256:2"


@pytest.mark.parametrize(
    "edit", [{"prerelease": True}, {"yanked": True}, {"version": "1.0.post1"}, {"detail": {"notes": "sha256:2"}}]
)
def test_notes_flags_and_version_make_an_edit(edit: dict[str, object]) -> None:
    fact = release("v1.0", detail={"notes": "sha256:1"})
    watch = Watch(fact)
    assert told(watch.look(replace(fact, **edit))) == [("edited", "v1.0")]  # type: ignore[arg-type]


def test_a_stamp_for_display_is_kept_without_an_event() -> None:
    watch = Watch(release("v1.0"))
    assert watch.look(release("v1.0", published_at=NOW)) == ()
    assert watch.known["v1.0"].fact.published_at == NOW


def test_a_withdrawal_needs_two_looks_and_a_return_is_told() -> None:
    one, two = release("v1"), release("v2")
    watch = Watch(one, two)
    assert watch.look(one) == ()
    assert told(watch.look(one)) == [("withdrawn", "v2")]
    assert watch.look(one) == ()
    assert told(watch.look(one, two)) == [("returned", "v2")]


def test_one_look_that_missed_is_forgotten_when_it_shows_again() -> None:
    one, two = release("v1"), release("v2")
    watch = Watch(one, two)
    for _ in range(3):
        assert watch.look(one) == ()
        assert watch.look(one, two) == ()


def test_unchanged_is_a_look_it_confirms_an_absence_and_says_nothing_else() -> None:
    one, two = release("v1"), release("v2")
    watch = Watch(one, two)
    assert watch.see(Poll(None)) == ()
    assert watch.look(one) == ()
    assert told(watch.see(Poll(None))) == [("withdrawn", "v2")]
    assert watch.see(Poll(None)) == ()


def test_absence_from_a_list_of_the_newest_says_nothing() -> None:
    watch = Watch(release("v1"), release("v2"))
    for _ in range(3):
        assert watch.look(release("v2"), complete=False) == ()


def test_an_empty_list_where_there_were_many_is_a_broken_source() -> None:
    watch = Watch(*(release(f"v{number}") for number in range(3)))
    with pytest.raises(SourceChanged, match="an empty list where there were many"):
        watch.look()


def test_an_empty_list_where_there_were_few_is_believed() -> None:
    watch = Watch(release("v1"), release("v2"))
    assert watch.look() == ()
    assert told(watch.look()) == [("withdrawn", "v1"), ("withdrawn", "v2")]


def test_unwanted_names_are_kept_in_silence() -> None:
    watch = Watch(release("v1"), include=["^v"], exclude=["rc"])
    assert told(watch.look(release("v1"), release("nightly"), release("v2rc1"), release("v2"))) == [("new", "v2")]
    assert set(watch.known) == {"v1", "nightly", "v2rc1", "v2"}


def test_prereleases_are_kept_in_silence_unless_asked_for() -> None:
    candidate = release("v2rc1", prerelease=True)
    assert Watch(release("v1")).look(release("v1"), candidate) == ()
    assert told(Watch(release("v1"), prereleases=True).look(release("v1"), candidate)) == [("new", "v2rc1")]


def test_a_prerelease_that_becomes_final_is_told() -> None:
    watch = Watch(release("v1"))
    watch.look(release("v1"), release("v2", prerelease=True))
    assert told(watch.look(release("v1"), release("v2"))) == [("edited", "v2")]


def test_a_name_that_is_listed_twice_does_not_flap_with_the_order() -> None:
    one, other = image("torch.whl", "a"), image("torch.whl", "b")
    watch = Watch(one)
    for shown in ((other, one), (one, other), (other, one)):
        assert watch.look(*shown) == ()


def test_filters_are_searched_in_the_name() -> None:
    assert is_wanted("0.9.3-r36.4.0", [], [])
    assert is_wanted("0.9.3-r36.4.0", ["r3[69]"], ["builder"])
    assert not is_wanted("0.6-builder-r36.4.0", ["r3[69]"], ["builder"])
    assert not is_wanted("0.9.3-r35.4.1", ["r3[69]"], [])


FACTS = st.builds(
    Fact,
    kind=st.just(FactKind.IMAGE),
    name=st.sampled_from(["r36.4", "0.9.3-r36.4", "0.10.0-r36.4", "x"]),
    version=st.none() | st.sampled_from(["1", "2"]),
    digest=st.none() | st.sampled_from(["sha256:a", "sha256:b"]),
    prerelease=st.booleans(),
    yanked=st.booleans(),
    detail=st.dictionaries(st.sampled_from(["notes", "_index_digest"]), st.sampled_from(["1", "2"])),
)
LISTS = st.lists(FACTS, max_size=4).map(tuple)


@given(before=LISTS, now=LISTS, prereleases=st.booleans())
def test_the_same_answer_told_again_brings_no_more_than_the_second_look_of_a_withdrawal(
    before: tuple[Fact, ...], now: tuple[Fact, ...], prereleases: bool
) -> None:
    watch = Watch(*before, prereleases=prereleases)
    try:
        watch.look(*now)
        second = watch.look(*now)
        third = watch.look(*now)
    except SourceChanged:
        return
    assert {event.kind for event in second} <= {EventKind.WITHDRAWN}
    assert third == ()


@given(shown=LISTS, order=st.randoms())
def test_the_order_of_a_list_changes_nothing(shown: tuple[Fact, ...], order: object) -> None:
    shuffled = list(shown)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one = changes("s", {}, Poll(shown), baseline=False, now=NOW).events
    other = changes("s", {}, Poll(tuple(shuffled)), baseline=False, now=NOW).events
    assert [event.fact.name for event in one] == [event.fact.name for event in other]
    assert [event.fact.digest for event in one] == [event.fact.digest for event in other]


def test_newest_items_without_one_that_matches_are_no_trouble_and_withdraw_nothing() -> None:
    watch = Watch(*(Fact(FactKind.ITEM, title) for title in ("a", "b", "c", "d")))
    assert watch.look(complete=False) == watch.look(complete=False) == ()
    assert not any(entry.missed for entry in watch.known.values())


def test_an_item_is_edited_by_its_title_and_by_nothing_else() -> None:
    def item(title: str, **keys: object) -> Fact:
        return Fact(FactKind.ITEM, title, detail={"_id": "post-1", "title": title}, **keys)  # type: ignore[arg-type]

    watch = Watch(item("L4T r36.6"))
    assert watch.look(item("L4T r36.6", published_at=NOW, url="https://forum.example/2"), complete=False) == ()
    assert told(watch.look(item("L4T r36.6.0"), complete=False)) == [("edited", "L4T r36.6.0")]


def test_with_other_settings_only_other_content_of_what_was_known_is_told() -> None:
    watch = Watch(image("same", "a"), image("rebuilt", "a"), release("v1"), release("left-out"))
    shown = (image("same", "a"), image("rebuilt", "b"), release("v1", yanked=True), image("asked-for-now", "c"))
    assert told(watch.look(*shown, is_fresh=True)) == [("rebuilt", "rebuilt"), ("edited", "v1")]
    known = watch.known
    assert (known["asked-for-now"].baseline, known["rebuilt"].baseline, known["left-out"].withdrawn) == (
        True,
        False,
        True,
    )
    assert watch.look(*shown) == watch.look(*shown) == ()


def test_what_other_settings_left_out_comes_back_untold() -> None:
    one, two = image("one", "a"), image("two", "a")
    for is_fresh in (True, False):
        watch = Watch(one, two)
        watch.look(one, is_fresh=True)
        assert watch.look(one, two, is_fresh=is_fresh) == ()
        assert not watch.known["two"].withdrawn


def test_what_other_settings_left_out_is_told_when_it_comes_back_by_itself_with_other_content() -> None:
    one, two = image("one", "a"), image("two", "a")
    watch = Watch(one, two)
    watch.look(one, is_fresh=True)
    assert told(watch.look(one, image("two", "b"))) == [("rebuilt", "two")]


def test_what_was_withdrawn_before_and_is_asked_for_anew_counts_as_there_before_us() -> None:
    one, two = image("one", "a"), image("two", "a")
    watch = Watch(one, two)
    watch.look(one)
    assert told(watch.look(one)) == [("withdrawn", "two")]
    assert watch.look(one, image("two", "b"), is_fresh=True) == ()
    assert watch.known["two"].baseline


def test_other_settings_may_leave_out_all_that_was_known_in_a_list_of_the_newest_too() -> None:
    items = [release(f"v{number}") for number in range(4)]
    for complete in (True, False):
        watch = Watch(*items)
        assert watch.look(complete=complete, is_fresh=True) == ()
        assert all(entry.withdrawn for entry in watch.known.values())
