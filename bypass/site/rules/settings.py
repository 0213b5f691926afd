"""The [site] table and the [[host]] tables of the configuration file, as values that cannot be invalid.

A host has every setting of [site] and overrides those that it names itself. Owns names, types and defaults;
what is done with them is files.py's and its neighbours' affair.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bypass.site.rules.redirects import Dialect

Coding = Literal["br", "zstd", "gzip"]

_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = rf"^((\*\.)?{_LABEL}(\.{_LABEL})*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|\[[0-9A-Fa-f:.]+\])$"
HostName = Annotated[
    str,
    Meta(
        pattern=_HOST,
        max_length=253,
        description="a name such as example.org or *.example.org, without a port",
    ),
]
UrlPath = Annotated[str, Meta(pattern="^/", description="a path from the root, such as /docs/*")]
PagePath = Annotated[
    str, Meta(pattern="^(/.*)?$", description="the path of a file, such as /404.html, or empty")
]
FileName = Annotated[str, Meta(pattern="^[^/]*$", description="a file name without a slash")]
MediaType = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[ -~]*)?$",
        description="a media type such as text/plain",
    ),
]
FieldValue = Annotated[str, Meta(pattern=r"^[\t -~]*$", max_length=4096, description="printable ASCII")]
Status = Annotated[int, Meta(ge=200, le=599)]


class Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What all tables share: kebab case, nothing unknown."""


class HeaderTable(Table, frozen=True, kw_only=True):
    """[[site.header]]: fields for what answers at `path`."""

    path: UrlPath
    set: dict[str, FieldValue] = {}
    remove: tuple[str, ...] = ()


class CacheTable(Table, frozen=True, kw_only=True):
    """[[site.cache]]: Cache-Control for what answers at `path`."""

    path: UrlPath
    value: FieldValue


class RedirectTable(Table, frozen=True, kw_only=True):
    """[[site.redirect]]: another address."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    status: Annotated[int, Meta(description="301, 302, 303, 307 or 308")] = 301
    force: bool = False
    query: dict[str, str] = {}


class RewriteTable(Table, frozen=True, kw_only=True):
    """[[site.rewrite]]: another page under the same address."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    status: Annotated[int, Meta(description="200, 404, 410 or 451")] = 200
    force: bool = False
    query: dict[str, str] = {}


class AuthTable(Table, frozen=True, kw_only=True):
    """[[site.auth]]: a name and a password for everything at `path`."""

    path: UrlPath
    realm: Annotated[str, Meta(pattern=r"^[ !#-\[\]-~]*$", max_length=200)] = "restricted"
    users: dict[str, str] = {}
    users_file: str = ""


class CorsTable(Table, frozen=True, kw_only=True):
    """[[site.cors]]: which other origins may read what answers at `path`."""

    path: UrlPath = "/*"
    origins: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ("GET", "HEAD")
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: Annotated[int, Meta(ge=0, le=86400, description="seconds, at most 86400")] = 600


class Compression(Table, frozen=True, kw_only=True):
    """[site.compression]: which variants are made. minimum_gain: share of the size that one must save.

    Levels are those up to 1 MiB; larger files get lower ones (files/compress.py). largest_bytes: no variants
    are made of what is larger. types: what is worth trying; "text/*" stands for all of text. sidecars: use
    .br, .zst and .gz files that lie beside a file."""

    codings: Annotated[tuple[Coding, ...], Meta(description='a list of "br", "zstd" and "gzip"')] = ()
    minimum_bytes: Annotated[int, Meta(ge=0)] = 256
    minimum_gain: Annotated[float, Meta(ge=0.0, le=0.99, description="a share from 0 to 0.99")] = 0.05
    gzip_level: Annotated[int, Meta(ge=1, le=9, description="a number from 1 to 9")] = 9
    brotli_level: Annotated[int, Meta(ge=0, le=11, description="a number from 0 to 11")] = 11
    zstd_level: Annotated[int, Meta(ge=1, le=22, description="a number from 1 to 22")] = 19
    largest_bytes: Annotated[int, Meta(ge=0)] = 256 << 20
    types: tuple[str, ...] = (
        "text/*",
        "application/javascript",
        "application/json",
        "application/*+json",
        "application/xml",
        "application/*+xml",
        "application/wasm",
        "application/sql",
        "application/jsonl",
        "application/rtf",
        "application/postscript",
        "application/vnd.ms-fontobject",
        "font/ttf",
        "font/otf",
        "font/collection",
        "image/svg+xml",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "model/*",
    )
    exclude: tuple[UrlPath, ...] = ()
    sidecars: bool = True


class SiteSettings(Table, frozen=True, kw_only=True):
    """[site]. Every default is what a plain folder gets."""

    index: tuple[FileName, ...] = ("index.html", "index.htm")
    listing: bool = False
    listing_json: FileName = "listing.json"
    clean_urls: bool = False
    spa: PagePath = ""
    error_pages: dict[str, PagePath] = {}
    charset: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]*$")] = "utf-8"
    types: dict[str, MediaType] = {}
    hidden: Annotated[
        Literal["well-known", "serve", "none"], Meta(description="well-known, serve or none")
    ] = "well-known"
    symlinks: Annotated[Literal["inside", "follow", "none"], Meta(description="inside, follow or none")] = (
        "inside"
    )
    exclude: tuple[UrlPath, ...] = ()
    redirects_file: FileName = "_redirects"
    headers_file: FileName = "_headers"
    dialect: Annotated[Dialect, Meta(description="netlify or cloudflare")] = "netlify"
    cache_control: FieldValue = ""
    immutable: bool = False
    security_headers: Annotated[
        Literal["off", "basic", "strict"], Meta(description="off, basic or strict")
    ] = "off"
    header: tuple[HeaderTable, ...] = ()
    cache: tuple[CacheTable, ...] = ()
    redirect: tuple[RedirectTable, ...] = ()
    rewrite: tuple[RewriteTable, ...] = ()
    auth: tuple[AuthTable, ...] = ()
    cors: tuple[CorsTable, ...] = ()
    compression: Compression = Compression()


class HostSettings(SiteSettings, frozen=True, kw_only=True):
    """[[host]]: a site of its own for some names. root: its folder, relative to the configuration file."""

    names: Annotated[tuple[HostName, ...], Meta(min_length=1, description="at least one name")]
    root: Annotated[str, Meta(min_length=1, description="a folder")]
    default: bool = False


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. folder: what relative names in it start from. file: that it was read from."""

    site: SiteSettings = SiteSettings()
    hosts: tuple[HostSettings, ...] = ()
    folder: Path = Path()
    file: Path | None = None


TABLES: dict[str, type[Table]] = {
    "header": HeaderTable,
    "cache": CacheTable,
    "redirect": RedirectTable,
    "rewrite": RewriteTable,
    "auth": AuthTable,
    "cors": CorsTable,
    "compression": Compression,
}
"""Key of a table within [site] -> its type."""
