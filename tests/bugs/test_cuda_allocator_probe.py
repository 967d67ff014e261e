"""The probe as a real process, against stand-ins for torch and NVML; what it prints is read as a trial reads it."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bugs.stand_ins import ASSERTION, CLEAN, KIN_ASSERTION, PROBE, TOO_LARGE, Device, told_by
from watcher.model.verdict import BugState, ProbeReading
from watcher.trial.probing import read_probe

QUERY = "nvmlDeviceGetComputeRunningProcesses"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def reading_of(done: subprocess.CompletedProcess[bytes]) -> ProbeReading:
    return read_probe(done.stdout + done.stderr, done.returncode)


def test_a_refused_query_and_the_assert_are_the_bug(device: Device) -> None:
    library = device.allocator_library()
    device.nvml(query=3).torch(absurd=["RuntimeError", ASSERTION], library=library)
    reading = reading_of(device.run())
    assert (reading.state, reading.trap_set) == (BugState.PRESENT, True)
    assert (reading.torch, reading.library, reading.text) == ("2.13.0+cu130", library, ASSERTION)


def test_a_refused_query_and_a_clean_answer_are_the_fix(device: Device) -> None:
    device.nvml(query=3).torch(absurd=["OutOfMemoryError", CLEAN], version="2.14.0+cu130")
    reading = reading_of(device.run())
    assert (reading.state, reading.trap_set, reading.torch) == (BugState.FIXED, True, "2.14.0+cu130")
    assert "1048576.00 GiB" in reading.reason


@pytest.mark.parametrize("raised", [["RuntimeError", ASSERTION], ["OutOfMemoryError", CLEAN]])
def test_a_granted_query_sets_no_trap(raised: list[str], device: Device) -> None:
    device.nvml(query=0).torch(absurd=raised)
    reading = reading_of(device.run())
    assert (reading.state, reading.trap_set) == (BugState.UNKNOWN, False)
    assert "trap was not set: NVML granted the process query" in reading.reason


def test_a_query_that_only_wants_more_room_is_granted(device: Device) -> None:
    device.nvml(query=7).torch(absurd=["OutOfMemoryError", CLEAN])
    assert not reading_of(device.run()).trap_set


def test_without_an_nvml_library_there_is_no_trap(device: Device) -> None:
    device.torch(absurd=["OutOfMemoryError", CLEAN])
    done = device.run()
    assert reading_of(done).state is BugState.UNKNOWN
    assert "there is no NVML library" in reading_of(done).reason
    assert told_by(done)["nvml"]["library"] is None


@pytest.mark.parametrize(("codes", "why"), [({"init": 9}, "nvmlInit_v2"), ({"handle": 6}, "the device handle")])
def test_each_question_before_the_query_is_a_trap_too(codes: dict[str, int], why: str, device: Device) -> None:
    device.nvml(**codes).torch(absurd=["RuntimeError", ASSERTION])  # type: ignore[arg-type]
    done = device.run()
    assert reading_of(done).state is BugState.PRESENT
    assert told_by(done)["trap"].startswith(f"NVML refused {why} with code")


def test_without_the_plain_query_there_is_no_trap(device: Device) -> None:
    device.nvml(query=3, has_query=False).torch(absurd=["OutOfMemoryError", CLEAN])
    done = device.run()
    assert reading_of(done).state is BugState.UNKNOWN
    assert told_by(done)["nvml"]["queries"] == {QUERY: None, f"{QUERY}_v2": 3, f"{QUERY}_v3": 3}


def test_the_codes_of_all_forms_of_the_query_are_told(device: Device) -> None:
    device.nvml(query=3).torch(absurd=["RuntimeError", ASSERTION])
    nvml = told_by(device.run())["nvml"]
    assert (nvml["init"], nvml["handle"], nvml["bus_id"]) == (0, 0, "00000000:07:00.0")
    assert nvml["queries"] == {QUERY: 3, f"{QUERY}_v2": 3, f"{QUERY}_v3": 3}


def test_where_torch_does_not_tell_the_bus_id_the_driver_does(device: Device) -> None:
    device.nvml().driver().torch(absurd=["RuntimeError", ASSERTION], properties="old")
    done = device.run()
    assert told_by(done)["nvml"]["bus_id"] == "00000000:07:00.0"
    assert reading_of(done).state is BugState.PRESENT


def test_where_nobody_tells_the_bus_id_the_first_device_is_asked(device: Device) -> None:
    device.nvml().torch(absurd=["RuntimeError", ASSERTION], properties="old")
    done = device.run()
    assert told_by(done)["nvml"]["bus_id"] is None
    assert reading_of(done).state is BugState.PRESENT


@pytest.mark.parametrize(
    ("raised", "first_words"),
    [
        (["RuntimeError", KIN_ASSERTION], "NVML_SUCCESS"),
        (["OutOfMemoryError", TOO_LARGE], "Tried to allocate more than 1EB"),
        (["AcceleratorError", "CUDA error: out of memory"], "CUDA error"),
        (["RuntimeError", CLEAN], "CUDA out of memory"),
        (None, "an allocation of 2^50 bytes was granted"),
    ],
)
def test_any_other_answer_is_unclear_and_is_quoted(raised: list[str] | None, first_words: str, device: Device) -> None:
    device.nvml().torch(absurd=raised)
    reading = reading_of(device.run())
    assert (reading.state, reading.trap_set) == (BugState.UNKNOWN, True)
    assert reading.text.startswith(first_words)
    assert first_words in reading.reason


def test_a_small_block_that_is_refused_shows_the_same_branch(device: Device) -> None:
    device.nvml().torch(small=["RuntimeError", ASSERTION])
    done = device.run()
    assert reading_of(done).state is BugState.PRESENT
    assert told_by(done)["asked_bytes"] == 2**20


def test_the_absurd_block_is_below_the_size_that_torch_answers_early(device: Device) -> None:
    device.nvml().torch(absurd=["RuntimeError", ASSERTION])
    assert told_by(device.run())["asked_bytes"] == 2**50


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING"])
def test_variables_that_change_the_branch_are_gone_before_torch_is_loaded(name: str, device: Device) -> None:
    device.nvml().torch(absurd=["RuntimeError", ASSERTION]).env[name] = ""
    assert reading_of(device.run()).state is BugState.PRESENT


def test_a_source_tree_in_the_working_folder_is_not_imported(device: Device, tmp_path: Path) -> None:
    tree = tmp_path / "checkout" / "torch"
    tree.mkdir(parents=True)
    (tree / "__init__.py").write_text("raise ImportError('this is the source tree')")
    device.nvml().torch(absurd=["RuntimeError", ASSERTION])
    assert reading_of(device.run(cwd=tree.parent)).state is BugState.PRESENT


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"import": "fails"}, "torch cannot be imported: ImportError: libcudart.so.12"),
        ({"import": "exits"}, "torch cannot be imported: SystemExit"),
        ({"device": "none"}, "no CUDA device: RuntimeError: No CUDA GPUs"),
        ({"device": "unavailable"}, "torch sees no CUDA device"),
    ],
)
def test_where_nothing_can_be_asked_the_line_comes_all_the_same(
    plan: dict[str, Any], words: str, device: Device
) -> None:
    device.nvml().torch(**plan)
    done = device.run()
    told, reading = told_by(done), reading_of(done)
    assert (told["saw"], reading.state) == ("nothing", BugState.UNKNOWN)
    assert words in reading.reason
    assert done.returncode == 0


def test_without_torch_the_codes_of_nvml_are_told_all_the_same(device: Device) -> None:
    done = device.nvml().run()
    assert told_by(done)["nvml"]["queries"][QUERY] == 3
    assert told_by(done)["torch"] is None


def test_a_torch_that_crashes_is_no_answer(device: Device) -> None:
    device.nvml().torch(**{"import": "crashes"})
    reading = reading_of(device.run())
    assert reading.state is BugState.UNKNOWN
    assert "exit code -6" in reading.reason


def test_what_torch_prints_without_a_line_end_does_not_hide_the_result(device: Device) -> None:
    device.nvml().torch(absurd=["RuntimeError", ASSERTION], noise="loading kernels ...")
    assert reading_of(device.run()).state is BugState.PRESENT


def test_an_error_text_in_any_language_is_carried(device: Device) -> None:
    device.nvml().torch(absurd=["RuntimeError", "Kein Speicher – \udcff\n" + ASSERTION])
    device.env["LC_ALL"] = "C"
    reading = reading_of(device.run())
    assert reading.state is BugState.PRESENT
    reading.text.encode()


def test_the_source_is_python_3_8_and_needs_nothing_but_torch() -> None:
    tree = ast.parse(PROBE.read_text(), feature_version=(3, 8))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported - {"torch"} <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    assert "__file__" not in PROBE.read_text()
