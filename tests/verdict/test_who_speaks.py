"""Programs that print the bug in ways of their own, and texts that name it though no run printed it."""

import json

import pytest

from watcher.verdict.scan import scan

FRAME = 'File "/srv/tts.py", line 7, in speak'
ASSERT = (
    'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/build/c10/cuda/CUDACachingAllocator.cpp":1131, '
    "please report a bug to PyTorch."
)
UP = "INFO:     Application startup complete.\n"
OOM = "CUDA out of memory"


def text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


PRINTED = {
    "an error answer after readiness": f"{UP}ERROR 08-11 17:03:09 [serving.py:9] Error with model object='error' "
    f"message='{ASSERT} ' type='InternalServerError' code=500",
    "an error answer as JSON": json.dumps({"object": "error", "message": ASSERT, "code": 500}),
    "a whole traceback in one string of JSON": json.dumps(
        {
            "level": "error",
            "message": "job failed",
            "exception": f"Traceback (most recent call last):\n  {FRAME}\n{ASSERT}",
        }
    ),
    "a program that announces an error": f"An unexpected error occurred while speaking: {ASSERT}",
    "vLLM's words for a worker": f"RuntimeError: Worker failed with error '{ASSERT} ', please check the stack trace "
    "above for the root cause",
    "Python's logging": f"2026-02-02 10:00:00,123 - app.tts - ERROR - speaking failed: {ASSERT}",
    "loguru": f"2026-02-02 10:00:00.123 | ERROR    | app.tts:run:88 - {ASSERT}",
    "rich, its column at the right": ASSERT.replace("FAILED at ", "FAILED at       tts.py:88\n         "),
    "a short summary of failed tests": f"FAILED tests/test_pool.py::test_grow - RuntimeError: {ASSERT}",
    "a table of runs": 'run,ok,error\n2,false,"RuntimeError: ' + ASSERT.replace('"', '""') + '"\n',
    "a report of what was observed": text(
        "# A look",
        "",
        "## Error observed",
        "```",
        "NvMapMemHandleAlloc: error 0",
        ASSERT,
        "```",
        "",
        "## Workaround",
        "The other engine does not do it.",
    ),
    "a log in a page that gives advice": text(
        "**Step 4**",
        "",
        "Output:",
        "",
        "```",
        "llm-1  | INFO 01-05 12:00:00 [core.py:58] Initializing",
        f"llm-1  | ERROR 01-05 12:00:40 [core.py:9] {ASSERT}",
        "```",
        "",
        "This is a known issue; the workaround is a smaller share.",
    ),
    "a program that marks its errors": f"❌ Error generating speech: {ASSERT}",
    "a program that could not": f"The model could not be loaded: RuntimeError: {ASSERT}",
    "behind the name of a process": f"[tts_node-1] RuntimeError: {ASSERT}",
}
NAMED = {
    "strings of a library": f"$ strings libc10_cuda.so | grep NVML\n12:{ASSERT}\n13:nvmlInit_v2\n",
    "a library, by grep": f"torch/lib/libc10_cuda.so: {ASSERT}",
    "a page, by grep": f"notes.md:88: RuntimeError: {ASSERT}",
    "names of tests that passed": f"tests/test_errors.py::test_kind[{OOM}] PASSED\n"
    f"tests/test_errors.py::test_kind[{ASSERT}] PASSED\n",
    "patterns in source": f'PATTERNS = [\n    r"NVML_SUCCESS == .* INTERNAL ASSERT FAILED",\n    r"{OOM}",\n]\n',
    "keys in source": "KINDS = {\n    " + json.dumps(ASSERT) + ': "allocator",\n}\n',
    "an item of a list in source": "KNOWN = [\n    " + json.dumps(ASSERT) + ",\n]\n",
    "patterns in settings": f'rules:\n  - name: memory\n    pattern: "{OOM}"\n',
    "an assignment in a shell": f"FAULT='{ASSERT}' vllm serve tiny",
    "a list of issues": f"#7\tOPEN\t{ASSERT}\tmodule: cuda\n",
    "an issue as JSON": json.dumps({"number": 7, "title": f"RuntimeError: {ASSERT}", "state": "closed"}),
    "a commit": f"commit 4be1f07c9e\n    Treat both alike\n\n    OutOfMemoryError on new boards, else\n    {ASSERT}\n",
    "a guide with more errors in its fence": text(
        "# Memory",
        "",
        "## Problem",
        "",
        "With pictures you may encounter these errors:",
        "",
        "```",
        ASSERT,
        "NvMapMemAllocInternalTagged: 1 error 12",
        "NvMapMemHandleAlloc: error 0",
        "CUBLAS_STATUS_ALLOC_FAILED when calling it",
        "```",
        "",
        "## Solution",
        "Use fewer of them.",
    ),
    "questions and answers": text(
        "# FAQ",
        "",
        "**Memory?** If you see",
        "",
        "```",
        f"torch.OutOfMemoryError: {OOM}. Tried to",
        "```",
        "",
        "ask for less.",
    ),
    "a page of help": text(
        "If you face any of these", "", f"**RuntimeError: {ASSERT}**", '<img width="9" alt="picture" src="x" />'
    ),
    "a cell of a page": f"<tr><td>RuntimeError: {ASSERT}</td><td>another build</td></tr>",
    "an error made for a test": f"    error = RuntimeError('{ASSERT}')\n    check(error)\n",
    "an error thrown in a test": f"    throw new Error('failed: {ASSERT}');\n",
    "an error raised by a stand-in": text(
        "class Fake:", "    def zeros(self):", "        raise RuntimeError(", f"            '{ASSERT}'", "        )"
    ),
    "the subject of a mail": f"Subject: Re: {ASSERT}",
    "the title of a page": f"RuntimeError: {ASSERT} - a forum",
    "a reference": f"some/engine#18 {ASSERT}",
    "a membership test": f"'{ASSERT}' in str(error)",
    "a sentence that goes on": f"{ASSERT} means that memory was short.",
    "a release note": f"The new build no longer raises {ASSERT}",
    "somebody explains": f"The upgrade waits for the next release, since {ASSERT}",
    "what a tail waits for": f"waiting for the first line like {ASSERT}",
}


