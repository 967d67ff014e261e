"""Debian's packages from the mirror that this machine's apt uses, also of a newer Debian than the machine's own.

Nothing is installed here, and apt's own sources and lists stay as they are.
"""

import subprocess
import tempfile
from pathlib import Path

from tests.places import CACHE
from tests.real.docker import CannotRunHere
from tests.real.kept import once

BOOKWORM, TRIXIE = "bookworm", "trixie"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TAIL = 800


def unpacked(package: str) -> Path:
    """Return a folder with the files of a package of Debian 13, fetched on first use. Raises CannotRunHere.

    Fit for programs that need no more of Debian 13 than they bring along.
    """
    folder = CACHE / "debian" / f"{TRIXIE}-{package}"
    once(folder, lambda folder: _fetch(package, folder))
    return folder


def mirror() -> str | None:
    """Return the mirror of Debian that this machine's apt uses; none where it has no release of Debian's."""
    try:
        asked = ["apt-get", "indextargets", "Created-By: Packages", "--format", "$(RELEASE) $(REPO_URI)"]
        lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return None
    rows = (line.split() for line in lines)
    return next((uri for release, uri in rows if release in (BOOKWORM, TRIXIE)), None)


def _fetch(package: str, folder: Path) -> None:
    """Let apt choose and check the package, with sources and lists of its own beside those of this machine."""
    uri = mirror()
    if uri is None:
        raise CannotRunHere(f"apt has no source here that is a release of Debian, to fetch {package} from")
    with tempfile.TemporaryDirectory() as place:
        there = Path(place)
        for part in ("state/lists/partial", "cache/archives/partial", "fetched"):
            (there / part).mkdir(parents=True)
        (there / "status").touch()
        (there / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {uri} {TRIXIE} main\n")
        _run(*_apt_get(there), "update", folder=there)
        _run(*_apt_get(there), "download", package, folder=there / "fetched")
        (archive,) = (there / "fetched").glob("*.deb")
        _run("dpkg-deb", "--extract", str(archive), str(folder), folder=there)


def _apt_get(there: Path) -> list[str]:
    own = {
        "Dir::Etc::SourceList": there / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": there / "state",
        "Dir::State::Status": there / "status",
        "Dir::Cache": there / "cache",
        "APT::Sandbox::User": "root",  # the account that apt fetches as may not write into the folder
    }
    return ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in own.items())]


def _run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = (done.stdout + done.stderr)[-_TAIL:]
        raise CannotRunHere(f"{command[0]} {command[-1]} ended with {done.returncode}:\n{told}")
