"""Error pages of a host: those that the settings name, and 404.html in any folder by convention."""

from __future__ import annotations

from dataclasses import replace

from bypass.errors import SiteError
from bypass.site.errorpages import own_page
from bypass.site.files.fields import FieldRules
from bypass.site.files.paths import NOT_FOUND, Maker
from bypass.site.resource import Representation, Resource
from bypass.site.rules.settings import SiteSettings
from bypass.site.text import printable

STATUSES = frozenset({400, 401, 404, 405, 406, 408, 412, 413, 414, 417, 421, 431, 500, 501, 503, 505})
"""Those that this server answers by itself."""


def error_pages(
    forms: dict[bytes, tuple[Representation, ...]], settings: SiteSettings, make: Maker, where: str
) -> dict[tuple[int, bytes], Resource]:
    """(status, folder) -> page. SiteError for a page that the settings name and that there is not."""
    pages: dict[tuple[int, bytes], Resource] = {}
    for url in forms:
        if url.endswith(b"/" + NOT_FOUND) and _is_plain(forms[url]):
            pages[404, url[: -len(NOT_FOUND)]] = _as_error(make(url, url), 404)
    for text, path in settings.error_pages.items():
        if not path:
            pages.pop((int(text), b"/"), None)
            continue
        url = path.encode("utf-8")
        if int(text) not in STATUSES:
            known = ", ".join(map(str, sorted(STATUSES)))
            raise SiteError(
                f"{where}: error-pages.{text}", why=f"no such error arises here; known are {known}"
            )
        if url not in forms or not _is_plain(forms[url]):
            raise SiteError(
                f"{where}: error-pages.{text} = {printable(url)}", why="the site has no such file"
            )
        pages[int(text), b"/"] = _as_error(make(url, url), int(text))
    return pages


def with_presets(
    pages: dict[tuple[int, bytes], Resource], fields: FieldRules
) -> dict[tuple[int, bytes], Resource]:
    """The security preset holds for our own error pages, too."""
    if not fields.preset:
        return pages
    own = {
        (status, b"/"): replace(page, fields=(*page.fields, *_allowing_styles(fields)))
        for status, page in ((status, own_page(status)) for status in sorted(STATUSES))
    }
    return {**own, **pages}


def _allowing_styles(fields: FieldRules) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
        if name == "Content-Security-Policy"
        else (name, value)
        for name, value in fields.preset
    )


def _as_error(page: Resource, status: int) -> Resource:
    """Nobody keeps an error for as long as a page; only identity and its compressed forms are taken over."""
    fields = tuple((name, value) for name, value in page.fields if name.lower() != "cache-control")
    return replace(page, status=status, modified=0, fields=(*fields, ("Cache-Control", "no-store")))


def _is_plain(forms: tuple[Representation, ...]) -> bool:
    return not forms[0].coding
