"""Names that carry a digest of their content, as bundlers write them: such a file never changes.

    app.3f2a9c1b.js            webpack, parcel, gulp-rev: hexadecimal, eight digits or more
    index-BxQ4k2_a.js          vite, rollup, astro: eight letters of base64url
    chunk-7QK2ZLPN.js          esbuild, Angular: eight of base32
    style.min.e3b0c4...55.css  Hugo, Jekyll, Rails: a whole SHA-256 or MD5

A date or a version ("release-20260114.js", "jquery-3.7.1.min.js") is none, and neither is a word. Whatever
lies in a folder that a framework keeps for such files is one.
Eight letters without a digit are one where vite puts its files, below /assets/, with two capitals among them:
a name such as assets/app-MyWidget.js is taken for one, too.
"""

from __future__ import annotations

import re

FOLDERS = (b"/_next/static/", b"/_app/immutable/", b"/_astro/", b"/_nuxt/")
"""Everything below is named by its content (Next.js, SvelteKit, Astro, Nuxt)."""

_HEX = re.compile(rb"[0-9a-f]{8,64}")
_BASE32 = re.compile(rb"[A-Z2-7]{8}")
_BASE64 = re.compile(rb"[A-Za-z0-9_-]{8}")
_WORKER = (b"sw.js", b"service-worker.js")


def is_fingerprinted(url: bytes) -> bool:
    """Whether the last component of the path carries a digest of the content."""
    if url.endswith(_WORKER):
        return False
    if any(folder in url for folder in FOLDERS):
        return True
    name = url.rpartition(b"/")[2]
    for separator in (b".", b"-"):
        for start in _starts(name, separator):
            digest, dot, rest = name[start:].partition(b".")
            if dot and rest and start > 1 and _looks_like_one(digest, url):
                return True
    return False


def _starts(name: bytes, separator: bytes) -> list[int]:
    return [found + 1 for found in range(len(name)) if name[found : found + 1] == separator]


def _looks_like_one(text: bytes, url: bytes) -> bool:
    digits = sum(48 <= octet <= 57 for octet in text)
    upper = sum(65 <= octet <= 90 for octet in text)
    lower = sum(97 <= octet <= 122 for octet in text)
    if _HEX.fullmatch(text):
        return digits > 0 and lower > 0
    if _BASE32.fullmatch(text):
        return digits > 0 and upper > 0
    if not _BASE64.fullmatch(text) or not upper or not lower:
        return False
    # Eight letters can be words: only with two capitals, and where vite puts its files.
    return digits > 0 or (upper > 1 and b"/assets/" in url)
