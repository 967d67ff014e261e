"""The first line is the verdict; evidence, what was given back, links and the next step follow."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.notify.examples import ANSWER, CANDIDATE, FAILED, NOON, WORKED, event
from watcher.model.answer import Flip
from watcher.model.facts import EventKind
from watcher.model.text import span
from watcher.model.trial import Outcome, ServiceReport, ServiceState
from watcher.model.verdict import BringUp, BugState
from watcher.notify.message import Digest, PlannedTrial, SourceTrouble, compose, compose_test, render_plain

DOWN = ServiceReport("container:zoe-ollama", ServiceState.DOWN, "its port 11434 is taken by nginx")

FAILED_TEXT = """\
[orin-nx] vllm:0.33.0-r36.4: the bug is still there, vllm fails (allocator-nvml-assert)

vllm:0.33.0-r36.4: the bug is still there, vllm fails (allocator-nvml-assert).

Where you stand: The bug is still there: vllm fails on orin-nx.

Trial 3: ghcr.io/example/vllm:0.33.0-r36.4 (sha256:ababababababababab…)
  The bug is still there, vllm fails (allocator-nvml-assert).
  Why: the engine died on the allocator's NVML assert
  Seen (bring-up, line 123): NVML_SUCCESS == r INTERNAL ASSERT FAILED
  Seen (static): libc10_cuda.so holds the assert
  Given back: container:zoe-ollama, away for 3 min 32 s
  More: watcher trial show 3 · the engine's log: watcher trial log 3

Upstream:
- vllm-releases: v0.33.0 is new
  http://127.0.0.1/v0.33.0

Next: wait for an arm64 image for r36 with torch ≥ 2.14.
"""

WORKED_TEXT = """\
[orin-nx] vllm:0.33.0-r36.4: the bug is fixed, vllm works

vllm:0.33.0-r36.4: the bug is fixed, vllm works.

Trial 5: ghcr.io/example/vllm:0.33.0-r36.4 (sha256:ababababababababab…)
  The bug is fixed, vllm works.
  Why: ready after 84 s, answered, called a tool
  Seen (probe): OutOfMemoryError: CUDA out of memory
  Measured: level minimum, phrases 30 of 32 (95 % interval 80–98 %), a tool call worked, 95 % of the answers within \
1.4 s, stability not measured
  Given back: container:zoe-ollama, away for 3 min 32 s
  More: watcher trial show 5 · the engine's log: watcher trial log 5
"""

NEWS_TEXT = """\
[orin-nx] 4 changes upstream (vllm-releases)

4 changes upstream (vllm-releases).

Upstream:
- vllm-releases: a is new
  http://127.0.0.1/v0.33.0
- vllm-releases: b is rebuilt (same name, new content)
  http://127.0.0.1/v0.33.0
- vllm-releases: c is withdrawn
  http://127.0.0.1/v0.33.0
- vllm-releases: d is back again
"""

OWED_TEXT = """\
[orin-nx] container:zoe-ollama is still down

container:zoe-ollama is still down.

Not given back yet (`watcher restore` tries again):
- container:zoe-ollama: down. its port 11434 is taken by nginx
"""

PLANNED_TEXT = """\
[orin-nx] a trial of vllm:0.33.0-r36.4 is planned

a trial of vllm:0.33.0-r36.4 is planned.

Planned from 2026-11-02 12:00 UTC: a trial of ghcr.io/example/vllm:0.33.0-r36.4; container:zoe-ollama will be away for \
at most 30 min
  Leave it out: watcher skip 4 · none for a while: watcher pause 7d
