"""Which names carry a digest of their content."""

from __future__ import annotations

import pytest

from bypass.site.rules.fingerprint import is_fingerprinted

HUGO = b"/style.min.e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.css"


@pytest.mark.parametrize(
    "url",
    [
        b"/app.3f2a9c1b.js",
        b"/app.3f2a9c1b.js.map",
        b"/main.8f3c2a1d9b7e4f60.chunk.js",
        b"/css/main-5d41402abc4b2a76b9719d911017c592.css",
        b"/index-BxQ4k2_a.js",
        b"/assets/index-DiwrgTda.js",
        b"/assets/x-C-_aBc9d.css",
        b"/chunk-7QK2ZLPN.js",
        HUGO,
        b"/_next/static/chunks/main.js",
        b"/_app/immutable/entry/start.js",
        b"/_nuxt/entry.js",
    ],
)
def test_a_digest_is_known(url: bytes) -> None:
    assert is_fingerprinted(url)


@pytest.mark.parametrize(
    "url",
    [
        b"/",
        b"/index.html",
        b"/release-20260114.js",
        b"/jquery-3.7.1.min.js",
        b"/bootstrap.bundle.min.js",
        b"/a-MyWidget.js",
        b"/assets/foo-settings.js",
        b"/assets/index-Settings.js",
        b"/x.deadbeef.js",
        b"/3f2a9c1b.js",
        b"/photo-1234abcd",
        b"/3f2a9c1b/app.js",
        b"/_next/static/sw.js",
        b"/service-worker.js",
        b"/.3f2a9c1b.js",
    ],
)
def test_words_dates_and_versions_are_none(url: bytes) -> None:
    assert not is_fingerprinted(url)
