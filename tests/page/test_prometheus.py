"""The metrics and the alert rules in a real Prometheus, by the configuration of docs/monitoring.md."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.page.examples import FIXED, NOTHING, OWED, YEAR
from tests.page.test_monitoring import FOLDER, WRITTEN, asked
from tests.page.test_serve import served, within
from tests.places import CHECKOUT
from tests.real.checkout import block_after
from tests.real.docker import CannotRunHere
from tests.real.prometheus import promtool, running_prometheus
from watcher.page.facts import PageFacts
from watcher.page.metrics import metrics

ALERTS = FOLDER / "alerts.yaml"
TOKEN = "the-token-of-the-page"
HOURS = 60
"""Minutes."""
HEALTHY = {
    "watcher_written_timestamp_seconds": "0+60x3000",
    "watcher_trial_running": "0x3000",
    'watcher_owed_services{state="overdue"}': "0x3000",
    'watcher_source_failed_looks{source="builds"}': "0x3000",
    'watcher_source_stale{source="builds"}': "0x3000",
    'watcher_undelivered_notices{channel="mailtos:0a1b"}': "0x3000",
    'watcher_trials_total{outcome="bench"}': "5x3000",
    'watcher_bug_state{state="fixed"}': "0x3000",
    'watcher_bring_up_state{state="works"}': "0x3000",
}
"""What a watcher that has nothing to say writes each minute, from minute 0 on."""


@pytest.fixture(autouse=True, scope="module")
def _tool() -> None:
    try:
        promtool("--version")
    except CannotRunHere as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("facts", [YEAR, FIXED, NOTHING], ids=["year", "fixed", "nothing"])
def test_names_and_types_are_as_prometheus_wants_them(facts: PageFacts) -> None:
    done = promtool("check", "metrics", given=metrics(facts))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_tool_would_say_so() -> None:
    wrong = metrics(YEAR).replace("watcher_trials_total", "watcher_trials")
    assert "counter metrics should have" in promtool("check", "metrics", given=wrong).stderr


@pytest.mark.parametrize(
    ("changed", "minutes", "firing"),
    [
        ({}, 48 * HOURS, set()),
        ({'watcher_owed_services{state="overdue"}': "0x60 1x3000"}, HOURS + 4, set()),
        ({'watcher_owed_services{state="overdue"}': "0x60 1x3000"}, HOURS + 7, {"WatcherServiceDown"}),
        ({'watcher_owed_services{state="kept"}': "0x60 1x3000"}, 24 * HOURS, set()),
        ({"watcher_written_timestamp_seconds": "0+60x60 3600x3000"}, 4 * HOURS + 8, set()),
        ({"watcher_written_timestamp_seconds": "0+60x60 3600x3000"}, 4 * HOURS + 13, {"WatcherSilent"}),
        (
            {"watcher_written_timestamp_seconds": "0+60x60 3600x3000", "watcher_trial_running": "0x60 1x3000"},
            24 * HOURS,
            set(),
        ),
        ({"watcher_written_timestamp_seconds": "0+60x60"}, HOURS + 30, set()),
        ({"watcher_written_timestamp_seconds": "0+60x60"}, HOURS + 40, {"WatcherGone"}),
        ({'watcher_source_failed_looks{source="builds"}': "0x60 2x3000"}, 24 * HOURS, set()),
        ({'watcher_source_failed_looks{source="builds"}': "0x60 3x3000"}, 6 * HOURS, set()),
        ({'watcher_source_failed_looks{source="builds"}': "0x60 3x3000"}, 7 * HOURS + 2, {"WatcherSourceFailing"}),
        ({'watcher_source_stale{source="builds"}': "0x60 1x3000"}, HOURS + 50, set()),
        ({'watcher_source_stale{source="builds"}': "0x60 1x3000"}, 2 * HOURS + 2, {"WatcherSourceStale"}),
        ({'watcher_undelivered_notices{channel="mailtos:0a1b"}': "0x60 4x60 0x3000"}, 2 * HOURS, set()),
        ({'watcher_undelivered_notices{channel="mailtos:0a1b"}': "0x60 4x3000"}, 3 * HOURS + 2, {"WatcherNoticesWait"}),
        ({'watcher_trials_total{outcome="bench"}': "5x60 6x3000"}, 2 * HOURS, set()),
        ({'watcher_trials_total{outcome="bench"}': "5x60 6x60 7x3000"}, 3 * HOURS, {"WatcherTrialsFailOnOurSide"}),
        ({'watcher_trials_total{outcome="bench"}': "5x60 6x60 7x3000"}, 47 * HOURS, set()),
        ({'watcher_trials_total{outcome="verdict"}': "5x60 9x3000"}, 3 * HOURS, set()),
        ({'watcher_bug_state{state="fixed"}': "0x60 1x3000"}, 2 * HOURS, set()),
        (
            {
                'watcher_bug_state{state="fixed"}': "0x60 1x3000",
                'watcher_bring_up_state{state="works"}': "0x60 1x3000",
            },
            HOURS + 2,
            {"WatcherFixWorks"},
        ),
    ],
)
def test_which_alerts_fire_when(tmp_path: Path, changed: Mapping[str, str], minutes: int, firing: set[str]) -> None:
    series = [{"series": name, "values": values} for name, values in {**HEALTHY, **changed}.items()]
    told = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)]
    asked = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{minutes}m"}
    case = {"interval": "1m", "input_series": series, "promql_expr_test": [{**asked, "exp_samples": told}]}
    cases = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
    done = promtool("test", "rules", tmp_path / "cases.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Path]:
    """Serve the page of a year, and yield a configuration that asks for it as the docs say."""
    page, now = tmp_path / "data" / "page", time.time()
    page.mkdir(parents=True)
    written = replace(YEAR, owed=(OWED,), now=YEAR.now.fromtimestamp(now, YEAR.now.tzinfo))
    (page / "metrics").write_text(metrics(written))
    (tmp_path / "watcher-token").write_text(f"{TOKEN}\n")
    told = block_after((CHECKOUT / "docs" / "monitoring.md").read_text(), "## Prometheus")
    with served(page, TOKEN) as site:
        for before, after in (
            ("/etc/prometheus/watcher-token", str(tmp_path / "watcher-token")),
            ("orin-nx:8787", f"127.0.0.1:{site.port}"),
            ("scrape_interval: 1m", "scrape_interval: 1s"),
        ):
            assert told.count(before) == 1
            told = told.replace(before, after)
        config = tmp_path / "prometheus.yml"
        config.write_text(f"{told}\nrule_files: ['{ALERTS}']\nglobal: {{evaluation_interval: 1s}}\n")
        yield config


def test_a_prometheus_that_is_set_up_by_the_docs_reads_every_metric_and_evaluates_the_rules(configured: Path) -> None:
    with running_prometheus(configured) as prometheus:
        within(60, lambda: prometheus.values('up{job="watcher"}') == [1])
        within(60, lambda: prometheus.values("watcher_written_timestamp_seconds") != [])
        assert [name for name in WRITTEN if not prometheus.values(f"count({name})")] == []
        assert prometheus.values('watcher_owed_services{state="overdue"}') == [1]

        def evaluated() -> dict[str, tuple[str, str]]:
            (group,) = prometheus.asked("rules")["groups"]
            return {rule["name"]: (rule["health"], rule["state"]) for rule in group["rules"]}

        within(60, lambda: {health for health, _ in evaluated().values()} == {"ok"})
        within(60, lambda: evaluated()["WatcherServiceDown"][1] == "pending")
        assert evaluated()["WatcherSilent"][1] == "inactive"


def test_each_panel_of_the_dashboard_shows_something(configured: Path) -> None:
    panels = [text.replace("$instance", ".*") for where, text in asked() if where == "dashboard" and "$" in text]
    assert len(panels) >= 15
    with running_prometheus(configured) as prometheus:
        within(60, lambda: prometheus.values("count_over_time(watcher_written_timestamp_seconds[1h]) > 1") != [])
        assert [text for text in panels if not prometheus.values(text)] == []


def test_without_its_token_it_gets_nothing(configured: Path) -> None:
    (configured.parent / "watcher-token").write_text("another\n")
    with running_prometheus(configured) as prometheus:
        within(60, lambda: prometheus.values('up{job="watcher"}') == [0])
        (target,) = prometheus.asked("targets")["activeTargets"]
        assert "401" in target["lastError"]
