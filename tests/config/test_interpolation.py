"""Variables in compose files and `.env` files, as Compose's own reference describes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.config.interpolation import Text, interpolate, parse_env_file

VARIABLES = {"SET": "value", "EMPTY": "", "OTHER": "other"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("$SET/${SET}", "value/value"),
        ("$UNSET", ""),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${SET:-default}", "value"),
        ("${SET:+then}-${UNSET:+then}-${EMPTY+then}", "then--then"),
        ("${UNSET:-${OTHER}}", "other"),
        ("${UNSET:-a${UNSET:-b${SET}}c}", "abvaluec"),
        ("${SET:?must be there}", "value"),
        ("cost: 5$$ and $${SET}", "cost: 5$ and ${SET}"),
    ],
)
def test_a_variable_is_filled_in(text: str, filled: str) -> None:
    assert interpolate(text, VARIABLES).value == filled


@pytest.mark.parametrize(
    "text", ["$", "a $ b", "${SET", "${}", "${1}", "${SET!}", "${UNSET:?say it}", "${EMPTY:?say it}"]
)
def test_what_compose_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\$|say it"):
        interpolate(text, VARIABLES)


def test_the_names_of_all_variables_that_took_part_are_told() -> None:
    assert interpolate("${A:-${B}} $C", {}).names == {"A", "B", "C"}


@given(st.text(max_size=60))
def test_any_text_is_filled_in_or_refused(text: str) -> None:
    try:
        assert isinstance(interpolate(text, VARIABLES).value, str)
    except ValueError:
        return


@given(st.text(alphabet=st.characters(blacklist_characters="$"), max_size=60))
def test_text_without_a_dollar_stays_as_it_is(text: str) -> None:
    assert interpolate(text, VARIABLES) == Text(text)


def test_an_env_file_is_read_with_its_quotes_comments_and_variables() -> None:
    text = """
# a comment
PLAIN=one   # said beside it
export EXPORTED=two
SINGLE='$SET stays'
DOUBLE="${SET} and \\"this\\""
HASH=a#b
EARLIER=${PLAIN}-$SET
PASSED
BLANK=
"""
    found = parse_env_file(text, VARIABLES)
    assert {name: told and told.value for name, told in found.items()} == {
        "PLAIN": "one", "EXPORTED": "two", "SINGLE": "$SET stays", "DOUBLE": 'value and "this"', "HASH": "a#b",
        "EARLIER": "one-value", "PASSED": None, "BLANK": "",
    }  # fmt: skip
