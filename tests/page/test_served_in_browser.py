"""The served page in a real browser: let in by the token, styled under its strict headers, closed to frames."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.page.examples import YEAR
from tests.page.hostile import facts_of
from tests.page.test_browser import HTML, attack, title_of
from tests.page.test_serve import TOKEN, served
from tests.real.browser import dom_of, picture_of
from tests.real.web import Reply, Web, web
from watcher.page.write import write_page

__all__ = ["web"]  # the fixture
PHONE = ("--window-size=390,1200", "--blink-settings=preferredColorScheme=0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_page(tmp_path, YEAR).parent


def test_the_token_in_the_address_opens_the_page_and_the_next_request_goes_by_the_cookie(folder: Path) -> None:
    with served(folder, TOKEN) as site:
        address = f"http://127.0.0.1:{site.port}/"
        assert title_of(dom_of(f"{address}?token={quote(TOKEN)}")) == "orin-nx: present, fails"
        shut = dom_of(address)
        assert "needs the token" in shut
        assert "orin-nx" not in shut


def test_it_looks_as_it_does_from_the_disk(folder: Path, tmp_path: Path) -> None:
    """The policy in the headers lets the page's own style in, on a phone and in the dark."""
    with served(folder) as site:
        picture_of(f"http://127.0.0.1:{site.port}/", tmp_path / "served.png", *PHONE)
    picture_of((folder / "index.html").as_uri(), tmp_path / "disk.png", *PHONE)
    plain = (folder / "index.html").read_text().replace("<style>", "<style>/**/")  # the policy does not know this one
    (folder / "index.html").write_text(plain)
    picture_of((folder / "index.html").as_uri(), tmp_path / "plain.png", *PHONE)
    served_one, disk, without = ((tmp_path / f"{name}.png").read_bytes() for name in ("served", "disk", "plain"))
    assert served_one == disk
    assert served_one != without


def test_hostile_text_asks_for_nothing_through_the_server_either(tmp_path: Path, web: Web) -> None:
    folder = write_page(tmp_path, facts_of(attack(web.url))).parent
    with served(folder) as site:
        dom = dom_of(f"http://127.0.0.1:{site.port}/")
    assert title_of(dom).endswith(": present, fails")
    assert web.paths() == []


def test_no_other_page_can_put_it_into_a_frame_or_read_it(folder: Path, web: Web) -> None:
    with served(folder) as site:
        address = f"http://127.0.0.1:{site.port}"
        script = f"""<!DOCTYPE html><iframe src="{address}/"></iframe><script>
          fetch('{address}/answer.json').then(() => fetch('/read'), () => fetch('/refused'));
          fetch('{address}/answer.json', {{mode: 'no-cors'}}).then(a => fetch('/' + a.type), () => fetch('/blocked'));
          onload = () => {{ try {{ document.title = document.querySelector('iframe').contentDocument.title }}
                            catch (error) {{ document.title = 'closed' }} }}</script>"""
        web.routes["/other/"] = Reply(200, script.encode(), HTML)
        web.routes |= {f"/{name}": Reply(200, b"") for name in ("read", "refused", "opaque", "blocked")}
        title = title_of(dom_of(f"{web.url}/other/", "--virtual-time-budget=8000"))
    assert title == "closed"
    assert "/refused" in web.paths()
    assert "/read" not in web.paths()
