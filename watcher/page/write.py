"""Write the page where a browser or a web server finds it, each file whole or not at all."""

import json
import os
from pathlib import Path

from watcher.model.documents import answer_document
from watcher.page.facts import PageFacts
from watcher.page.places import FOLDER
from watcher.page.render import render


def write_page(data_dir: Path, facts: PageFacts) -> Path:
    """Write `page/index.html`, and `page/answer.json` beside it; return the page's path. Raises OSError."""
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "answer.json", json.dumps(answer_document(facts.answer), indent=2) + "\n")
    _replace(folder / "index.html", render(facts))
    return folder / "index.html"


def _replace(path: Path, text: str) -> None:
    """Write a neighbour and rename it: who reads meanwhile sees the old file or the new one.

    It is not forced to the disk: the next check writes it again. The neighbour is named after this process, so that two
    which write at once do not write into one file.
    """
    neighbour = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        neighbour.write_text(text, encoding="utf-8")
        neighbour.replace(path)
    except OSError:
        neighbour.unlink(missing_ok=True)
        raise
