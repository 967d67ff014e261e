"""What a trial makes of the probe's output, which the candidate wrote and may have written as it liked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bugs.stand_ins import PROBE
from watcher.config.load import read_presets
from watcher.model.verdict import BugState
from watcher.trial.probing import ALLOCATOR_VARIABLES, MARKER, probe_spec, read_probe


def line(**told: Any) -> bytes:
    return MARKER + json.dumps({"trap_set": True, "saw": "fault", "text": "x", **told}).encode() + b"\n"


@pytest.mark.parametrize(
    ("trap_set", "saw", "state"),
    [
        (True, "fault", BugState.PRESENT),
        (True, "clean", BugState.FIXED),
        (True, "other", BugState.UNKNOWN),
        (True, "nothing", BugState.UNKNOWN),
        (False, "fault", BugState.UNKNOWN),
        (False, "clean", BugState.UNKNOWN),
        (False, "nothing", BugState.UNKNOWN),
    ],
)
def test_only_a_set_trap_makes_an_answer(trap_set: bool, saw: str, state: BugState) -> None:
    reading = read_probe(line(trap_set=trap_set, saw=saw, trap="why"), 0)
    assert (reading.state, reading.trap_set) == (state, trap_set)


def test_the_result_counts_whatever_the_exit_code_and_whatever_else_was_printed() -> None:
    output = b"\xff\xfe noise\r\n" + line(torch="2.14.0", saw="clean").rstrip() + b"\r\n[W] a warning\n"
    reading = read_probe(output, 139)
    assert (reading.state, reading.torch) == (BugState.FIXED, "2.14.0")


def test_no_result_names_the_exit_code() -> None:
    assert "exit code 137" in read_probe(b"Killed\n", 137).reason


def test_a_second_result_that_differs_takes_both_away() -> None:
    assert read_probe(line(saw="clean") + line(saw="fault"), 0).state is BugState.UNKNOWN
    assert read_probe(line(saw="clean") + line(saw="clean"), 0).state is BugState.FIXED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'{"trap_set": "yes", "saw": "clean"}',
        b'{"trap_set": 1, "saw": "clean"}',
        b'{"saw": "clean"}',
        b'{"trap_set": true, "saw": ["clean"]}',
        b'{"trap_set": true, "saw": "clean", "text": "' + b"x" * 100_000 + b'"}',
        b"[" * 50_000,
        b'{"trap_set": true, "n": ' + b"9" * 10_000 + b"}",
        b'{"trap_set": true, "saw": "\xff"}',
    ],
)
def test_a_malformed_result_is_no_answer(body: bytes) -> None:
    assert read_probe(MARKER + body + b"\n", 0).state is BugState.UNKNOWN


def test_wrong_types_beside_the_answer_are_left_out() -> None:
    reading = read_probe(line(torch=2.14, library=["/x"], text=None), 0)
    assert (reading.state, reading.torch, reading.library, reading.text) == (BugState.PRESENT, None, None, "")


@given(st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 255)))
def test_no_output_whatever_raises(output: bytes, exit_code: int | None) -> None:
    assert read_probe(output, exit_code).state is BugState.UNKNOWN
    assert read_probe(b"\n" + MARKER + output, exit_code).state is BugState.UNKNOWN


def test_the_container_runs_the_source_with_nothing_mounted() -> None:
    engine = read_presets()["vllm"]
    engine = engine.model_copy(update={"mounts": ("/models:/models",), "model": "/models/m", "network": "bridge"})
    spec = probe_spec("sha256:1", PROBE.read_text(), engine, "nvidia")
    assert spec.entrypoint == ("python3", "-c", PROBE.read_text())
    assert (spec.image, spec.runtime, spec.network) == ("sha256:1", "nvidia", "off")
    assert (spec.args, spec.mounts, spec.allow) == ((), (), ())
    assert spec.writable == engine.writable


def test_the_container_keeps_the_engines_environment_without_the_allocators() -> None:
    engine = read_presets()["vllm"]
    settings = {**engine.env, **dict.fromkeys(ALLOCATOR_VARIABLES, "1")}
    spec = probe_spec("sha256:1", "pass", engine.model_copy(update={"env": settings}), "runc")
    assert spec.env == engine.env
    assert spec.env["NVIDIA_VISIBLE_DEVICES"] == "all"
