"""README and docs say what is so: examples load, every key and command that works is named, links lead somewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import apprise
import pytest
from pydantic import BaseModel

from tests.places import CHECKOUT
from watcher.cli.program import build_program
from watcher.config.engines import EngineOverride, EngineSettings, Profile
from watcher.config.load import load_settings
from watcher.config.settings import Settings
from watcher.config.sources import SourceConfig

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
CONFIGURATION = (CHECKOUT / "docs" / "configuration.md").read_text()
SECTIONS = [
    Settings.model_fields[name].annotation
    for name in ("store", "device", "schedule", "bug_section", "trial", "acceptance", "notify", "log", "page", "github")
]
TRIAL = Settings.model_fields["trial"].annotation


def _keys() -> Iterator[str]:
    sections: list[Any] = [*SECTIONS, EngineOverride, EngineSettings, Profile, *get_args(get_args(SourceConfig)[0])]
    assert TRIAL is not None
    nested = [TRIAL.model_fields[name].annotation for name in ("preflight", "timeouts")]
    for section in [*sections, *nested]:
        assert issubclass(section, BaseModel)
        yield from section.model_fields


@pytest.fixture
def readme_config(tmp_path: Path) -> Settings:
    (block,) = re.findall(r"```toml\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "config.toml"
    file.write_text(block + '\n[device]\ndocker = "unix:///var/run/docker.sock"\n')
    return load_settings(file, {})


def test_the_example_of_the_readme_turns_automatic_trials_on(readme_config: Settings) -> None:
    assert readme_config.auto_missing == ()


def test_the_addresses_of_the_readme_are_good(readme_config: Settings) -> None:
    urls = [url.get_secret_value() for url in readme_config.notify.urls]
    assert [url.partition(":")[0] for url in urls] == ["slack", "mailtos"]
    assert all(apprise.Apprise.instantiate(url) is not None for url in urls)


def test_every_key_that_works_is_documented() -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", CONFIGURATION))
    assert sorted(set(_keys()) - named - {"preflight", "timeouts", "profiles", "image_rules"}) == []


def _commands(command: Any, name: str = "") -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield name
        return
    if name and command.invoke_without_command:
        yield name
    for part, sub in command.commands.items():
        yield from _commands(sub, f"{name} {part}".strip())


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    commands = set(_commands(build_program()))
    table = CONFIGURATION.partition("## Commands")[2].partition("Exit codes")[0]
    named = {
        found.strip() for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for found in _named_commands(row)
    }
    assert named == commands


def _named_commands(cell: str) -> Iterator[str]:
    """Yield the commands of a first cell: each in backticks, without its arguments and options."""
    for text in re.findall(r"`([^`]+)`", cell):
        yield re.split(r" [\[A-Z]", text)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        assert (CHECKOUT / file).is_file(), file
        assert not name or name in _tests_in(CHECKOUT / file), f"{file}::{name}"


def _tests_in(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_claim_of_the_threat_model_names_the_test_that_shows_it() -> None:
    page = (CHECKOUT / "docs" / "security.md").read_text()
    parts = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    subjects = {
        "Untrusted images", "Untrusted upstream text", "The Docker socket", "Secrets", "The page", "The gateway limit",
    }  # fmt: skip
    assert subjects == set(parts) - {"Who is trusted"}
    for subject in subjects:
        claims = re.findall(r"^\| (?!claim|---)(.*) \| (.*) \|$", parts[subject], re.MULTILINE)
        assert claims or "`tests/" in parts[subject], subject
        for claim, shown in claims:
            assert re.fullmatch(r"(`tests/[\w/]+\.py::test_\w+`(, )?)+", shown), claim


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_shows_exist(page: Path) -> None:
    """A line that begins with `watcher` is what a person types."""
    commands = set(_commands(build_program()))
    for line in re.findall(r"^(?: {4})?watcher ([a-z].*)$", page.read_text(), re.MULTILINE):
        words = re.split(r" +(?=[^a-z])| {2,}", line.partition("#")[0].strip())[0].split()
        assert any(" ".join(words[: len(words) - cut]) in commands for cut in range(len(words))), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
