"""Whether an image or a wheel index fits a device: no reasons against it, or reasons that a person understands.

The rules of jetson-containers (`l4t_version.py`, `container.py`) with their gaps closed: every spelling of a tag is
read, a tag that names no L4T needs a rule of its repository, builder images, SBSA builds and other architectures are
left out, and a device on L4T r38 or later does not take everything. Unknown is not yes. JetPack is a label only.
"""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version

from watcher.config.engines import EngineSettings, ImageRule
from watcher.model.device import DeviceFacts
from watcher.planner.versions import TagParts, parse_tag, parse_version

_JETPACK_OF_L4T = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7}
_L4T_OF_JETPACK = {4: "r32", 5: "r35", 6: "r36", 7: "r38"}
# A Tegra's driver comes with its L4T: 540 in r36, 580 in r38 (Thor), R595 in r39.
_DRIVER_OF_L4T = {36: "540", 38: "580", 39: "595"}
_FIRST_L4T_OF = {"orin": 34, "thor": 38}
_FIRST_L4T_WITH_CUDA_13 = {"orin": 39, "thor": 38}
# The first toolkit with which Orin shares the stack of Arm servers.
_FIRST_SBSA_CUDA_ON_ORIN = Version("13.2")


def reasons_against(
    image: str,
    tag: str,
    architectures: Collection[str] | None,
    engine: EngineSettings,
    device: DeviceFacts,
    architecture: str,
) -> tuple[str, ...]:
    """Return why `image:tag` cannot run on the device; empty when it can.

    Args:
        architectures: those that the tag is known to hold, in Docker's words; None when nobody looked.
        architecture: the one that the device wants.
    """
    parts = parse_tag(tag)
    against = [_builder_reason(parts), _architecture_reason(parts, architectures, architecture)]
    if is_plain_machine(device):
        against += [_tegra_reason(parts), *_rule_reasons(image, tag, parts, engine, device)]
    elif parse_version(device.state.l4t) is None:
        against.append("the L4T of this device is not known; name it under [device] l4t")
    else:
        against += [_board_reason(parts, device), _sbsa_reason(parts, device), _l4t_reason(parts, device)]
        if parts.l4t is None:
            against += _unsaid_reasons(image, tag, parts, engine, device)
    return tuple(dict.fromkeys(reason for reason in against if reason))


def wheel_reasons(url: str, name: str, device: DeviceFacts) -> tuple[str, ...]:
    """Return why the wheels of an index cannot be used on the device: its address says for which JetPack they are.

    `url` is of the index (`…/jp6/cu126/+simple/torch/`), `name` of the file, whose local version may name CUDA.
    The Python tag is not judged here: the container decides which Python it has.
    """
    l4t = parse_version(device.state.l4t)
    if l4t is None:
        return () if is_plain_machine(device) else ("the L4T of this device is not known; name it under [device] l4t",)
    pieces = [piece for piece in urlsplit(url).path.lower().split("/") if piece]
    if (jetpack := _index_jetpack(pieces)) is not None:
        if _JETPACK_OF_L4T.get(l4t.major) == jetpack:
            return ()
        return (f"is built for JetPack {jetpack} (L4T {_L4T_OF_JETPACK.get(jetpack, '?')}); {_runs(device)}",)
    cuda = parse_tag("-".join(pieces)).cuda or parse_tag(name.partition("+")[2]).cuda
    if cuda is None:
        return ("this index does not say which JetPack its wheels are for",)
    if Version(cuda).major >= 13:
        return () if l4t.major >= _cuda_13_floor(device) else (f"needs {_cuda_13_needs(device)}; {_runs(device)}",)
    return ("is built for Arm servers with CUDA 12, not for a Jetson",)


def board(device: DeviceFacts) -> str | None:
    """Return `orin` or `thor`, by the device tree, else by an L4T which only one of them has."""
    model = (device.model or "").lower()
    if named := next((name for name in ("orin", "thor") if name in model), None):
        return named
    l4t = parse_version(device.state.l4t)
    return {36: "orin", 38: "thor"}.get(l4t.major) if l4t and device.model is None else None