@pytest.mark.parametrize("name", PRINTED)
def test_what_a_program_prints_is_the_bug(name: str) -> None:
    reading = scan([PRINTED[name].encode()])
    assert (reading.failure_class.value, reading.bug.value) == ("allocator-nvml-assert", "present")


@pytest.mark.parametrize("name", NAMED)
def test_what_is_only_named_is_no_evidence(name: str) -> None:
    reading = scan([NAMED[name].encode()])
    assert (reading.failure_class.value, reading.bug.value) == ("no-evidence", "unknown")


def test_a_run_after_a_look_into_the_library_counts() -> None:
    text = f"{NAMED['strings of a library']}$ python3 speak.py\nRuntimeError: {ASSERT}\n"
    reading = scan([text.encode()])
    assert (reading.bug.value, [row.line for row in reading.findings]) == ("present", [5])


@pytest.mark.parametrize("key", ["title", "body", "question"])
def test_what_a_server_answered_is_no_run(key: str) -> None:
    reading = scan(
        [(UP + json.dumps({key: ASSERT}) + "\nGenerated response c-1: output: 'RuntimeError: " + ASSERT).encode()]
    )
    assert (reading.failure_class.value, reading.bug.value) == ("healthy", "unknown")


def test_the_name_of_a_process_before_its_logger_hides_no_readiness() -> None:
    reading = scan([f"[watch] waits for: {OOM}\n[vllm] {UP}".encode()])
    assert reading.failure_class.value == "healthy"


def test_python_logging_is_no_list_of_points() -> None:
    reading = scan([f"2026-02-02 10:00:00,123 - app - ERROR - torch.OutOfMemoryError: {OOM}. Tried".encode()])
    assert reading.failure_class.value == "genuine-oom"


def test_readiness_is_seen_behind_any_logger() -> None:
    for logger in ("stderr: ", "2026-02-02 10:00:00,123 INFO uvicorn.error ", "1738490400.123 "):
        assert scan([f"{logger}INFO:     Application startup complete.".encode()]).failure_class.value == "healthy"
