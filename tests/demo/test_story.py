"""`watcher demo` from beginning to end: the ordinary code finds, tries and answers."""

import re
import sqlite3
from pathlib import Path

import pytest

from tests.page.reading import Page
from watcher.demo.story import run_demo
from watcher.demo.year import DAYS, START
from watcher.errors import ConfigError


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], int, Path]:
    lines: list[str] = []
    folder = tmp_path_factory.mktemp("demo")
    code = run_demo(lines.append, docker=False, base="", data_dir=folder)
    return lines, code, folder


def test_the_story_ends_well(told: tuple[list[str], int, Path]) -> None:
    lines, code, _ = told
    assert code == 0, "\n".join(lines)


def test_the_answer_is_told_whenever_it_changes(told: tuple[list[str], int, Path]) -> None:
    lines = [line for line in told[0] if "ANSWER: " in line]
    answers = [line.split("cuda-allocator: ")[1] for line in told[0] if "bug cuda-allocator: " in line]
    assert answers[0] == "present, bring-up: untried"
    assert set(answers[1:-1]) == {"present, bring-up: fails"}
    assert answers[-1] == "fixed, bring-up: works"
    upstream = "fixed upstream in torch 2.14.0 (2026-09-02), first vLLM with it 0.33.0 (2026-11-02), nothing yet for"
    assert f"{upstream} JetPack 6: waits for an arm64 image for r36 with torch ≥ 2.14.0" in lines[-2]


def test_every_line_is_simulated_or_a_dated_public_fact(told: tuple[list[str], int, Path]) -> None:
    dated = re.compile(r"20\d\d-\d\d-\d\d  ")
    story = told[0][: next(number for number, line in enumerate(told[0]) if line.startswith("The page:"))]
    assert [line for line in story if line and not line.startswith("simulated  ") and not dated.match(line)] == []
    known = [line for today in (START, *DAYS) for line in today.known]
    assert [line for line in story if dated.match(line)] == known


def test_the_displaced_service_was_away_and_runs_again(told: tuple[list[str], int, Path]) -> None:
    assert sum("container:assistant was away for" in line for line in told[0]) == 3


def test_the_database_stands_where_the_end_says(told: tuple[list[str], int, Path]) -> None:
    lines, _, folder = told
    assert f"The database: {folder / 'watcher.db'}" in lines
    with sqlite3.connect(folder / "watcher.db") as database:
        tables = database.execute("select count(*) from sqlite_master where type = 'table'").fetchone()
    database.close()
    assert tables[0] > 3
    assert list((folder / "owed").glob("*")) == []


def test_a_folder_that_holds_a_database_is_left_alone(told: tuple[list[str], int, Path]) -> None:
    with pytest.raises(ConfigError, match="give the demo one of its own"):
        run_demo(lambda _: None, docker=False, base="", data_dir=told[2])


def test_at_the_end_there_is_a_page_with_the_last_answer(told: tuple[list[str], int, Path]) -> None:
    lines, _, folder = told
    file = folder / "page" / "index.html"
    assert f"The page:     {file}" in lines
    page = Page(file.read_text(encoding="utf-8"))
    assert page.faults == []
    headline = next(line for line in reversed(lines) if "ANSWER: " in line).partition("ANSWER: ")[2]
    assert headline in page.text