def runs_on(l4t_major: int, device: DeviceFacts) -> bool:
    """Return whether an L4T exists for the device's board: r38 was Thor's alone, r39 is the first of both."""
    here = board(device)
    return here is not None and l4t_major >= _FIRST_L4T_OF[here] and not (here == "orin" and l4t_major in (37, 38))


def jetpack_line(l4t: str | None) -> str | None:
    """Return `JetPack 6` of `36.4.4`: what builds are made for; None where it is not known."""
    version = parse_version(l4t)
    jetpack = _JETPACK_OF_L4T.get(version.major) if version else None
    return f"JetPack {jetpack}" if jetpack else None


def is_plain_machine(device: DeviceFacts) -> bool:
    """Return whether this cannot be a Jetson: nothing says so, and they are all arm64.

    An arm64 machine without L4T may be a Jetson whose files are not seen from a container: that is unknown.
    """
    return device.state.l4t is None and device.model is None and device.architecture != "arm64"


def _builder_reason(parts: TagParts) -> str | None:
    return "is a builder image, not one to run" if parts.builder else None


def _architecture_reason(parts: TagParts, known: Collection[str] | None, wanted: str) -> str | None:
    if parts.arch and parts.arch != wanted:
        return f"is built for {parts.arch}; this device is {wanted}"
    if known is not None and wanted not in known:
        return f"has no image for {wanted}, only for {', '.join(sorted(known)) or 'none that is known'}"
    return None


def _tegra_reason(parts: TagParts) -> str | None:
    if parts.l4t or parts.board:
        wanted = f"L4T r{parts.l4t}" if parts.l4t else f"a Jetson {str(parts.board).title()}"
        return f"needs {wanted}; this machine is no Jetson"
    return None


def _board_reason(parts: TagParts, device: DeviceFacts) -> str | None:
    here = board(device)
    if parts.board is None or parts.board == here:
        return None
    told = f"this device is {device.model}" if device.model else _runs(device)
    return f"is built for Jetson {parts.board.title()}; {told if here else 'which board this device is, is not known'}"


def _sbsa_reason(parts: TagParts, device: DeviceFacts) -> str | None:
    if not parts.sbsa or board(device) == "thor":
        return None
    l4t, cuda = _l4t(device), parse_version(parts.cuda)
    if l4t.major >= 39 and cuda and cuda >= _FIRST_SBSA_CUDA_ON_ORIN:
        return None
    return "is built for Arm servers and Thor (SBSA), not for this device's Tegra stack"


def _l4t_reason(parts: TagParts, device: DeviceFacts) -> str | None:
    """Return what a tag's own L4T and CUDA need beyond the device, in one sentence."""
    host, needs = _l4t(device), []
    cuda = parse_version(parts.cuda)
    needs_cuda_13 = cuda is not None and cuda.major >= 13 and host.major < _cuda_13_floor(device)
    if parts.l4t == "36" and host.major == 36:
        return f"names L4T r36 without its minor release; {_runs(device)}"
    if parts.l4t is None:
        needs = [_cuda_13_needs(device)] if needs_cuda_13 else []
    elif not _takes(Version(parts.l4t), host, device) or needs_cuda_13:
        needs = [*(["CUDA 13"] if needs_cuda_13 else []), f"L4T r{parts.l4t}"]
    return f"needs {' and '.join(needs)}; {_runs(device)}" if needs else None


def _takes(tag: Version, host: Version, device: DeviceFacts) -> bool:
    """Return whether a container of one L4T runs on another: the table of jetson-containers, without its open ends."""
    if host.major == 36:  # r36.4 changed the user space: containers do not cross that line
        return tag.major == 36 and (tag.minor >= 4) == (host.minor >= 4)
    if host.major == 32:
        return tag.major == 32 and (tag.minor >= 7) == (host.minor >= 7)
    if host.major == 39 and tag.major == 38:  # r38 ran on Thor only: its images hold nothing for Orin
        return board(device) == "thor"
    return tag.major == host.major


