"""The owed files, the lease and the device's own files: what stands on disk and what is made of it."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.host.docker_world import device_section
from tests.places import CHECKOUT, SAMPLES
from watcher.errors import HostError, LeaseHeld
from watcher.host.clock import SystemClock
from watcher.host.condition import parse_buddyinfo, parse_celsius, parse_meminfo, parse_power_mode, parse_uptime
from watcher.host.device import JETPACK, jetpack_of, parse_release, read_device
from watcher.host.lease import Lease, lease_holder
from watcher.host.owed import broken_debts, clear_debt, read_debts, write_debt
from watcher.model.container import Debt, OwedService
from watcher.model.device import DeviceFacts, DeviceState, FreeBlocks, ThermalZone, TripPoint

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def debt(trial: int = 1, stopped_at: datetime = NOW) -> Debt:
    service = OwedService(
        service="container:assistant",
        kind="container",
        name="assistant",
        id="a" * 64,
        image_id="sha256:" + "b" * 64,
        image="assistant:1",
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
        was_healthy=None,
        kept_tag="watcher-keep/assistant:trial",
        inspect={"Config": {"Env": ["A=ü"]}, "Mounts": []},
    )
    return Debt(trial, "unix:///var/run/docker.sock", stopped_at, (service,))


# --- owed files -------------------------------------------------------------------------------------------------------


def test_a_debt_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_debt(tmp_path / "owed", debt())
    assert read_debts(tmp_path / "owed") == (debt(),)
    assert [path.name for path in (tmp_path / "owed").iterdir()] == ["1.json"]


def test_debts_are_read_oldest_first(tmp_path: Path) -> None:
    for trial, hours in ((10, 2), (2, 1), (9, 3)):
        write_debt(tmp_path, debt(trial, NOW + timedelta(hours=hours)))
    assert [each.trial_id for each in read_debts(tmp_path)] == [2, 10, 9]


def test_a_paid_debt_is_gone_and_may_be_cleared_twice(tmp_path: Path) -> None:
    write_debt(tmp_path, debt(1))
    write_debt(tmp_path, debt(2))
    for _ in range(2):
        clear_debt(tmp_path, 1)
    assert [each.trial_id for each in read_debts(tmp_path)] == [2]
    clear_debt(tmp_path / "never", 1)
    assert read_debts(tmp_path / "never") == ()


@given(st.binary(max_size=200))
def test_any_bytes_in_an_owed_file_hide_no_other_debt(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("owed")
    write_debt(folder, debt())
    (folder / "2.json").write_bytes(content)
    assert read_debts(folder) == (debt(),)
    assert broken_debts(folder) == (folder / "2.json",)


def test_a_debt_that_cannot_be_written_stops_the_trial_before_the_service(tmp_path: Path) -> None:
    (tmp_path / "owed").write_text("a file where the folder should be")
    with pytest.raises(HostError, match="could not be written down"):
        write_debt(tmp_path / "owed", debt())


# --- the lease --------------------------------------------------------------------------------------------------------


def test_the_lease_is_held_by_one_process_and_says_which(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from watcher.host.lease import Lease\n"
        f"with Lease(Path({str(tmp_path)!r})): print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(LeaseHeld, match=f"another process runs a trial .*pid={other.pid}, since=20"),
            Lease(tmp_path),
        ):
            pass
        holder = lease_holder(tmp_path)
        assert holder is not None
        assert holder.pid == other.pid
        other.kill()
    assert lease_holder(tmp_path) is None
    with Lease(tmp_path):
        assert lease_holder(tmp_path) is not None
    assert lease_holder(tmp_path) is None


def test_a_lease_in_a_folder_that_cannot_be_is_the_benchs_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot be written"), Lease(tmp_path / "file"):
        pass
    assert lease_holder(tmp_path / "file") is None


# --- the device -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "l4t"),
    [
        ("r35.4.1", "35.4.1"),
        ("r36.4.3", "36.4.3"),
        ("r36.4.4", "36.4.4"),
        ("r36.4.7", "36.4.7"),
        ("r36.5.0", "36.5.0"),
        ("r36.5.2.partial", "36.5.2"),
        ("r39.2.0", "39.2.0"),
    ],
)
def test_the_release_file_of_each_generation_is_read(sample: str, l4t: str) -> None:
    assert parse_release((SAMPLES / f"nv_tegra_release-{sample}").read_text()) == l4t
    assert jetpack_of(l4t) is not None


@given(st.text(max_size=200))
def test_any_text_is_a_release_or_none(text: str) -> None:
    found = parse_release(text)
    assert found is None or all(part.isdigit() for part in found.split("."))


def jetson(root: Path) -> Path:
    """Write the files of an Orin NX."""
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.4, GCID: 1, BOARD: generic, DATE: unknown\n",
        "proc/device-tree/model": "NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0",
        "proc/meminfo": "MemTotal:   16000000 kB\nMemFree:  1 kB\nMemAvailable:   9000000 kB\nHugePages_Total: 0\n",
        "proc/sys/kernel/random/boot_id": "0f8fad5b-d9cb-469f-a165-70867728950e\n",
        "proc/driver/nvidia/version": "NVRM version: Open Kernel Module for aarch64  540.4.0  Release Build\n"
        "GCC version:  11.4.0\n",
        "sys/class/thermal/thermal_zone0/temp": "51250\n",
        "sys/class/thermal/thermal_zone1/temp": "-256000\n",
        "sys/class/thermal/thermal_zone2/temp": "48000\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def dpkg(root: Path, *stanzas: str) -> None:
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("\n\n".join(stanzas))


MEMORY = """MemTotal:       15655072 kB
MemAvailable:    9000000 kB
SwapTotal:       7827520 kB
SwapFree:        7000000 kB
CmaTotal:         262144 kB
CmaFree:          100000 kB
NvMapMemFree:          0 kB
NvMapMemUsed:    4200000 kB
Hugetlb:               0 kB
"""
BLOCKS = """Node 0, zone      DMA      1      1      0      0      2      1      1      0      1      1      3
Node 0, zone   Normal    216     55    189    101     84     38     37     27      5      3    587
"""


def add_files(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def zone(number: int, **files: str) -> dict[str, str | bytes]:
    return {f"sys/class/thermal/thermal_zone{number}/{name}": text for name, text in files.items()}


def test_the_condition_of_an_orin_nx(tmp_path: Path) -> None:
    throttle = {"trip_point_0_type": "passive", "trip_point_0_temp": "99000"}
    shutdown = {"trip_point_1_type": "critical", "trip_point_1_temp": "104500"}
    modes = "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
    files: dict[str, str | bytes] = {
        "proc/meminfo": MEMORY,
        "proc/buddyinfo": BLOCKS,
        "proc/uptime": "10920.55 60000.00\n",
        "var/lib/nvpmodel/status": "pmode:0002\n",
        "etc/nvpmodel/nvpmodel_p3767_0000_super.conf": modes,
        **zone(0, type="cpu-thermal\n", temp="51250\n", **throttle, **shutdown),
        **zone(1, type="gpu-thermal", temp="-256000"),
        **zone(2, type="tj-thermal", temp="51500", trip_point_0_type="active", trip_point_0_temp="nonsense"),
    }
    root = add_files(tmp_path, files)
    (root / "etc/nvpmodel.conf").symlink_to("/etc/nvpmodel/nvpmodel_p3767_0000_super.conf")
    facts = read_device(device_section("none", root))
    assert (facts.swap_total, facts.swap_free) == (7827520 * 1024, 7000000 * 1024)
    assert (facts.nvmap_used, facts.cma_total, facts.cma_free) == (4200000 * 1024, 262144 * 1024, 100000 * 1024)
    assert facts.free_blocks is not None
    assert facts.free_blocks.count == 590
    assert facts.uptime == timedelta(seconds=10920)
    assert facts.power_mode == "MAXN_SUPER"
    assert facts.thermal_zones == (
        ThermalZone("cpu-thermal", 51.25, (TripPoint("passive", 99.0), TripPoint("critical", 104.5))),
        ThermalZone("tj-thermal", 51.5),
    )


def test_a_device_without_nvmap_trip_points_or_modes_tells_the_rest(tmp_path: Path) -> None:
    """A Thor has no NvMap, a plain machine no power mode either."""
    memory = MEMORY.replace("NvMapMem", "Other")
    facts = read_device(device_section("none", add_files(tmp_path, {"proc/meminfo": memory, **zone(0, temp="40000")})))
    assert (facts.nvmap_used, facts.power_mode, facts.free_blocks) == (None, None, None)
    assert facts.memory_available == 9000000 * 1024
    assert facts.thermal_zones == (ThermalZone("thermal_zone0", 40.0),)


def test_a_mode_is_never_guessed_from_its_number() -> None:
    assert parse_power_mode("pmode:0000", "") is None
    assert parse_power_mode("pmode:0003", "< POWER_MODEL ID=0 NAME=MAXN >") is None
    assert parse_power_mode("", "< POWER_MODEL ID=0 NAME=MAXN >") is None
    assert parse_power_mode("pmode:0000 fmode:quiet", "  < POWER_MODEL ID=0 NAME=MAXN >") == "MAXN"


def test_the_largest_free_blocks_are_counted_over_all_zones() -> None:
    assert parse_buddyinfo(BLOCKS, 4096) == FreeBlocks(590, 4 * 2**20)
    assert parse_buddyinfo("Node 0, zone   Normal   7   0   5   0\n", 4096) == FreeBlocks(5, 16384)
    assert parse_buddyinfo("Node 0, zone   Normal   0   0\n", 4096) is None


CONDITION = (
    "proc/meminfo", "proc/buddyinfo", "proc/uptime", "var/lib/nvpmodel/status", "etc/nvpmodel.conf",
    "sys/class/thermal/thermal_zone0/type", "sys/class/thermal/thermal_zone0/temp",
    "sys/class/thermal/thermal_zone0/trip_point_0_type", "sys/class/thermal/thermal_zone0/trip_point_0_temp",
)  # fmt: skip
HOSTILE = [
    b"", b"\0" * 100, b"\xff\xfe" * 1000, b"9" * 6000, "²".encode(), b"-", b"--5",
    b"MemTotal: " + b"9" * 5000 + b" kB", b"Node 0, zone Normal" + b" 9" * 100_000, b"A" * 2_000_000,
    b"pmode:" + b"0" * 9999,
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_files_that_say_nonsense_are_facts_that_are_not_known(tmp_path: Path, content: bytes) -> None:
    facts = read_device(device_section("none", add_files(tmp_path, dict.fromkeys(CONDITION, content))))
    assert (facts.memory_total, facts.thermal_zones, facts.power_mode) == (None, (), None)


def test_folders_where_files_should_be_are_facts_that_are_not_known(tmp_path: Path) -> None:
    for name in CONDITION:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "sys/class/thermal/thermal_zone1").write_text("a file")
    assert read_device(device_section("none", tmp_path)) == read_device(device_section("none", tmp_path / "nowhere"))


LINES = st.one_of(
    st.text(max_size=300),
    st.from_regex(r"\A((MemAvailable|NvMapMemUsed): +\d+ kB\n|Node \d, zone \w+( +\d+)+\n|-?\d+\n|pmode:\d+\n)+\Z"),
    st.binary(max_size=300).map(lambda content: content.decode(errors="replace")),
)


@given(LINES)
def test_any_text_is_read_or_not_known_and_never_an_error(text: str) -> None:
    assert all(amount >= 0 for amount in parse_meminfo(text).values())
    blocks, celsius, uptime = parse_buddyinfo(text), parse_celsius(text), parse_uptime(text)
    assert blocks is None or (blocks.count > 0 and blocks.bytes > 0)
    assert celsius is None or -40 < celsius < 150
    assert uptime is None or uptime >= timedelta(0)
    assert parse_power_mode(text, text) is None or "POWER_MODEL" in text


def test_the_facts_of_a_jetson(tmp_path: Path) -> None:
    facts = read_device(device_section("none", jetson(tmp_path)), ("nvidia", "runc"))
    assert facts.state.l4t == "36.4.4"
    assert facts.state.driver == "540.4.0"
    assert facts.state.boot_id == "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert facts.model == "NVIDIA Jetson Orin NX Engineering Reference Developer Kit"
    assert (facts.jetpack, facts.architecture) == ("6.2.1", "arm64")
    assert facts.hottest == ThermalZone("thermal_zone0", 51.25)
    assert (facts.memory_total, facts.memory_available) == (16_000_000 * 1024, 9_000_000 * 1024)
    assert facts.runtimes == ("nvidia", "runc")


def test_the_installed_package_knows_better_than_the_release_file(tmp_path: Path) -> None:
    root = jetson(tmp_path)
    other = "Package: nvidia-l4t-kernel\nStatus: install ok installed\nVersion: 5.15.148-tegra-36.4.4"
    removed = "Package: nvidia-l4t-core\nStatus: deinstall ok config-files\nVersion: 36.3.0-20240404104251"
    dpkg(root, other, removed)
    assert read_device(device_section("none", root)).state.l4t == "36.4.4"
    core = "Package: nvidia-l4t-core\nStatus: install ok installed\nDescription: a\n b\nVersion: 36.4.7-20250918154033"
    dpkg(root, other, core)
    facts = read_device(device_section("none", root))
    assert (facts.state.l4t, facts.jetpack) == ("36.4.7", "6.2.1")


def test_what_the_operator_wrote_wins(tmp_path: Path) -> None:
    section = device_section("none", jetson(tmp_path), l4t="39.2.1", driver="595.1")
    facts = read_device(section)
    assert (facts.state.l4t, facts.state.driver, facts.jetpack) == ("39.2.1", "595.1", "7.2.1")


def test_a_driver_that_only_the_module_names_is_found(tmp_path: Path) -> None:
    module = tmp_path / "sys/module/nvidia/version"
    module.parent.mkdir(parents=True)
    module.write_text("580.82.07\n")
    assert read_device(device_section("none", tmp_path)).state.driver == "580.82.07"


def test_off_a_jetson_nothing_is_made_up(tmp_path: Path) -> None:
    facts = read_device(device_section("none", tmp_path))
    assert facts == DeviceFacts(facts.name, DeviceState())
    assert facts.hottest is None


def test_an_l4t_that_is_not_in_the_table_has_no_label() -> None:
    assert jetpack_of("36.4.9") is None
    assert jetpack_of("40.1.0") is None
    assert jetpack_of(None) is None
    assert json.dumps(JETPACK)


def test_the_clock_speaks_utc() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    before = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() >= before + 0.01
