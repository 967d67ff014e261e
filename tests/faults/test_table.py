"""The page of the faults says what the tests run."""

from tests.faults.table import PAGE, page_with, rows, table


def test_the_page_shows_the_matrix_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with(text, table(rows())), "run: python -m tests.faults.table --write"