def _unsaid_reasons(
    image: str, tag: str, parts: TagParts, engine: EngineSettings, device: DeviceFacts
) -> list[str | None]:
    if not _rules(image, tag, engine):
        return ["this tag does not say which L4T it is for, and no rule of its repository does"]
    return _rule_reasons(image, tag, parts, engine, device)


def _rule_reasons(
    image: str, tag: str, parts: TagParts, engine: EngineSettings, device: DeviceFacts
) -> list[str | None]:
    return [_rule_reason(rule, parts, device) for rule in _rules(image, tag, engine)]


def _rules(image: str, tag: str, engine: EngineSettings) -> list[ImageRule]:
    return [
        rule for rule in engine.image_rules if repository(rule.image) == repository(image) and re.search(rule.tag, tag)
    ]


def _rule_reason(rule: ImageRule, parts: TagParts, device: DeviceFacts) -> str | None:
    """Return what a repository's rule needs and the device lacks; L4T is asked of a Jetson only."""
    l4t = parse_version(device.state.l4t)
    driver = parse_version(device.state.driver) or parse_version(_DRIVER_OF_L4T.get(l4t.major) if l4t else None)
    version = parse_version(parts.version)
    needs = []
    if rule.l4t and l4t is not None and not _meets(l4t, rule.l4t):
        needs.append(f"L4T {_in_words(rule.l4t, 'r')}")
    if rule.driver and not (driver and _meets(driver, rule.driver)):
        needs.append(f"driver {_in_words(rule.driver)}")
    if needs:
        return f"needs {' and '.join(needs)}; {_runs(device, with_driver=bool(rule.driver))} ({rule.reason})"
    if rule.version and version and not _meets(version, rule.version):
        return f"is older than what its repository needs here, {_in_words(rule.version)} ({rule.reason})"
    return None


def _meets(version: Version, specifier: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False


def _in_words(specifier: str, prefix: str = "") -> str:
    """Return `r36 or newer, below r39` of `>=36,<39`."""
    words = {">=": "{} or newer", "<": "below {}", "<=": "{} or older", "==": "{}", ">": "newer than {}"}
    try:
        parts = [Specifier(part.strip()) for part in specifier.split(",")]
    except InvalidSpecifier:
        return specifier
    return ", ".join(words.get(part.operator, "{}").format(prefix + part.version) for part in parts)


def _runs(device: DeviceFacts, with_driver: bool = False) -> str:
    runs = f"r{device.state.l4t}" if device.state.l4t else "no L4T"
    driver = f" with driver {device.state.driver}" if with_driver and device.state.driver else ""
    return f"this device runs {runs}{driver}"


def _l4t(device: DeviceFacts) -> Version:
    return parse_version(device.state.l4t) or Version("0")


def _cuda_13_floor(device: DeviceFacts) -> int:
    return _FIRST_L4T_WITH_CUDA_13.get(board(device) or "orin", 39)


def _cuda_13_needs(device: DeviceFacts) -> str:
    return f"CUDA 13 and L4T r{_cuda_13_floor(device)}"


def _index_jetpack(pieces: list[str]) -> int | None:
    """Return 6 of `jp6/cu126` and of NVIDIA's `redist/jp/v61`; None where the address names no JetPack."""
    for before, piece in zip([None, *pieces], pieces, strict=False):
        if found := re.fullmatch(r"jp(\d)\d*", piece):
            return int(found[1])
        if before == "jp" and (found := re.fullmatch(r"v(\d)\d+(?:dp)?", piece)):
            return int(found[1])
    return None


def repository_of(image: str) -> str:
    """Return the repository of a reference: without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def repository(image: str) -> str:
    """Return a repository under one spelling: Docker Hub's own host may be written or left out."""
    for prefix in ("docker.io/", "index.docker.io/", "registry-1.docker.io/"):
        image = image.removeprefix(prefix)
    return image
