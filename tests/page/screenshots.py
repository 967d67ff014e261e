"""Make the pictures of docs/monitoring.md: the tests' made-up year, in a real browser. `make screenshots` runs this."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.page.examples import YEAR
from tests.places import CHECKOUT
from tests.real.browser import picture_of
from watcher.page.render import render

MOST_BYTES = 150_000
LIGHT, DARK = 1, 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A part of the page: from the section of this name on, as a screen of this size shows it."""

    name: str
    begins: str
    width: int
    height: int
    scheme: int


PICTURES = (
    Picture("page-light", "", 900, 1080, LIGHT),
    Picture("page-phone", "", 390, 1080, DARK),
    Picture("trial-light", "trial-3", 900, 720, LIGHT),
    Picture("trial-phone", "trial-3", 390, 1080, DARK),
)


def take(folder: Path) -> list[Path]:
    """Write all pictures into the folder and return their paths."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="wt-page-") as place:
        page = Path(place) / "index.html"
        for picture in PICTURES:
            page.write_text(_from(render(YEAR), picture.begins), encoding="utf-8")
            path = folder / f"{picture.name}.png"
            size = f"--window-size={picture.width},{picture.height}"
            picture_of(page.as_uri(), path, size, f"--blink-settings=preferredColorScheme={picture.scheme}")
            taken.append(path)
    return taken


def _from(markup: str, begins: str) -> str:
    """Leave out what stands between the top and an element with this id; the browser does not scroll for a picture."""
    if not begins:
        return markup
    main, element = markup.index("<main>") + len("<main>"), markup.rindex("<article", 0, markup.index(f'id="{begins}"'))
    return f"{markup[:main]}<section>{markup[element:]}"


if __name__ == "__main__":
    for path in take(CHECKOUT / "docs"):
        print(f"{path.relative_to(CHECKOUT)}  {path.stat().st_size} bytes")
