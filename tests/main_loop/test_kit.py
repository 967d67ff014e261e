"""`trial kit`: a compose file that brings the same engine up, a report without secrets, what is waited for."""

from pathlib import Path

import pytest

from tests.host.contract import is_well
from tests.main_loop.one_trial import IMAGE, scene_of
from tests.real.compose import address_of, brought_up
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene
from tests.real.stub_engine import StubMode
from watcher.trial.kit import environment, excerpt, without_secrets

SECRET = "hf_abcdefgh12345678"


def kit_of(engine: PrivateDaemon, folder: Path, mode: StubMode) -> tuple[Scene, dict[str, str]]:
    """Return the scene of a trial, and the files of its kit."""
    scene = scene_of(engine, folder, mode)
    scene.table["device"]["name"] = "kitchen-orin"
    scene.table["engines"]["vllm"]["env"] = {"HF_TOKEN": SECRET, "PRICE": "5$"}
    scene.table["engines"]["vllm"]["ulimits"] = {}  # this machine may not let them be raised
    scene.answer("trial", "run", IMAGE)
    done = scene.watcher("trial", "kit", "1", "--out", str(folder / "kit"))
    assert done.returncode == 0, done.stderr
    files = {path.name: path.read_text() for path in (folder / "kit").iterdir()}
    assert set(done.stdout.split()) == {str(folder / "kit" / name) for name in files}
    assert not [name for name, text in files.items() if SECRET in text]
    return scene, files


def test_what_works_is_brought_up_again_by_its_compose_file(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene, files = kit_of(clean_engine, tmp_path, "healthy")
    assert set(files) == {"compose.yaml"}
    with brought_up(clean_engine, tmp_path / "kit" / "compose.yaml", HF_TOKEN=SECRET) as container:
        scene.wait_until(lambda: is_well(f"http://{address_of(container)}:8000"))
        host = container.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], ["DAC_READ_SEARCH"])
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert f"HF_TOKEN={SECRET}" in container.attrs["Config"]["Env"]
        assert "PRICE=5$" in container.attrs["Config"]["Env"]


def test_what_fails_makes_a_report_that_can_be_handed_on(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene, files = kit_of(clean_engine, tmp_path, "crash")
    assert set(files) == {"report.md"}
    text = files["report.md"]
    for part in (
        "L4T 36.4.4",
        "docker run --rm -it",
        "-e HF_TOKEN ",
        "-e 'PRICE=5$'",
        "--entrypoint vllm",
        "## The engine's log",
        "stub.py",
    ):
        assert part in text, part
    assert "kitchen-orin" not in text
    again = scene.watcher("trial", "kit", "1", "--out", str(tmp_path / "kit"))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_the_bug_makes_the_report_and_says_what_is_waited_for(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    _, files = kit_of(clean_engine, tmp_path, "assert")
    assert set(files) == {"report.md", "waiting.md"}
    assert "pytorch/pytorch/issues/185240" in files["report.md"]
    assert "## What this device waits for" in files["waiting.md"]


def test_a_trial_without_a_verdict_has_no_kit(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    scene.table["device"]["architecture"] = "arm64"
    scene.answer("trial", "run", IMAGE, code=6)
    done = scene.watcher("trial", "kit", "1", "--out", str(tmp_path / "kit"))
    assert (done.returncode, "has no verdict" in done.stderr) == (2, True)
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see https://me:pass@host.example/x", "see https://host.example/x"),
        ("HF_TOKEN=hf_abcdefgh12345678 ok", "HF_TOKEN=<secret> ok"),
        ('{"api_key": "abc"}', '{"api_key": "<secret>"}'),
        ("bearer hf_abcdefgh12345678", "bearer <secret>"),
        ("at 192.168.1.20:8000 and 8.8.8.8", "at <address>:8000 and 8.8.8.8"),
        ("/home/anna/models/m.gguf", "/home/user/models/m.gguf"),
        ("kitchen-orin kernel: x; kitchen-orin-2 y", "<host> kernel: x; kitchen-orin-2 y"),
        ("max_tokens: 16", "max_tokens: 16"),
    ],
)
def test_secrets_and_names_are_left_out(text: str, left: str) -> None:
    assert without_secrets(text, ["kitchen-orin"]) == left


def test_a_secret_is_asked_for_and_a_dollar_is_meant_as_written() -> None:
    env = environment({"HF_TOKEN": "x", "PRICE": "5$", "MODEL": "m"})
    assert env == {"HF_TOKEN": "${HF_TOKEN:?set it before you start this}", "PRICE": "5$$", "MODEL": "m"}


def test_an_excerpt_shows_what_decides_with_its_surroundings_and_marks_gaps() -> None:
    lines = [f"line {number}" for number in range(1, 101)]
    shown = excerpt(lines, [10, 50], around=1).splitlines()
    assert [line.strip().partition(" ")[0] for line in shown] == ["…", "9", "10", "11", "…", "49", "50", "51"]
    assert [line.strip() for line in excerpt(lines, [], most=2).splitlines()] == ["…", "99  line 99", "100  line 100"]
    assert excerpt([], []) == ""
