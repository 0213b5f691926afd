"""A real browser renders what we serve: the demonstration's site and Python's documentation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.bench.servers import run_bypass
from bypass.serve.vethpair import VethPair
from tests.browser.chromium import Chromium, chromium
from tests.veth.documentation import copy_documentation

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def artefacts() -> Path:
    """Where screenshots stay for people to look at."""
    return Path(__file__).parents[2] / ".cache" / "artefacts"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sites in one folder."""
    root = tmp_path_factory.mktemp("sites")
    demo = Path(__file__).parents[2] / "bypass" / "data" / "demo-site"
    shutil.copytree(demo, root, dirs_exist_ok=True)
    copy_documentation(root / "python")
    return root


@pytest.fixture(scope="module")
def pair(site: Path) -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made, run_bypass(made, site, cpu=0, poll="balanced"):
        yield made


@pytest.fixture(scope="module")
def browser(pair: VethPair) -> Iterator[Chromium]:
    with chromium(pair) as started:
        yield started


@pytest.mark.parametrize(
    ("path", "name", "title"),
    [
        ("/", "demo", "bypass"),
        ("/about/", "demo-about", "bypass"),
        ("/python/index.html", "python-doc", "Documentation"),
        ("/python/library/asyncio.html", "python-doc-asyncio", "asyncio"),
        ("/python/library/socket.html", "python-doc-socket", "socket"),
    ],
)
def test_a_page_renders_without_an_error(
    pair: VethPair, browser: Chromium, artefacts: Path, path: str, name: str, title: str
) -> None:
    visit = browser.visit(f"http://{pair.server.v4}{path}")
    assert visit.errors == []
    assert len(visit.loaded) > 1
    assert set(visit.loaded.values()) <= {200, 304}
    assert title in browser.evaluate("document.title")
    assert browser.evaluate("document.styleSheets.length") > 0
    assert browser.evaluate("document.body.scrollHeight") > 300
    broken = "[...document.images].filter(image => image.complete && !image.naturalWidth).length"
    assert browser.evaluate(broken) == 0
    browser.screenshot(artefacts / f"{name}.png")
    assert (artefacts / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_documentation_is_searched_with_its_own_script(
    pair: VethPair, browser: Chromium, artefacts: Path
) -> None:
    """Its index names one page that the package leaves out: that one may be missing, and no other."""
    visit = browser.visit(f"http://{pair.server.v4}/python/search.html?q=socket")
    counted = """new Promise(done => {
        const look = () => {
            const found = document.querySelectorAll("#search-results li").length;
            if (found) { done(found); } else { setTimeout(look, 50); }
        };
        look();
        setTimeout(() => done(0), 20000);
    })"""
    assert browser.evaluate(counted) > 10
    missing = {url for url, status in visit.loaded.items() if status not in (200, 304)}
    assert missing <= {f"http://{pair.server.v4}/python/whatsnew/changelog.html"}
    browser.screenshot(artefacts / "python-doc-search.png")


def test_a_missing_script_is_noticed(pair: VethPair, browser: Chromium) -> None:
    """The judge of the other tests sees what it is there for."""
    visit = browser.visit(f"http://{pair.server.v4}/nothing-here")
    assert visit.loaded[visit.url] == 404
    assert any("404" in error for error in visit.errors)
