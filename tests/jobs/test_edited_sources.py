"""An edit of a source's table is no news of its upstream: through the real sources, stored as checks store them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.real.github import GitHub, github
from tests.real.web import Reply, Web, web
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.check import look_at
from watcher.model.facts import KnownFact, LookOutcome
from watcher.ports import Lines
from watcher.store import facts as fact_store

__all__ = ["github", "web"]

ONE, TWO = "pytorch/pytorch#1", "pytorch/pytorch#2"


class Program:
    """The program with one source: each look reads the table anew, as a check does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcome: LookOutcome | None = None
        self.known: dict[str, KnownFact] = {}

    def look(self, **table: Any) -> list[tuple[str, str]]:
        config = self.folder / "config.toml"
        settings = {"store": {"data_dir": "data"}, "device": {"docker": "none"}, "sources": [{"name": "it", **table}]}
        config.write_text(tomli_w.dumps(settings))
        with open_means(load_settings(config, {}), Lines(lambda _: None)) as means:
            (look,), events = look_at(means, means.settings.sources)
            with means.store.transaction() as tx:
                self.known = fact_store.known_facts(tx, "it")
        assert look.error is None, look.error
        self.outcome = look.outcome
        return [(event.kind.value, event.fact.name) for event in events]

    @property
    def standing(self) -> dict[str, bool]:
        """Return the names that stand, each with whether it counts as there before us."""
        return {one.fact.name: one.baseline for one in self.known.values() if not one.withdrawn}

    def forget_cursors(self) -> None:
        with closing(sqlite3.connect(self.folder / "data/watcher.db")) as connection, connection:
            connection.execute("UPDATE sources SET cursor = NULL")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def serve_feed(web: Web, *titles: str) -> dict[str, str]:
    items = "".join(f"<item><title>{title}</title><guid>{title}</guid></item>" for title in titles)
    web.routes["/feed"] = Reply(200, f'<rss version="2.0"><channel>{items}</channel></rss>'.encode())
    return {"kind": "feed", "url": f"{web.url}/feed"}


def serve_wheels(web: Web, *names: str, digest: str = "a") -> dict[str, str]:
    links = "".join(f'<a href="{name}#sha256={digest * 64}">{name}</a>' for name in names)
    page = f"<title>Links for other</title>{links}".encode()
    web.routes["/other/"] = Reply(200, page, {"Content-Type": "text/html"})
    return {"kind": "simple-index", "url": f"{web.url}/other/"}


def test_a_wider_match_of_a_feed_tells_nothing_old_and_what_comes_later(web: Web, program: Program) -> None:
    table = serve_feed(web, "torch 1", "vllm 1", "vllm 2")
    program.look(**table, match="torch")
    assert program.look(**table, match="torch|vllm") == []
    assert program.outcome is LookOutcome.BASELINE
    assert program.standing == {"torch 1": True, "vllm 1": True, "vllm 2": True}
    serve_feed(web, "torch 1", "vllm 1", "vllm 2", "vllm 3")
    assert program.look(**table, match="torch|vllm") == [("new", "vllm 3")]


def test_threads_that_are_added_and_taken_out_are_no_news_but_what_became_of_the_others_is(
    github: GitHub, program: Program
) -> None:
    one, _ = github.issue(ONE), github.issue(TWO)
    table = {"kind": "github-threads", "api_url": github.api_url}
    program.look(**table, threads=[ONE])
    one.close("2026-07-23T10:00:00Z")
    assert program.look(**table, threads=[ONE, TWO]) == [("edited", ONE)]
    assert program.outcome is LookOutcome.CHANGED
    assert [program.look(**table, threads=[ONE]) for _ in range(3)] == [[], [], []]
    assert set(program.standing) == {ONE}
    assert program.look(**table, threads=[ONE, TWO]) == []
    assert set(program.standing) == {ONE, TWO}


def test_other_platforms_of_an_index_are_no_news_and_may_have_nothing_yet(web: Web, program: Program) -> None:
    arm = [f"other-{version}-py3-none-linux_aarch64.whl" for version in ("1.0", "1.1", "1.2")]
    table = serve_wheels(web, *arm, "other-1.0-py3-none-win_amd64.whl")
    program.look(**table)
    assert program.look(**table, platforms=["win_arm64"]) == []
    assert program.standing == {}
    assert program.look(**table, platforms=["win_amd64", "linux_aarch64"]) == []
    assert len(program.standing) == 4


def test_a_database_without_cursors_makes_no_news(web: Web, program: Program) -> None:
    first, second = (f"other-{version}-py3-none-linux_aarch64.whl" for version in ("1.0", "1.1"))
    table = serve_wheels(web, first)
    program.look(**table)
    program.forget_cursors()
    serve_wheels(web, first, second)
    assert program.look(**table) == []
    program.forget_cursors()
    serve_wheels(web, first, second, digest="b")
    assert program.look(**table) == [("rebuilt", first), ("rebuilt", second)]


def test_a_filter_or_a_new_password_is_no_other_setting_of_what_is_shown(web: Web, program: Program) -> None:
    table = serve_feed(web, "torch 1")
    address = table["url"].removeprefix("http://")
    program.look(**{**table, "url": f"http://me:old@{address}"})
    serve_feed(web, "torch 1", "torch 2", "fan")
    told = program.look(**{**table, "url": f"http://me:new@{address}"}, exclude=["fan"], timeout="9s")
    assert told == [("new", "torch 2")]
