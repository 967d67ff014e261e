"""The year from November 2025 to November 2026: dated public facts, and what they change in the demo's world.

`known` are public facts in our own words, each with its day. Dates of wheels and releases are those of their first file
on the Python index, dates of L4T those in its packages' versions. Everything else (which image was pushed when, which
wheel an index for Jetson held since when, when a thread changed) has no public date: it is made up, and told as such.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from watcher.demo.github import Commit, Thread
from watcher.demo.torch_build import TorchBuild

JP6, SBSA, OFFICIAL, PYTHON = "jp6/cu126", "sbsa/cu130", "whl/cu130", "python"
NVIDIA, UPSTREAM = "nvidia-ai-iot/vllm", "vllm/vllm-openai"
MERGE_BOT = "pytorchmergebot"
UPGRADED = "39.2.1"
"""The L4T of JetPack 7.2.1, on which the story ends."""


@dataclass(frozen=True, slots=True)
class Torch:
    """A build appears on an index."""

    index: str
    build: TorchBuild


@dataclass(frozen=True, slots=True)
class Vllm:
    """A release appears on GitHub, and, where its pin is known, its wheel on the Python index."""

    version: str
    torch: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image is pushed under one or more tags, or pushed again."""

    repository: str
    tags: tuple[str, ...]
    vllm: str
    torch: TorchBuild


@dataclass(frozen=True, slots=True)
class L4t:
    """A version appears in the apt repositories of its line."""

    dist: str
    core: str
    jetpack: str | None = None


Change = Torch | Vllm | Image | L4t | Thread | Commit


@dataclass(frozen=True, slots=True)
class Day:
    """What is seen on one day: public facts since the day before, and the changes, at this day's noon."""

    date: datetime
    title: str
    known: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T12:00:00").replace(tzinfo=UTC)


def _jp6(version: str) -> TorchBuild:
    return TorchBuild(version, has_bug=True)


def _cuda(version: str, has_bug: bool) -> TorchBuild:
    """Return PyTorch's own build for servers."""
    return TorchBuild(version, has_bug, "cp312", "manylinux_2_28_aarch64")


def _released(version: str, has_bug: bool) -> tuple[Torch, Torch]:
    """Return an official release on both of its indexes; only one of them names CUDA in the version."""
    return Torch(OFFICIAL, _cuda(f"{version}+cu130", has_bug)), Torch(PYTHON, _cuda(version, has_bug))


OLD_ISSUE = Thread("pytorch/pytorch", 112377, "NVML assert in the caching allocator", day("2023-10-30"))
ISSUE = Thread("pytorch/pytorch", 185240, "NVML assert on Tegra hides out of memory", day("2026-05-20"))
PULL = Thread("pytorch/pytorch", 185946, "Warn instead of assert on NVML calls", day("2026-06-02"), is_pull=True)
LANDED = Thread(
    "pytorch/pytorch",
    185946,
    "Warn instead of assert on NVML calls",
    day("2026-06-02"),
    is_pull=True,
    labels=("Merged",),
    closed=day("2026-08-01"),
    closed_by=MERGE_BOT,
)

START = Day(
    day("2025-11-12"),
    "what is there already is no news",
    (
        "2025-05-06  dustynv/vllm: the newest push in a public listing of its tags, 0.8.6 for L4T r36.4",
        "2025-09-18  L4T 36.4.7 is built; JetPack keeps its number, 6.2.1",
        "2025-10-04  vLLM 0.11.0",
        "2025-10-15  PyTorch 2.9.0",
        "2025-11-12  PyTorch 2.9.1; its wheel for Arm on the Python index is a build for the CPU",
    ),
    (
        Torch(JP6, _jp6("2.8.0")),
        Torch(JP6, _jp6("2.9.1")),
        Torch(SBSA, _cuda("2.9.1", has_bug=True)),
        Torch(OFFICIAL, _cuda("2.9.1+cu130", has_bug=True)),
        Torch(PYTHON, TorchBuild("2.9.1", True, "cp312", "manylinux_2_28_aarch64", has_cuda=False)),
        Vllm("0.10.2", "2.8.0"),
        Vllm("0.11.0"),
        Image(NVIDIA, ("r36.4-tegra-aarch64-cu126-22.04",), "0.11.0", _jp6("2.8.0")),
        Image(UPSTREAM, ("v0.11.0",), "0.11.0", _cuda("2.8.0", has_bug=True)),
        L4t("r36.4", "36.4.4-20250616085344", "6.2.1+b38"),
        L4t("r36.4", "36.4.7-20250918154033"),
        OLD_ISSUE,
        Commit("llama_cpp: bump to a newer build", day("2025-11-10")),
    ),
)

