"""What apprise's Slack plugin really sends of a message, taken from it on loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apprise.plugins.slack import NotifySlack

from tests.notify.examples import ANSWER, FAILED, WORKED, event
from tests.notify.test_hostile_text import HOSTILE, digest_of
from tests.real.web import Reply, Web, running_web
from watcher.errors import NotifyFailed
from watcher.notify.message import Digest, compose
from watcher.notify.send import AppriseNotifier

WEBHOOK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#watcher"


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with running_web() as web:
        web.fallback = lambda _: Reply(200, b"ok")
        monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{web.host}/services")
        yield web


def sent(web: Web) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in web.asked]


def test_the_verdict_is_the_title_and_the_colour_says_how_it_stands(slack: Web) -> None:
    digests = (Digest("orin-nx", ANSWER, events=(event(),), trials=(FAILED,)), Digest("orin-nx", trials=(WORKED,)))
    for digest in digests:
        AppriseNotifier(WEBHOOK).send(compose(digest))
    failed, worked = (each["attachments"][0] for each in sent(slack))
    assert failed["title"] == "[orin-nx] vllm:0.33.0-r36.4: the bug is still there, vllm fails (allocator-nvml-assert)"
    assert failed["text"] == compose(digests[0]).body
    assert failed["color"] != worked["color"]
    assert slack.asked[0].path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert sent(slack)[0]["channel"] == "#watcher"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_from_upstream_calls_anyone_or_hides_a_link(slack: Web, text: str) -> None:
    AppriseNotifier(WEBHOOK).send(compose(digest_of(text)))
    for each in sent(slack):
        (shown,) = each["attachments"]
        assert each["mrkdwn"] is False
        assert "<" not in shown["text"] + shown["title"], "Slack's own marks begin so; text has &lt;"


def test_a_webhook_that_was_revoked_is_told_by_its_status(slack: Web) -> None:
    slack.fallback = lambda _: Reply(404, b"no_service")
    with pytest.raises(NotifyFailed, match="the server answered 404"):
        AppriseNotifier(WEBHOOK).send(compose(Digest("orin-nx", ANSWER)))
