"""One run of a program, measured from outside by the kernel's own account of the child, and the table it goes into."""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_LAUNCH = Path(__file__).with_name("launch.py")
_NOT_INSTALLED = "PYTHONDONTWRITEBYTECODE"
"""Where it is set, a checkout is compiled anew at each start; an installed program never is."""
_COLUMNS = ("what", "program", "requests", "body bytes", "wall", "CPU", "peak", "budget", "verdict")


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds by the clock and of CPU (user and system), the peak of resident memory, stdout."""

    wall: float
    cpu: float
    peak_bytes: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `measured` stands where there is no run. `is_kept` is None where there is no budget."""

    what: str
    program: str = "watcher"
    run: Run | None = None
    requests: int | None = None
    bytes: int | None = None
    measured: str = ""
    budget: str = ""
    is_kept: bool | None = None

    def cells(self) -> tuple[str, ...]:
        run = self.run
        return (
            self.what,
            self.program,
            "" if self.requests is None else str(self.requests),
            "" if self.bytes is None else f"{self.bytes:,}".replace(",", " "),
            self.measured if run is None else _seconds(run.wall),
            "" if run is None else _seconds(run.cpu),
            "" if run is None else f"{run.peak_bytes / 1e6:.0f} MB",
            self.budget,
            {None: "", True: "kept", False: "NOT KEPT"}[self.is_kept],
        )


def run(command: Sequence[str | Path]) -> Run:
    """Run a program, named by its path, to its end; exit codes are not looked at."""
    environment = {name: value for name, value in os.environ.items() if name != _NOT_INSTALLED}
    launched = subprocess.run(
        [sys.executable, "-I", "-S", _LAUNCH, *command],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "no_proxy": "127.0.0.1"},
    )
    wall, cpu, peak = launched.stderr.split()
    return Run(float(wall), float(cpu), int(peak), launched.stdout)


def typical(runs: Sequence[Run]) -> Run:
    """Return the median of each number, the highest peak, and the last output."""
    wall, cpu = median(run.wall for run in runs), median(run.cpu for run in runs)
    return Run(wall, cpu, max(run.peak_bytes for run in runs), runs[-1].output)


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table that reads well on a terminal and in Markdown."""
    cells = [_COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS))]
    lines = [f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |" for row in cells]
    return "\n".join((lines[0], f"| {' | '.join('-' * width for width in widths)} |", *lines[1:]))


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
