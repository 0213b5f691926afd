"""A browser shows and sorts a listing, with the strictest headers that we set, and takes compressed forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.bench.servers import run_bypass
from bypass.serve.vethpair import VethPair
from tests.browser.chromium import Chromium, chromium

pytestmark = pytest.mark.root

ARTEFACTS = Path(__file__).parents[2] / ".cache" / "artefacts"
SIZES = {"b.txt": 2000, "a10.txt": 30, "a9.txt": 400_000, "<b>&amp;.txt": 5}
SETTINGS = """
[site]
listing = true
security-headers = "strict"
[site.compression]
codings = ["br", "zstd", "gzip"]
"""
NAMES = "[...document.querySelectorAll('tbody tr:not(.up) a')].map(link => link.textContent)"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VethPair]:
    folder = tmp_path_factory.mktemp("listing")
    for name, size in SIZES.items():
        (folder / "site" / "files").mkdir(parents=True, exist_ok=True)
        (folder / "site" / "files" / name).write_bytes(b"x" * size)
    (folder / "site" / "files" / "folder").mkdir()
    (folder / "site" / "files" / "folder" / "x").write_bytes(b"x")
    (folder / "site" / "style.css").write_bytes(b"body { color: rgb(1, 2, 3) }" * 40)
    page = (
        b"<!doctype html><title>packed</title><link rel=stylesheet href=style.css><link rel=icon href=data:,>"
    )
    (folder / "site" / "index.html").write_bytes(page + b"<p>words " * 200)
    (folder / "bypass.toml").write_text(SETTINGS)
    options = ["--config", str(folder / "bypass.toml")]
    with (
        VethPair(isolate_server=True) as made,
        run_bypass(made, folder / "site", cpu=0, poll="balanced", options=options),
    ):
        yield made


@pytest.fixture(scope="module")
def browser(pair: VethPair) -> Iterator[Chromium]:
    with chromium(pair) as started:
        yield started


def test_a_listing_is_shown_and_sorted(pair: VethPair, browser: Chromium) -> None:
    visit = browser.visit(f"http://{pair.server.v4}/files/")
    assert visit.errors == []
    assert browser.evaluate(NAMES) == ["folder/", "<b>&amp;.txt", "a10.txt", "a9.txt", "b.txt"]
    browser.screenshot(ARTEFACTS / "listing.png")
    browser.evaluate("document.querySelectorAll('thead button')[0].click()")
    assert browser.evaluate(NAMES) == ["folder/", "<b>&amp;.txt", "a9.txt", "a10.txt", "b.txt"]
    for _ in range(2):
        browser.evaluate("document.querySelectorAll('thead button')[1].click()")
    assert browser.evaluate(NAMES) == ["folder/", "a9.txt", "b.txt", "a10.txt", "<b>&amp;.txt"]
    sorted_by = "document.querySelector('[aria-sort]').getAttribute('aria-sort')"
    assert browser.evaluate(sorted_by) == "descending"


def test_a_listing_reads_well_in_the_dark(pair: VethPair, browser: Chromium) -> None:
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.ask("Emulation.setEmulatedMedia", features=dark)
    browser.visit(f"http://{pair.server.v4}/files/")
    back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in back.removeprefix("rgb(").rstrip(")").split(",")) < 60
    browser.screenshot(ARTEFACTS / "listing-dark.png")
    browser.ask("Emulation.setEmulatedMedia", features=[])


def test_every_link_of_a_listing_leads_to_its_file(pair: VethPair, browser: Chromium) -> None:
    browser.visit(f"http://{pair.server.v4}/files/")
    for url in browser.evaluate("[...document.querySelectorAll('tbody a')].map(link => link.href)"):
        done = pair.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", url])
        assert done.stdout == "200", url


def test_compressed_pages_and_styles_are_understood(pair: VethPair, browser: Chromium) -> None:
    visit = browser.visit(f"http://{pair.server.v4}/")
    assert visit.errors == []
    assert browser.evaluate("document.title") == "packed"
    assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
    sizes = "performance.getEntriesByType('navigation').map(e => [e.encodedBodySize, e.decodedBodySize])[0]"
    encoded, decoded = browser.evaluate(sizes)
    assert 0 < encoded < decoded / 4
