"""The sample site: small, whole, and its own: nothing is loaded from elsewhere."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit
from xml.etree import ElementTree

import pytest

import bypass
from bypass.site.image import SiteImage
from tests.site.support import Compiler

ROOT = Path(bypass.__file__).parent / "data/demo-site"
ORIGIN = "http://demo"
MEANT_TO_BE_MISSING = {b"/nothing/here"}


class Page(HTMLParser):
    """Links, loaded resources, and what a page owes to people who do not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.links += [value for name in ("href", "src") if (value := attributes.get(name))]


def page_of(image: SiteImage, path: bytes) -> Page:
    response = image.lookup(path)
    assert response is not None
    page = Page()
    page.feed(bytes(response.body).decode())
    return page


def targets(image: SiteImage, path: bytes) -> Iterator[bytes]:
    """Absolute paths that a page leads to or loads, percent-decoded."""
    for link in page_of(image, path).links:
        whole = urljoin(ORIGIN + path.decode(), link)
        assert whole.startswith(ORIGIN + "/"), f"{link} leads elsewhere"
        if not link.startswith("#"):
            yield unquote_to_bytes(urlsplit(whole).path)


@pytest.fixture
def demo(compiled: Compiler) -> SiteImage:
    return compiled(ROOT)


def test_every_link_leads_somewhere_but_the_one_that_must_not(demo: SiteImage) -> None:
    pending, seen = [b"/"], set()
    missing = set()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        response = demo.lookup(path)
        if response is None:
            missing.add(path)
        elif response.status == 200 and b"Content-Type: text/html" in response.head:
            pending += targets(demo, path)
    assert missing == MEANT_TO_BE_MISSING
    files = {path for path, response in demo if response.status == 200 and path != b"/index.html"}
    assert files - seen == {b"/about/index.html", b"/robots.txt"}


def test_it_is_under_150_kilobytes_and_has_every_kind_of_file() -> None:
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150_000
    kinds = {path.suffix for path in files}
    assert kinds >= {".html", ".css", ".js", ".json", ".svg", ".png", ".txt"}


def test_nothing_names_another_host() -> None:
    for path in ROOT.rglob("*"):
        if path.suffix in {".html", ".css", ".js", ".json", ".svg"}:
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text), path
            assert "@import" not in text


@pytest.mark.parametrize("path", [b"/", b"/about/"])
def test_pages_can_be_read_without_seeing_them(demo: SiteImage, path: bytes) -> None:
    tags = page_of(demo, path).tags
    names = [tag for tag, _ in tags]
    assert dict(tags)["html"]["lang"] == "en"
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert images
    assert all("alt" in image and "width" in image and "height" in image for image in images)


def test_svg_and_json_are_well_formed() -> None:
    drawings = list(ROOT.rglob("*.svg"))
    assert len(drawings) == 3
    for drawing in drawings:
        assert ElementTree.parse(drawing).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    facts = json.loads((ROOT / "data.json").read_text())["facts"]
    assert facts
    assert all(fact.keys() == {"name", "value"} for fact in facts)


def test_the_picture_is_a_whole_png() -> None:
    octets = (ROOT / "img/streams.png").read_bytes()
    assert octets.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(octets) < 60_000
    place, kinds = 8, []
    while place < len(octets):
        size, kind = struct.unpack_from(">I4s", octets, place)
        (crc,) = struct.unpack_from(">I", octets, place + 8 + size)
        assert zlib.crc32(octets[place + 4 : place + 8 + size]) == crc
        kinds.append(kind)
        place += 12 + size
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
