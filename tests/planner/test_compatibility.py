"""Which tags fit which device: the real tag lists against the rules of bringup.md section 3."""

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.places import SAMPLES
from tests.planner.worlds import orin, vllm
from watcher.model.device import DeviceFacts, DeviceState
from watcher.planner.compatibility import board, is_plain_machine, reasons_against, wheel_reasons

NVIDIA = "ghcr.io/nvidia-ai-iot/vllm"
OFFICIAL = "vllm/vllm-openai"
THOR = DeviceFacts("thor", DeviceState("38.4.0"), model="NVIDIA Jetson AGX Thor Developer Kit")
PLAIN = DeviceFacts("pc", DeviceState(), architecture="amd64")

R36_4_VLLM = {
    "0.8.6-r36.4-cu128-24.04",
    "0.8.6-r36.4.0-cu128-24.04",
    "0.8.5-r36.4.0-cu128-24.04",
    "0.8.3-r36.4.0-cu128-24.04",
    "0.7.4-r36.4.0-cu128-24.04",
    "r36.4.0-cu128",
    "0.6.6.post1-r36.4.0",
    "0.6.3-r36.4.0",
    "r36.4.0",
}
R36_4_LLAMA = {
    "b5283-r36.4-cu128-24.04",
    "b5255-r36.4-cu128-24.04",
    "0.3.9-r36.4.0-cu128-24.04",
    "0.3.8-r36.4.0-cu128-24.04",
    "0.3.7-r36.4.0-cu128-24.04",
    "r36.4.0",
    "0.3.7-r36.4.0",
    "0.3.6-r36.4.0",
    "0.3.5-r36.4.0",
}
R36_4_OLLAMA = {
    "0.6.8-r36.4-cu126-22.04",
    "0.6.8-r36.4",
    "r36.4.0-cu128-24.04",
    "r36.4.0",
    "main-r36.4.0",
    "0.6.3-r36.4.0",
    "r36.4.3",
    "0.5.7-r36.4.0",
    "0.5.1-r36.4.0",
    "0.4.0-r36.4.0",
}
R36_4_PYTORCH = {"2.7-r36.4.0-cu128-24.04", "2.7-r36.4.0", "2.6-r36.4.0-cu128-24.04", "2.6-r36.4.0-cu128"}
R36_4_NVIDIA = {"latest-jetson-orin", "r36.4-tegra-aarch64-cu126-22.04", "r36.4.tegra-aarch64-cu126-22.04"}
R36_3_LLAMA = {"r36.2.0", "gguf-r36.2.0", "ggml-r36.2.0"}
R36_3_PYTORCH = {"r36.2.0", "r36.3.0-cu124"}

# host, image, samples, what fits: from r36.4 on a host takes r36.4 and later, before it r36.2 and r36.3
TABLE: list[tuple[str, str, str, set[str]]] = [
    *(
        row
        for host in ("36.4.3", "36.5.0")
        for row in (
            (host, "dustynv/vllm", "docker-hub-tags-dustynv-vllm.json", R36_4_VLLM),
            (host, "dustynv/vllm", "oci-tags-list-dustynv-vllm.json", R36_4_VLLM),
            (host, "dustynv/llama_cpp", "docker-hub-tags-dustynv-llama_cpp-page*.json", R36_4_LLAMA),
            (host, "dustynv/ollama", "docker-hub-tags-dustynv-ollama.json", R36_4_OLLAMA),
            (host, "dustynv/pytorch", "docker-hub-tags-dustynv-pytorch.json", R36_4_PYTORCH),
            (host, "dustynv/l4t-pytorch", "docker-hub-tags-dustynv-l4t-pytorch.json", {"r36.4.0"}),
            (host, "dustynv/tensorrt_llm", "docker-hub-tags-dustynv-tensorrt_llm.json", {"0.12-r36.4.0"}),
            (host, NVIDIA, "oci-tags-list-ghcr-nvidia-ai-iot-vllm.json", R36_4_NVIDIA),
        )
    ),
    ("36.3.0", "dustynv/vllm", "docker-hub-tags-dustynv-vllm.json", set()),
    ("36.3.0", "dustynv/llama_cpp", "docker-hub-tags-dustynv-llama_cpp-page*.json", R36_3_LLAMA),
    ("36.3.0", "dustynv/ollama", "docker-hub-tags-dustynv-ollama.json", {"r36.3.0", "r36.2.0"}),
    ("36.3.0", "dustynv/pytorch", "docker-hub-tags-dustynv-pytorch.json", {"2.1-r36.2.0"}),
    ("36.3.0", "dustynv/l4t-pytorch", "docker-hub-tags-dustynv-l4t-pytorch.json", R36_3_PYTORCH),
    ("36.3.0", "dustynv/tensorrt_llm", "docker-hub-tags-dustynv-tensorrt_llm.json", set()),
    ("36.3.0", NVIDIA, "oci-tags-list-ghcr-nvidia-ai-iot-vllm.json", set()),
    ("39.2.0", "dustynv/vllm", "docker-hub-tags-dustynv-vllm.json", set()),
    ("39.2.0", "dustynv/llama_cpp", "docker-hub-tags-dustynv-llama_cpp-page*.json", set()),
    ("39.2.0", "dustynv/ollama", "docker-hub-tags-dustynv-ollama.json", set()),
    ("39.2.0", "dustynv/pytorch", "docker-hub-tags-dustynv-pytorch.json", set()),
    ("39.2.0", NVIDIA, "oci-tags-list-ghcr-nvidia-ai-iot-vllm.json", set()),
]


