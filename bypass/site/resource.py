"""What a site consists of when every rule of its author has been applied: the compiler's input.

The front (scan, settings, `_headers`, `_redirects`, listings, compression) makes a Site; the compiler
turns it into an image and knows nothing of files, patterns or settings. All paths here are absolute,
percent-decoded octets as the engine normalises them (docs/http-strictness.md, "Targets"): no empty
and no dot segment.

    site = Site((Host(resources={b"/index.html": page, b"/": page}),), files=1)

Everything is immutable. What a field may not hold is refused by the compiler with a SiteError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bypass.site.scan import Asset

Coding = Literal["", "gzip", "br", "zstd"]
"""A content coding (RFC 9110 8.4.1); "" is identity."""

DIGEST_BYTES = 32
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Representation:
    """One form of a resource's content: its octets under one coding.

    source: the file that holds exactly these octets (of a compressed form: the compressed file), or
    the octets. digest: their SHA-256 where it is known already; the compiler holds them to it.
    """

    source: Asset | bytes
    coding: Coding = ""
    digest: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.size


@dataclass(frozen=True, slots=True)
class Resource:
    """What one path answers.

    representations: at least one, each coding at most once; more than one, or one that is not identity,
    is negotiated by Accept-Encoding. content_type: None only without content. modified: Last-Modified,
    seconds since 1970, 0 without one. fields: further header fields, in their order; not those that the
    compiler writes (RESERVED_FIELDS). location: of a redirect (3xx), a URI reference, already
    percent-encoded. keeps_query: the request's query is appended to the location. area: number in
    Host.areas; None: the nearest area around the path, if any.
    """

    representations: tuple[Representation, ...]
    content_type: str | None
    status: int = 200
    modified: int = 0
    fields: tuple[tuple[str, str], ...] = ()
    location: str = ""
    keeps_query: bool = True
    area: int | None = None


RESERVED_FIELDS = frozenset(
    {
        "accept-ranges",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "keep-alive",
        "last-modified",
        "location",
        "server",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that the compiler or the engine writes, and those that frame messages; lower case. `Vary` may be
given: Accept-Encoding is added to it where content is negotiated."""


@dataclass(frozen=True, slots=True)
class Wild:
    """A part of a pattern that catches. star: any octets, none and slashes too; else one segment's, at
    least one."""

    name: str
    star: bool = False


@dataclass(frozen=True, slots=True)
class RequestRule:
    """A redirect or rewrite that is worked out when the request is there.

    pattern: literal octets and wild cards in turn; the whole path has to match. One wild card in a
    segment, one star in all, and behind the star only literal octets: so a request costs one pass over
    its path and no more. query: parameters that the request must have, each with its value or one that
    is caught. target: a path, or an absolute http(s) URI for redirects; its literal text is
    percent-encoded already, what was caught is percent-encoded when it is put in, and never into the
    authority. status: 301, 302, 303, 307, 308 redirect; 200 answers what lies at the target's path; any
    other answers what lies there with that status, and then the target is literal. forced: also where
    the path has a resource of its own. keeps_query: of redirects, the request's query is passed on
    unless the target has its own.

    A host's rules are tried in their order, the first that matches is taken; a target is not matched
    against the rules again.
    """

    pattern: tuple[bytes | Wild, ...]
    target: tuple[str | Wild, ...]
    status: int
    forced: bool = False
    keeps_query: bool = True
    query: tuple[tuple[str, str | Wild], ...] = ()


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a host that asks for a name and password (Basic, RFC 7617, UTF-8).

    prefix: a folder (b"/private/", which includes b"/private") or a single path; the nearest counts.
    digests: credential_digest() of everybody who may enter.
    """

    prefix: bytes
    realm: str
    salt: bytes
    digests: tuple[bytes, ...]


def credential_digest(salt: bytes, name: str, password: str) -> bytes:
    """What an image stores in place of a password: SHA-256 of salt, name, colon, password in UTF-8."""
    return hashlib.sha256(salt + f"{name}:{password}".encode()).digest()


def area_of(areas: Sequence[Area], path: bytes) -> int | None:
    """Number of the nearest area around `path`, None without one."""
    nearest = None
    for number, area in enumerate(areas):
        folder = area.prefix.rstrip(b"/") + b"/"
        if (path + b"/").startswith(folder) and (
            nearest is None or len(folder) > len(areas[nearest].prefix.rstrip(b"/")) + 1
        ):
            nearest = number
    return nearest


def area_salt(host: str, prefix: bytes, realm: str) -> bytes:
    """A salt for an area that is given none: the same for the same site, another for every area."""
    seed = b"\0".join([b"bypass area", host.encode(), prefix, realm.encode()])
    return hashlib.sha256(seed).digest()[:SALT_BYTES]


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Which pages elsewhere may read what lies under `prefix` (Fetch standard 3.2); the nearest counts.

    origins: ("*",), or origins as browsers send them ("https://example.org"), which are told one by one.
    methods, headers, max_age_s: what a preflight is answered; headers ("*",) allows any. exposed: response
    fields that scripts may read. credentials: requests with cookies or passwords too; not with "*".
    """

    prefix: bytes
    origins: tuple[str, ...]
    methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int = 86400
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """One virtual host.

    names: lower case, without port and trailing dot: "example.org", "[2001:db8::1]", or "*.example.org",
    where the star is one label. default: answers for every name that is no other host's; at most one host
    of a site. errors: (status, folder) -> page; the page of the nearest folder is the answer, b"/" is the
    whole host. A page's status is the key's.
    """

    names: tuple[str, ...] = ()
    default: bool = True
    resources: Mapping[bytes, Resource] = field(default_factory=dict)
    rules: tuple[RequestRule, ...] = ()
    errors: Mapping[tuple[int, bytes], Resource] = field(default_factory=dict)
    areas: tuple[Area, ...] = ()
    cors: tuple[CorsPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """hosts: at least one. files: how many files of the document root are served, for people."""

    hosts: tuple[Host, ...]
    files: int
