"""Every signature has a case that taught it, and every case is read as its header says."""

import pytest

from tests.verdict.cases import CASES, Case, parse_case
from watcher.model.verdict import FailureClass
from watcher.verdict.lines import read_line
from watcher.verdict.prose import is_mention
from watcher.verdict.scan import scan
from watcher.verdict.signatures import SIGNATURES, VERSION, Signature

BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_is_read_as_its_header_says(case: Case) -> None:
    reading = scan([case.log])
    deciding = reading.deciding
    got = {
        "class": reading.failure_class.value,
        "bug": reading.bug.value,
        "decides": deciding.signature if deciding else "none",
        "truncated": "yes" if reading.truncated else "no",
    }
    expected = {key: value for key, value in case.header.items() if key != "source"}
    assert {key: got[key] for key in expected} == expected


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda row: row.id)
def test_signature_matches_the_case_that_taught_it(signature: Signature) -> None:
    case = BY_NAME[signature.taught_by]
    raws = case.log.split(b"\n")
    texts = [read_line(raw).text for raw in raws]
    texts += [" ".join(texts[index : index + 3]) for index in range(len(texts)) if signature.joins]
    assert any(signature.matches(text) and _has_hint(signature, text) for text in texts)


def _has_hint(signature: Signature, text: str) -> bool:
    return any(hint in text.lower() for hint in signature.hints)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_pattern_never_matches_where_no_hint_stands(case: Case) -> None:
    """A missing hint would hide a line from the sieve."""
    for raw in case.log.split(b"\n"):
        text = read_line(raw).text
        assert [row.id for row in SIGNATURES if row.matches(text) and not _has_hint(row, text)] == []


def test_signature_ids_are_unique_and_hints_lower_case() -> None:
    assert len({row.id for row in SIGNATURES}) == len(SIGNATURES)
    assert all(hint == hint.lower() and len(hint) >= 3 for row in SIGNATURES for hint in row.hints)


def test_version_is_a_short_stable_text() -> None:
    assert len(VERSION) == 12
    assert VERSION.isalnum()


def test_exactly_one_finding_decides_or_none() -> None:
    for case in CASES:
        reading = scan([case.log])
        deciding = sum(finding.decides for finding in reading.findings)
        assert deciding == (0 if reading.failure_class is FailureClass.NO_EVIDENCE else 1), case.name


def test_findings_stand_in_order_and_on_their_line() -> None:
    for case in CASES:
        raws = case.log.split(b"\n")
        findings = scan([case.log]).findings
        assert [row.line for row in findings] == sorted(row.line for row in findings)
        for row in findings:
            assert row.text.split()[0].encode() in raws[row.line - 1], case.name


def test_a_check_at_start_carries_its_detail() -> None:
    deciding = scan([BY_NAME["vllm/free-memory-below-utilisation"].log]).deciding
    assert deciding is not None
    assert deciding.detail == "refused-at-start"


@pytest.mark.parametrize("header", ["colour: red\n\nlog", "class: healthy\n\nlog", "class: a\nclass: b\n\nlog"])
def test_unknown_header_fails(header: str) -> None:
    with pytest.raises(ValueError, match="headers must be"):
        parse_case("x/y", header.encode())


MESSAGE = (
    'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":1131, '
    "please report a bug to PyTorch."
)


@pytest.mark.parametrize(
    "text",
    [
        f"I get {MESSAGE}",
        f"{MESSAGE} Does anyone know why?",
        f"- {MESSAGE}",
        f"> {MESSAGE}",
        f"| Jetson | {MESSAGE} | use another allocator |",
        f"see `{MESSAGE}` in the log",
        f"the worker crashes with {MESSAGE}",
        f"fix: treat {MESSAGE} as out of memory",
        "RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED when the KV cache is allocated",
        'if "NVML_SUCCESS == r INTERNAL ASSERT FAILED" in str(error): retry()',
        f'{{"role": "user", "content": "{MESSAGE}"}}',
        "What does NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:1131 mean?",
    ],
)
def test_a_mention_of_the_bug_is_not_the_bug(text: str) -> None:
    reading = scan([text.encode()])
    assert (reading.failure_class.value, reading.bug.value) == ("no-evidence", "unknown")


@pytest.mark.parametrize(
    "text",
    [
        MESSAGE,
        f"Error generating speech: {MESSAGE}",
        f"[2026-11-20 08:14:31] worker 3: {MESSAGE}",
        f"Exception: RuntimeError('{MESSAGE.removeprefix('RuntimeError: ')} ')",
        f'{{"level": "error", "msg": "{MESSAGE.replace(chr(34), chr(92) + chr(34))}"}}',
        f"ERROR:root:{MESSAGE}",
        MESSAGE.replace(" FAILED at ", " FAILED at\n"),
        MESSAGE.replace("c10/cuda/CUDACaching", "c10/cuda/CUDA\nCaching"),
    ],
)
def test_a_printed_assert_is_the_bug(text: str) -> None:
    assert scan([text.encode()]).bug.value == "present"


def test_backticks_of_a_message_itself_are_no_quotation() -> None:
    assert not is_mention("ValueError: Try increasing `gpu_memory_utilization`", 0, 10, strict=False)