def _tags(pattern: str) -> Iterable[tuple[str, list[str] | None]]:
    """Yield (tag, architectures); a registry's tag list does not say the second."""
    files = sorted(SAMPLES.glob(pattern))
    assert files, f"no sample {pattern}"
    for file in files:
        answer = json.loads(file.read_text())
        yield from ((tag, None) for tag in answer.get("tags", []))
        for row in answer.get("results", []):
            yield row["name"], [image["architecture"] for image in row["images"]]


def against(tag: str, device: DeviceFacts, image: str = "dustynv/vllm", holds: list[str] | None = None) -> str:
    return "; ".join(reasons_against(image, tag, holds, vllm(), device, device.architecture))


@pytest.mark.parametrize(("host", "image", "samples", "fits"), TABLE)
def test_the_real_tag_lists_give_each_host_what_it_can_run(host: str, image: str, samples: str, fits: set[str]) -> None:
    assert {tag for tag, holds in _tags(samples) if not against(tag, orin(host), image, holds)} == fits


def test_thor_takes_the_sbsa_builds_that_an_orin_cannot() -> None:
    fits = {tag for tag, _ in _tags("oci-tags-list-ghcr-nvidia-ai-iot-vllm.json") if not against(tag, THOR, NVIDIA)}
    assert fits == {
        "0.14.0-r38.3-arm64-sbsa-cu130-24.04",
        "0.16.0-g15d76f74e-r38.2-arm64-sbsa-cu130-24.04",
        "latest-jetson-thor",
        "qwen3.8-next-jetson-thor",
        "r38.2.arm64-sbsa-cu130-24.04",
    }


@pytest.mark.parametrize(
    ("tag", "image", "says"),
    [
        ("v0.33.0-cu130", OFFICIAL, "needs CUDA 13 and L4T r39; this device runs r36.4.4"),
        ("v0.33.0", OFFICIAL, "needs L4T r39 or newer and driver 580 or newer; this device runs r36.4.4"),
        ("0.14.0-r38.3-cu130", NVIDIA, "needs CUDA 13 and L4T r38.3; this device runs r36.4.4"),
        ("r36.2.0", "dustynv/vllm", "needs L4T r36.2.0; this device runs r36.4.4"),
        ("r36", "dustynv/vllm", "names L4T r36 without its minor release; this device runs r36.4.4"),
        ("0.6.6.post1-builder-r36.4.0", "dustynv/vllm", "is a builder image, not one to run"),
        ("2.6-amd64-r36.4", "dustynv/vllm", "is built for amd64; this device is arm64"),
        ("0.8.6-sbsa-cu128", "dustynv/vllm", "is built for Arm servers and Thor (SBSA), not for this device's Tegra"),
        ("latest-jetson-thor", NVIDIA, "is built for Jetson Thor; this device is NVIDIA Jetson Orin NX"),
        ("0.9.3", "example.org/own", "this tag does not say which L4T it is for, and no rule of its repository does"),
        ("25.09-py3", "nvcr.io/nvidia/vllm", "needs driver 580 or newer; this device runs r36.4.4"),
    ],
)
def test_reasons_are_in_a_persons_words(tag: str, image: str, says: str) -> None:
    assert says in against(tag, orin("36.4.4"), image)