DAYS = (
    Day(
        day("2025-12-13"),
        "NVIDIA pushes an image for Orin under a moving tag",
        ("2025-12-03  vLLM 0.12.0", "2025-12-13  jetson-containers issue 1568: the assert with vLLM on an Orin Nano"),
        (Vllm("0.12.0"), Image(NVIDIA, ("latest-jetson-orin",), "0.12.0", _jp6("2.9.1"))),
    ),
    Day(
        day("2026-01-22"),
        "the next L4T of JetPack 6 is a directory of its own; a PyTorch 2.10.0 for JetPack 6",
        (
            "2026-01-15  L4T 36.5.0 is built (JetPack 6.2.2)",
            "2026-01-20  vLLM 0.14.0",
            "2026-01-21  PyTorch 2.10.0",
        ),
        (
            L4t("r36.5", "36.5.0-20260115194252", "6.2.2+b24"),
            Vllm("0.14.0"),
            Torch(OFFICIAL, _cuda("2.10.0+cu130", has_bug=True)),
            Torch(JP6, _jp6("2.10.0")),
        ),
    ),
    Day(
        day("2026-04-27"),
        "two more releases of PyTorch, the assert in both",
        ("2026-03-23  PyTorch 2.11.0", "2026-04-27  vLLM 0.20.0 asks for PyTorch 2.11.0"),
        (
            Torch(OFFICIAL, _cuda("2.11.0+cu130", has_bug=True)),
            Vllm("0.20.0", "2.11.0"),
            Image(UPSTREAM, ("v0.20.0", "latest"), "0.20.0", _cuda("2.11.0", has_bug=True)),
        ),
    ),
    Day(
        day("2026-05-27"),
        "the report that names Tegra",
        (
            "2026-05-13  PyTorch 2.12.0",
            "2026-05-26  PyTorch issue 185240: a maintainer says that a change will be taken",
        ),
        (Torch(OFFICIAL, _cuda("2.12.0+cu130", has_bug=True)), ISSUE),
    ),
    Day(
        day("2026-06-02"),
        "a new line of L4T, the first of JetPack 7 for Orin",
        (
            "2026-06-01  L4T 39.2.0 is built (JetPack 7.2, the first of its line for Orin)",
            "2026-06-02  PyTorch pull request 185946: warn instead of assert",
        ),
        (L4t("r39.2", "39.2.0-20260601141651", "7.2+b1"), PULL),
    ),
    Day(
        day("2026-06-17"),
        "official builds for Arm with CUDA",
        ("2026-06-17  PyTorch 2.12.1; the assert stands in its bytes",),
        _released("2.12.1", has_bug=True),
    ),
    Day(
        day("2026-07-08"),
        "the change came too late for this one",
        ("2026-07-08  PyTorch 2.13.0; the assert still stands in its bytes",),
        _released("2.13.0", has_bug=True),
    ),
    Day(
        day("2026-07-25"),
        "the next L4T of JetPack 6",
        (
            "2026-07-16  L4T 36.5.2 is built (JetPack 6.2.3)",
            "2026-07-23  PyTorch pull request 185946: the merge is asked for again",
            "2026-07-25  vLLM 0.26.0 asks for PyTorch 2.11.0",
        ),
        (L4t("r36.5", "36.5.2-20260716114719", "6.2.3+b9"), Vllm("0.26.0", "2.11.0")),
    ),
    Day(
        day("2026-08-27"),
        "the change lands by PyTorch's bot; NVIDIA pushes the image for Orin again",
        (
            "2026-08-06  L4T 39.2.1 is built (JetPack 7.2.1)",
            "2026-08-10  vLLM 0.27.0 moves to PyTorch 2.13.0",
            "2026-08-26  vLLM 0.28.0 asks for PyTorch 2.13.0",
        ),
        (
            L4t("r39.2", "39.2.1-20260806224157", "7.2.1+b5"),
            Vllm("0.28.0", "2.13.0"),
            LANDED,
            Image(NVIDIA, ("latest-jetson-orin",), "0.20.0", _jp6("2.10.0")),
            Commit("vllm: bump the recipe, no image yet", day("2026-08-20")),
        ),
    ),
    Day(
        day("2026-09-02"),
        "the fix is in a release",
        ("2026-09-02  PyTorch 2.14.0, the first release without the assert",),
        _released("2.14.0", has_bug=False),
    ),
    Day(
        day("2026-10-18"),
        "vLLM still asks for the PyTorch before it",
        (
            "2026-09-30  PyTorch 2.14.1",
            "2026-10-18  vLLM 0.32.0 asks for PyTorch 2.13.0, and for Python 3.11, which JetPack 6 does not have",
        ),
        (*_released("2.14.1", has_bug=False), Vllm("0.32.0", "2.13.0")),
    ),
    Day(
        day("2026-11-02"),
        "the first vLLM with a fixed PyTorch",
        ("2026-10-28  PyTorch 2.15.0", "2026-11-02  vLLM 0.33.0, the first that asks for PyTorch 2.14.0"),
        (Torch(PYTHON, _cuda("2.15.0", has_bug=False)), Vllm("0.33.0", "2.14.0")),
    ),
    Day(
        day("2026-11-05"),
        "vLLM's own image of it for Arm, which JetPack 6 cannot run",
        (),
        (Image(UPSTREAM, ("v0.33.0", "latest"), "0.33.0", _cuda("2.14.0", has_bug=False)),),
    ),
)
TODAY = day("2026-11-23")
