"""Sources behind a login: it opens the index and its files, and is written nowhere."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.artifacts.builders import FIXED, torch_wheel
from tests.real.scene import Scene
from tests.real.web import Asked, Reply, Web, file_reply, running_web

WHEEL = "torch-2.14.0+cu130-cp312-cp312-manylinux_2_28_aarch64.whl"
SECRET = "s3cret"
EXPECTED = f"Basic {b64encode(f'me:{SECRET}'.encode()).decode()}"


def locked(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    return lambda asked: answer(asked) if asked.headers.get("authorization") == EXPECTED else Reply(401)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Scene, Web]]:
    with running_web() as web:
        link = f'<title>Links for torch</title><a href="/files/{WHEEL}#sha256={"a" * 64}">{WHEEL}</a>'
        feed = b'<rss version="2.0"><channel><item><title>new</title><guid>1</guid></item></channel></rss>'
        content = torch_wheel(FIXED, "2.14.0+cu130")
        web.routes["/simple/torch/"] = locked(lambda _: Reply(200, link.encode(), {"Content-Type": "text/html"}))
        web.routes[f"/files/{WHEEL}"] = locked(lambda asked: file_reply(asked, content, 1.0))
        web.routes["/feed"] = locked(lambda _: Reply(200, feed))
        host = f"http://me:{SECRET}@{web.host}"
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none"},
            "sources": [
                {"name": "torch", "kind": "simple-index", "url": "pip:torch"},
                {"name": "feed", "kind": "feed", "url": f"{host}/feed"},
                {"name": "bad-feed", "kind": "feed", "url": f"{host}/nothing"},
                {"name": "bad-apt", "kind": "apt", "urls": [f"{host}/apt"], "dists": ["r36.4"], "packages": ["x"]},
            ],
        }
        yield Scene(tmp_path, None, table), web


def test_it_opens_index_files_and_feeds_and_is_written_nowhere(world: tuple[Scene, Web]) -> None:
    scene, web = world
    env = {"PIP_INDEX_URL": f"http://me:{SECRET}@{web.host}/simple"}
    texts = []
    for arguments in (("check-now", "--json"), ("sources", "--json"), ("sources", "test", "torch", "--json")):
        done = scene.watcher(*arguments, env=env)
        texts += [done.stdout, done.stderr]
    shown = scene.watcher("config", "show", env=env).stdout
    assert f'url = "http://**********@{web.host}/simple/torch/"' in shown
    assert '"state": "fixed"' in texts[2], "the wheel was read, in ranges"
    assert f'"url": "{web.url}/files/{WHEEL.replace("+", "%2B")}"' in texts[4].replace("+", "%2B")
    page = (scene.data_dir / "page/index.html").read_text()
    assert f"{web.url}/simple/torch/" in page
    stored = b"".join(file.read_bytes() for file in scene.data_dir.rglob("*") if file.is_file())
    assert not [text for text in (*texts, shown, page) if SECRET in text]
    assert SECRET.encode() not in stored
