"""The annotated config.toml at the top is what people start from: it loads, also with every example switched on."""

import re
from pathlib import Path
from typing import get_args

from tests.places import CHECKOUT
from watcher.config.load import load_settings
from watcher.config.settings import Settings
from watcher.config.sources import SourceConfig

_EXAMPLE = re.compile(r"^#(?=\[|[a-z][a-z0-9_]* = )", re.MULTILINE)
_SECRETS = {
    "SLACK_TOKEN_A": "T0EXAMPLE",
    "SLACK_TOKEN_B": "B0EXAMPLE",
    "SLACK_TOKEN_C": "exampleexampleexample000",
    "MAIL_PASSWORD": "x",
    "GITHUB_TOKEN": "x",
    "PAGE_TOKEN": "x",
}


def _everything_uncommented(folder: Path) -> Settings:
    file = folder / "config.toml"
    file.write_text(_EXAMPLE.sub("", (CHECKOUT / "config.toml").read_text()))
    return load_settings(file, _SECRETS)


def test_the_default_watches_every_kind_and_tries_nothing() -> None:
    settings = load_settings(CHECKOUT / "config.toml", {"PIP_INDEX_URL": "https://index.example/simple/"})
    kinds = get_args(get_args(SourceConfig)[0])
    assert {type(source) for source in settings.sources} == set(kinds)
    assert settings.auto_missing
    assert not settings.notify.urls


def test_every_commented_example_is_valid(tmp_path: Path) -> None:
    settings = _everything_uncommented(tmp_path)
    assert settings.auto_missing == ()
    assert settings.engine.model == "/models/llama-3.2-3b-awq"
    assert [profile.name for profile in settings.engine.profiles] == ["careful"]


def test_examples_that_show_a_default_show_the_right_one(tmp_path: Path) -> None:
    """What stands behind a "#" without being one of these examples is the value that holds anyway."""
    shown, default = _everything_uncommented(tmp_path), load_settings(CHECKOUT / "config.toml", {})
    assert shown.schedule.model_copy(update={"timezone": None}) == default.schedule
    assert shown.trial.model_copy(
        update={"auto": None, "displace": None, "preflight": None}
    ) == default.trial.model_copy(update={"preflight": None})
    assert shown.trial.preflight.probe_memory == default.trial.preflight.probe_memory
    assert shown.bug_section == default.bug_section
    assert (shown.engine.writable, shown.engine.shm_size, shown.engine.health_grace, shown.engine.network) == (
        default.engine.writable,
        default.engine.shm_size,
        default.engine.health_grace,
        default.engine.network,
    )
    assert (shown.engine.images, shown.engine.ulimits) == (default.engine.images, default.engine.ulimits)


def test_every_source_has_its_reason_beside_it() -> None:
    """A comment line follows each `[[sources]]`."""
    heads = re.findall(r"^\[\[sources\]\]\n(.*)$", (CHECKOUT / "config.toml").read_text(), re.MULTILINE)
    assert len(heads) == len(load_settings(CHECKOUT / "config.toml", {}).sources)
    assert all(head.startswith("# ") for head in heads)