"""

NEWS = (
    event("a"),
    event("b", EventKind.REBUILT),
    event("c", EventKind.WITHDRAWN),
    event("d", EventKind.RETURNED, url="ftp://not-a-page"),
)
PLAN = PlannedTrial(CANDIDATE, NOON, ("container:zoe-ollama",), timedelta(minutes=30))


@pytest.mark.parametrize(
    ("digest", "expected", "tone"),
    [
        (Digest("orin-nx", ANSWER, events=(event(),), trials=(FAILED,)), FAILED_TEXT, "warning"),
        (Digest("orin-nx", trials=(WORKED,)), WORKED_TEXT, "success"),
        (Digest("orin-nx", events=NEWS), NEWS_TEXT, "info"),
        (Digest("orin-nx", owed=(DOWN,)), OWED_TEXT, "failure"),
        (Digest("orin-nx", planned=(PLAN,)), PLANNED_TEXT, "info"),
    ],
    ids=["failed", "worked", "news", "owed", "planned"],
)
def test_a_whole_message(digest: Digest, expected: str, tone: str) -> None:
    message = compose(digest)
    assert render_plain(message) == expected
    assert message.type == tone


def test_the_title_names_the_device_and_says_what_the_first_line_says() -> None:
    message = compose(Digest("orin-nx", ANSWER, trials=(WORKED,), events=(event(),)))
    assert message.title == "[orin-nx] vllm:0.33.0-r36.4: the bug is fixed, vllm works"
    assert message.body.splitlines()[0] == "vllm:0.33.0-r36.4: the bug is fixed, vllm works."


def test_an_engine_is_called_as_people_call_it() -> None:
    told = compose(Digest("orin-nx", trials=(WORKED,), engines={"vllm": "vLLM"}))
    assert told.title == "[orin-nx] vllm:0.33.0-r36.4: the bug is fixed, vLLM works"
    assert "The bug is fixed, vLLM works." in told.body


def test_a_service_that_is_down_comes_before_any_verdict() -> None:
    message = compose(Digest("orin-nx", trials=(replace(WORKED, owed=(DOWN,)),)))
    assert message.title == "[orin-nx] container:zoe-ollama is still down"
    assert "Not given back yet: container:zoe-ollama" in message.body
    assert "Given back" not in message.body
    assert message.type == "failure"


def test_bench_trouble_is_no_verdict() -> None:
    trial = replace(FAILED, outcome=Outcome.BENCH, reason="Docker did not answer")
    message = compose(Digest("orin-nx", trials=(trial,)))
    assert message.body.splitlines()[0] == "vllm:0.33.0-r36.4: no verdict, our own side failed."
    assert "the bug is" not in message.body
    assert message.type == "warning"


def test_a_refused_trial_says_when_it_is_looked_at_again() -> None:
    trial = replace(FAILED, outcome=Outcome.REFUSED, retry_at=NOON, reason="too hot", displaced=(), starts=())
    body = compose(Digest("orin-nx", trials=(trial,))).body
    assert "  Again: 2026-11-02 12:00 UTC" in body
    assert "trial log" not in body
    assert "Given back" not in body


def test_a_verdict_leads_over_the_bench_trouble_after_it() -> None:
    later = replace(FAILED, id=9, outcome=Outcome.BENCH)
    assert "the bug is fixed" in compose(Digest("orin-nx", trials=(WORKED, later))).title


def test_a_source_in_trouble_and_its_recovery_are_told_apart() -> None:
    failing = compose(Digest("orin-nx", troubles=(SourceTrouble("vllm", "503 three times"),)))
    assert (failing.title, failing.type) == ("[orin-nx] vllm cannot be read", "warning")
    assert "- vllm cannot be read: 503 three times" in failing.body
    back = compose(Digest("orin-nx", troubles=(SourceTrouble("vllm", "", recovered=True),)))
    assert (back.title, back.type) == ("[orin-nx] vllm can be read again", "success")


def test_many_events_are_summarised() -> None:
    message = compose(Digest("orin-nx", events=tuple(event(f"v{number}") for number in range(49))))
    assert message.title == "[orin-nx] 49 changes upstream (vllm-releases)"
    assert message.body.count("is new") == 12
    assert message.body.endswith("and 37 more changes: watcher events")


def test_long_evidence_is_summarised() -> None:
    trial = replace(FAILED, evidence=FAILED.evidence * 5)
    body = compose(Digest("orin-nx", trials=(trial,))).body
    assert body.count("Seen (") == 4
    assert "  and 6 more" in body


def test_a_whole_message_has_a_limit_and_says_so() -> None:
    trial = replace(FAILED, reason="x" * 9000)
    digest = Digest(
        "orin-nx", ANSWER, trials=(trial,) * 9, events=(event("n" * 900, url="http://a/" + "u" * 390),) * 40
    )
    body = compose(digest).body
    assert len(body) <= 6000
    assert body.endswith("… cut here: watcher status")


def test_where_the_person_stands_is_not_said_twice() -> None:
    message = compose(Digest("orin-nx", ANSWER))
    assert message.title == "[orin-nx] The bug is still there: vllm fails on orin-nx"
    assert message.body.count("The bug is still there") == 1


def test_an_empty_digest_still_makes_a_message() -> None:
    assert render_plain(compose(Digest("orin-nx"))) == "[orin-nx] nothing new\n\nnothing new.\n"


def test_a_withdrawn_verdict_is_told_as_a_remark() -> None:
    message = compose(
        Digest("orin-nx", remarks=("the verdict of trial 3 is withdrawn: signature nvml-assert changed",))
    )
    assert message.title == "[orin-nx] the verdict of trial 3 is withdrawn: signature nvml-assert changed"


@pytest.mark.parametrize("bring_up", BringUp)
@pytest.mark.parametrize("bug", BugState)
def test_every_pair_of_answers_has_its_words(bug: BugState, bring_up: BringUp) -> None:
    title = compose(Digest("d", trials=(replace(FAILED, bug=bug, bring_up=bring_up),))).title
    assert {"present": "still there", "fixed": "is fixed", "unknown": "nothing is known"}[bug.value] in title
    assert {"works": "vllm works", "fails": "vllm fails", "untried": "was not brought up"}[bring_up.value] in title


def test_the_test_message_names_the_device() -> None:
    assert compose_test("orin-nx").title == "[orin-nx] a test of this channel"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (59.6, "1 min"), (212, "3 min 32 s"), (3600, "1 h"), (90061, "1 d 1 h"), (86405, "1 d 5 s")],
)
def test_lengths_of_time_read_well(seconds: float, expected: str) -> None:
    assert span(timedelta(seconds=seconds)) == expected


def test_a_trial_that_turned_the_answer_says_what_moved_and_later_messages_do_not() -> None:
    turned = replace(ANSWER, flip=Flip(3, 5, ("L4T 36.4.3 → 36.4.4", "torch 2.8.0 → 2.9.1")))
    said = "Trial 5 says otherwise than trial 3; between them moved: L4T 36.4.3 → 36.4.4, torch 2.8.0 → 2.9.1."
    assert said in compose(Digest("orin-nx", turned, trials=(WORKED,))).body
    assert "says otherwise" not in compose(Digest("orin-nx", turned, trials=(FAILED,))).body
    assert "says otherwise" not in compose(Digest("orin-nx", turned, NEWS)).body


def test_a_withdrawn_verdict_is_the_first_line_when_nothing_else_happened() -> None:
    remark = "The verdict of trial 3 (vllm:1) is withdrawn: it said: the bug is present, vllm fails"
    message = compose(Digest("orin-nx", ANSWER, remarks=(remark,)))
    assert message.title == f"[orin-nx] {remark}"
    assert f"{remark}." in message.body
