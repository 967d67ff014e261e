"""A fault that shows itself in some starts only: what ten starts say, and ten clean ones after them."""

from pathlib import Path

import pytest

from tests.main_loop.one_trial import IMAGE
from tests.real.docker import PrivateDaemon
from tests.real.scene import scene_with
from tests.real.stub_engine import stub_image

NEXT = IMAGE.replace("0.33.0", "0.34.0")


@pytest.mark.timeout(600)  # twenty containers, each with its own network
def test_three_of_ten_are_present_and_ten_clean_ones_then_say_how_likely_it_hid(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    client = clean_engine.client()
    stub_image(client, IMAGE, "healthy", STUB_BAD_STARTS="1,4,5", STUB_DELAY="0.05")
    stub_image(client, NEXT, "healthy", STUB_DELAY="0.05")
    scene = scene_with(clean_engine, tmp_path, ["local/vllm"], [])
    counted = tmp_path / "count"
    counted.mkdir()
    counted.chmod(0o777)
    scene.table["engines"]["vllm"]["mounts"].append(f"{counted}:/count:rw")
    scene.table["trial"]["displace"] = []

    first = scene.answer("trial", "run", IMAGE, "--repeats", "10")["trial"]
    assert [start["bring_up"] for start in first["starts"]].count("fails") == 3
    assert (first["bug"]["state"], first["bring_up"], first["deciding_start"]) == ("present", "works", 0)
    assert "in 7 of 10 starts (95 %: 40 to 89 %); the others fail (allocator-nvml-assert)" in first["reason"]

    done = scene.answer("trial", "run", NEXT, "--repeats", "10")
    second = done["trial"]
    assert {start["bring_up"] for start in second["starts"]} == {"works"}
    assert (second["bug"]["state"], second["bring_up"]) == ("unknown", "works")
    said = "not seen in 10 starts, seen in 3 of 10 before; the chance that it hid is 6 %"
    assert said in second["reason"]
    assert "in 10 of 10 starts (95 %: 72 to 100 %)" in second["reason"]
    assert (done["answer"]["trial_id"], done["answer"]["bug"]["state"]) == (second["id"], "unknown")
    flip = done["answer"]["flip"]
    assert (flip["before"], flip["after"], flip["regression"]) == (first["id"], second["id"], False)
    assert flip["moved"] == ["vLLM 0.33.0 → 0.34.0", f"image {IMAGE} → {NEXT}"]
    assert flip["perhaps"] == ["torch"], "no torch is in either image"