def test_the_official_images_fit_an_orin_on_r39_from_vllm_0_20_on() -> None:
    assert against("v0.33.0", orin("39.2.0"), OFFICIAL) == ""
    assert against("latest", orin("39.2.0"), OFFICIAL) == ""
    assert against("v0.33.0", orin("39.2.0"), f"docker.io/{OFFICIAL}") == ""
    assert "0.20 or newer" in against("v0.11.0", orin("39.2.0"), OFFICIAL)


def test_an_index_without_the_wanted_architecture_is_told() -> None:
    assert against("r36.4", orin(), holds=["amd64"]) == "has no image for arm64, only for amd64"
    assert against("r36.4", orin(), holds=["amd64", "arm64"]) == ""


def test_unknown_is_not_yes() -> None:
    unseen = replace(orin(None), model=None)
    assert "the L4T of this device is not known" in against("r36.4", unseen)
    assert "the L4T of this device is not known" in against("r36.4", orin(None))
    which = DeviceFacts("?", DeviceState("39.2.0"))
    assert "which board this device is, is not known" in against("latest-jetson-thor", which, NVIDIA)


def test_a_stand_in_that_names_its_l4t_is_judged_like_the_device_it_stands_for() -> None:
    stand_in = DeviceFacts("ci", DeviceState("36.4.4"), architecture="amd64")
    own = "127.0.0.1:5000/vllm"
    assert against("0.33.0-r36.4-cu129-24.04", stand_in, own, ["amd64"]) == ""
    assert "needs CUDA 13 and L4T r39.2" in against("0.33.0-r39.2-cu132-24.04", stand_in, own, ["amd64"])


def test_a_machine_that_can_be_no_jetson_takes_what_asks_for_none() -> None:
    assert is_plain_machine(PLAIN)
    assert against("0.33.0", PLAIN, "127.0.0.1:5000/vllm", ["amd64"]) == ""
    assert against("r36.4", PLAIN) == "needs L4T r36.4; this machine is no Jetson"
    assert not is_plain_machine(DeviceFacts("arm", DeviceState()))


def test_the_board_is_read_from_the_model_else_from_an_l4t_that_only_one_has() -> None:
    boards = [orin("39.2.0"), THOR, DeviceFacts("?", DeviceState("36.4.4")), DeviceFacts("?", DeviceState("39.2.0"))]
    assert [board(device) for device in boards] == ["orin", "thor", "orin", None]


LAB = "https://pypi.jetson-ai-lab.io"
TORCH = "torch-2.14.0-cp312-cp312-linux_aarch64.whl"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        (f"{LAB}/jp6/cu126/+simple/torch/", {"36.4.4", "36.5.0"}),
        (f"{LAB}/jp6/cu129/+simple/torch/", {"36.4.4", "36.5.0"}),
        (f"{LAB}/jp5/cu114/+simple/torch/", set()),
        (f"{LAB}/sbsa/cu130/+simple/torch/", {"39.2.0"}),
        ("https://developer.download.nvidia.com/compute/redist/jp/v61/pytorch/", {"36.4.4", "36.5.0"}),
        ("https://developer.download.nvidia.com/compute/redist/jp/v60dp/pytorch/", {"36.4.4", "36.5.0"}),
        ("https://download.pytorch.org/whl/cu130/torch/", {"39.2.0"}),
        ("https://download.pytorch.org/whl/cu126/torch/", set()),
        ("https://example.org/simple/torch/", set()),
    ],
)
def test_an_indexs_address_says_for_which_jetpack_it_is(url: str, hosts: set[str]) -> None:
    asked = ("36.4.4", "36.5.0", "39.2.0")
    assert {host for host in asked if not wheel_reasons(url, TORCH, orin(host))} == hosts


def test_a_wheel_may_name_cuda_itself() -> None:
    name = "torch-2.14.0+cu130-cp312-cp312-manylinux_2_28_aarch64.whl"
    assert wheel_reasons("https://example.org/simple/torch/", name, orin("39.2.0")) == ()
    (reason,) = wheel_reasons("https://example.org/simple/torch/", name, orin("36.4.4"))
    assert reason == "needs CUDA 13 and L4T r39; this device runs r36.4.4"


@pytest.mark.parametrize("url", ["https://example.org/simple/torch/", "pip:torch"])
def test_a_plain_index_or_one_that_only_pip_could_name_says_no_jetpack(url: str) -> None:
    (reason,) = wheel_reasons(url, "torch-2.14.0-cp312-cp312-manylinux_2_28_aarch64.whl", orin("36.4.4"))
    assert reason == "this index does not say which JetPack its wheels are for"
