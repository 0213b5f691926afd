"""Which paths a host answers: files, folders with an index, clean URLs, listings. Everything but rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bypass.site.errorpages import HTML_TYPE, redirect
from bypass.site.files.fields import FieldRules, take_content_type
from bypass.site.files.listing import Entry, content_security_policy, html_listing, json_listing
from bypass.site.heads import encode_path
from bypass.site.mime import ContentTypes
from bypass.site.resource import Representation, Resource
from bypass.site.rules.settings import SiteSettings
from bypass.site.scan import Asset

Maker = Callable[[bytes, bytes], Resource]
"""(path that is asked for, path of the file) -> what is answered."""

NOT_FOUND = b"404.html"
_HTML = (b".html", b".htm")
_JSON_TYPE = "application/json"


def file_maker(
    fields: FieldRules,
    types: ContentTypes,
    forms: dict[bytes, tuple[Representation, ...]],
    plain: dict[bytes, Asset],
    now_s: int,
) -> Maker:
    """Answers out of files. now_s: a Last-Modified that lies ahead of it is not said (RFC 9110 8.8.2.1)."""
    latest_ns = (min(now_s, 2**32 - 1) + 1) * 10**9

    def make(url: bytes, file: bytes) -> Resource:
        kind, others = take_content_type(fields.of(url), types.of(file))
        mtime_ns = plain[file].mtime_ns
        modified = mtime_ns // 10**9 if 0 < mtime_ns < latest_ns else 0
        return Resource(forms[file], kind, modified=modified, fields=others)

    return make


def add_files(paths: dict[bytes, Resource], urls: Iterable[bytes], make: Maker) -> None:
    for url in urls:
        paths[url] = make(url, url)


def add_indexes(paths: dict[bytes, Resource], names: Iterable[str], make: Maker) -> None:
    """Gives each folder with an index its two paths: "/docs/" answers it, "/docs" leads there."""
    for name in (name.encode("utf-8") for name in names):
        suffix = b"/" + name
        for url in [url for url in paths if url.endswith(suffix)]:
            folder = url[: -len(name)]
            if folder not in paths:
                paths[folder] = make(folder, url)


def add_clean_urls(paths: dict[bytes, Resource], names: Iterable[str], make: Maker) -> None:
    """/about answers about.html, and /about.html and /about/ lead there; so does /docs/index.html to /docs/.

    A file called "about" keeps its path, and about/index.html keeps /about/. Error pages keep their names.
    """
    indexes = tuple(b"/" + name.encode("utf-8") for name in names)
    for url in [url for url in paths if url.endswith(_HTML)]:
        if url.endswith(indexes):
            folder = url[: url.rindex(b"/") + 1]
            if folder in paths:
                paths[url] = redirect(encode_path(folder))
            continue
        clean = url[: url.rindex(b".")]
        if clean in paths or clean.endswith(b"/") or url.endswith(b"/" + NOT_FOUND):
            continue
        paths[clean] = make(clean, url)
        paths[url] = redirect(encode_path(clean))
        paths.setdefault(clean + b"/", redirect(encode_path(clean)))


def add_listings(
    paths: dict[bytes, Resource],
    assets: Iterable[Asset],
    settings: SiteSettings,
    fields: FieldRules,
    now_s: int,
) -> int:
    """A page for every folder without an index, and JSON beside it. Returns how many folders got one.

    No time is listed that lies ahead of now_s."""
    name = settings.listing_json.encode("utf-8")
    made = 0
    for folder, entries in folders(assets, now_s).items():
        json_path = folder + name
        if name and json_path not in paths:
            others = _listing_fields(fields.of(json_path), policy="")
            paths[json_path] = _page(json_listing(folder, entries), _JSON_TYPE, others)
        if folder not in paths:
            others = _listing_fields(fields.of(folder), content_security_policy())
            paths[folder] = _page(html_listing(folder, entries), HTML_TYPE, others)
            made += 1
    return made


def folders(assets: Iterable[Asset], now_s: int) -> dict[bytes, list[Entry]]:
    """Every folder that holds something served, and what is in it."""
    found: dict[bytes, list[Entry]] = {b"/": []}
    for asset in assets:
        parent, _, name = asset.url.rpartition(b"/")
        second = asset.mtime_ns // 10**9
        entry = Entry(name, False, asset.size, second if 0 < second <= now_s else 0)
        _folder(found, parent + b"/").append(entry)
    return found


def _folder(found: dict[bytes, list[Entry]], folder: bytes) -> list[Entry]:
    """The entries of `folder`, which is made known to the folders around it first."""
    if folder not in found:
        found[folder] = []
        parent, _, name = folder[:-1].rpartition(b"/")
        _folder(found, parent + b"/").append(Entry(name, True))
    return found[folder]


def add_slashes(paths: dict[bytes, Resource]) -> None:
    """ "/docs" leads to "/docs/" wherever that is answered and the short path is not."""
    for url in [url for url in paths if url.endswith(b"/") and url != b"/"]:
        if url[:-1] not in paths:
            paths[url[:-1]] = redirect(encode_path(url))


def _page(content: bytes, kind: str, fields: tuple[tuple[str, str], ...]) -> Resource:
    return Resource((Representation(content),), kind, fields=fields)


def _listing_fields(fields: tuple[tuple[str, str], ...], policy: str) -> tuple[tuple[str, str], ...]:
    """A Content-Security-Policy of the site would forbid the page's own script: it gets a stricter one."""
    names = {name.lower() for name, _ in fields}
    kept = tuple(
        (name, value)
        for name, value in fields
        if name.lower() not in ("content-type", "content-security-policy")
    )
    cached = kept if "cache-control" in names else (*kept, ("Cache-Control", "no-cache"))
    return (*cached, ("Content-Security-Policy", policy)) if policy else cached
