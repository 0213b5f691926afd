"""Content types by name."""

from __future__ import annotations

import pytest

from bypass.site.mime import TYPES, ContentTypes, content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"/index.html", "text/html; charset=utf-8"),
        (b"/a/B.HTML", "text/html; charset=utf-8"),
        (b"/site.css", "text/css; charset=utf-8"),
        (b"/app.mjs", "text/javascript; charset=utf-8"),
        (b"/readme.md", "text/markdown; charset=utf-8"),
        (b"/data.json", "application/json"),
        (b"/app.js.map", "application/json"),
        (b"/site.webmanifest", "application/manifest+json"),
        (b"/logo.svg", "image/svg+xml"),
        (b"/photo.webp", "image/webp"),
        (b"/photo.avif", "image/avif"),
        (b"/text.woff2", "font/woff2"),
        (b"/engine.wasm", "application/wasm"),
        (b"/paper.pdf", "application/pdf"),
        (b"/film.mp4", "video/mp4"),
        (b"/voice.opus", "audio/opus"),
        (b"/source.tar.gz", "application/gzip"),
        (b"/LICENSE", "text/plain; charset=utf-8"),
        (b"/.well-known/apple-app-site-association", "application/json"),
        (b"/no-extension", "application/octet-stream"),
        (b"/what.is-this", "application/octet-stream"),
        (b"/folder.html/file", "application/octet-stream"),
        (b"/trailing.", "application/octet-stream"),
        (b"/caf\xe9.png", "image/png"),
    ],
)
def test_the_last_extension_decides(name: bytes, expected: str) -> None:
    assert content_type(name) == expected


def test_the_table_knows_at_least_ninety_extensions_of_ninety_types() -> None:
    assert len(TYPES) >= 90
    assert len(set(TYPES.values())) >= 90


def test_every_entry_can_stand_in_a_head() -> None:
    for extension, value in TYPES.items():
        assert extension == extension.lower()
        assert value.isascii()
        assert value.isprintable()
        assert value.count("/") == 1
        assert "charset" not in value


def test_settings_come_before_the_table() -> None:
    types = ContentTypes({".html": "application/xhtml+xml", ".D.ts": "text/plain", "CNAME": "text/plain"})
    assert types.of(b"/index.html") == "application/xhtml+xml"
    assert types.of(b"/lib/api.d.ts") == "text/plain; charset=utf-8"
    assert types.of(b"/film.ts") == "video/mp2t"
    assert types.of(b"/cname") == "text/plain; charset=utf-8"


def test_the_charset_is_that_of_the_settings_unless_the_type_says_one() -> None:
    assert ContentTypes({}, "iso-8859-1").of(b"/a.txt") == "text/plain; charset=iso-8859-1"
    assert ContentTypes({}, "").of(b"/a.txt") == "text/plain"
    own = ContentTypes({".txt": "text/plain; charset=koi8-r"})
    assert own.of(b"/a.txt") == "text/plain; charset=koi8-r"
    assert own.of(b"/a.json") == "application/json"
