"""Listings: what they hold, and that no name can break out of where it stands."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass.site.files.listing import Entry, content_security_policy, html_listing, json_listing, ordered

ENTRIES = [
    Entry(b"b.txt", False, 1536, 1_700_000_000),
    Entry(b"A.txt", False, 1, 0),
    Entry(b"zoo", True),
    Entry(b'<img src=x onerror="alert(1)">', False, 5, 1),
    Entry(b"caf\xc3\xa9 \xff?#%", False, 0, 5),
    Entry(b"javascript:alert(1)", False, 1, 5),
]


class Page(HTMLParser):
    """What a browser would see: links with their texts, and every element."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open = False
        self.feed(content.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append((dict(attrs)["href"] or "", ""))
        self._open = tag == "a"

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.links[-1] = (self.links[-1][0], self.links[-1][1] + data)


def test_every_entry_is_a_link_folders_first() -> None:
    links = dict(Page(html_listing(b"/docs/", ENTRIES)).links)
    assert links["../"] == "../"
    assert links["./zoo/"] == "zoo/"
    assert links["./b.txt"] == "b.txt"
    assert links["./caf%C3%A9%20%FF%3F%23%25"] == "café \\xff?#%"
    assert links["./javascript:alert(1)"] == "javascript:alert(1)"
    assert [entry.name for entry in ordered(ENTRIES)][:2] == [b"zoo", ENTRIES[3].name]


def test_the_root_has_no_way_up() -> None:
    assert all(link != "../" for link, _ in Page(html_listing(b"/", ENTRIES)).links)


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_no_name_adds_an_element_or_leads_elsewhere(name: bytes) -> None:
    plain = Page(html_listing(b"/x/", [Entry(b"a", False, 1, 1)]))
    page = Page(html_listing(b"/x/", [Entry(name, False, 1, 1)]))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.links[-1][0].startswith("./")
    inside = Page(html_listing(b"/" + name + b"/", []))
    assert all(link.startswith(("/", "../")) and not link.startswith("//") for link, _ in inside.links)


def test_the_page_needs_nothing_from_elsewhere_and_its_script_and_style_are_allowed() -> None:
    page = html_listing(b"/docs/", ENTRIES)
    assert b"http:" not in page
    assert b"https:" not in page
    policy = content_security_policy()
    assert "unsafe" not in policy
    assert policy.count("sha256-") == 2


def test_the_table_can_be_read_by_those_who_do_not_see_it() -> None:
    page = Page(html_listing(b"/docs/", ENTRIES))
    tags = [tag for tag, _ in page.elements]
    assert {"main", "h1", "nav", "table", "caption", "thead"} <= set(tags)
    assert ("html", {"lang": "en"}) in page.elements
    scopes = [about.get("scope") for tag, about in page.elements if tag == "th"]
    assert set(scopes) == {"col", "row"}


def test_json_says_the_same() -> None:
    listing = json.loads(json_listing(b"/docs/", ENTRIES))
    assert listing["path"] == "/docs/"
    by_name = {entry["name"]: entry for entry in listing["entries"]}
    assert by_name["zoo"] == {"name": "zoo", "type": "folder", "url": "/docs/zoo/"}
    assert by_name["b.txt"] == {
        "name": "b.txt",
        "url": "/docs/b.txt",
        "type": "file",
        "size": 1536,
        "modified": "2023-11-14T22:13:20Z",
    }
    assert len(by_name) == len(ENTRIES)


@pytest.mark.parametrize("make", [html_listing, json_listing])
def test_the_order_of_the_entries_does_not_matter(make: object) -> None:
    assert callable(make)
    assert make(b"/", ENTRIES) == make(b"/", ENTRIES[::-1])
