"""Requests of every kind beside a plain GET, on the memory driver: all of them take the same way.

Each kind is asked of a site that has what it needs and nothing else, with the same body of 1000 octets, but
for those that are about large bodies. Of 1 GB the engine has windows, as it has of a large file;
what it costs other threads to read them does not count.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from statistics import median

from bypass._bench import Bench
from bypass.site.compile import compile_description
from bypass.site.files.recall import Memory, Recall
from bypass.site.image import SiteImage, open_image
from bypass.site.resource import (
    Area,
    CorsPolicy,
    Host,
    Representation,
    RequestRule,
    Resource,
    Site,
    Wild,
    area_salt,
    credential_digest,
)
from bypass.site.scan import Asset

CONNECTIONS = 64
_REQUESTS = 200_000
_BUDGET_BYTES = 1_000_000_000  # of bodies in a run
_WINDOWS = 64
_BODY = Random(2).randbytes(1000)
_TYPE = "text/html; charset=utf-8"
_SALT = area_salt("", b"/", "bench")
_DIGEST = bytes(32)
_LARGE = Asset(b"/page", b"/nowhere", 10**9, 0, 1, 0, 0)
_KNOWN = Recall(Memory(outside={_DIGEST: b"any"}), large_bytes=10**8)
"""All is known of the large file that a compiler asks for: it need not exist."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request. fields: header lines, `{etag}` stands for the page's entity tag. body_bytes: of a
    response, where it is much; connections: that ask in turn. windows: on a body that is not in the image."""

    name: str
    site: Site
    status: int
    target: str = "/page"
    method: str = "GET"
    fields: tuple[str, ...] = ()
    host: str = "bench.example"
    body_bytes: int = 0
    connections: int = CONNECTIONS
    windows: int = 0

    def request(self, image: SiteImage) -> bytes:
        etag = _etag(image)
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}"]
        lines += [field.replace("{etag}", etag) for field in self.fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


@dataclass(frozen=True, slots=True)
class Cost:
    """Median nanoseconds of the engine per request, and octets of a response."""

    kind: Kind
    ns: float
    response_bytes: int

    @property
    def per_second(self) -> float:
        return 1e9 / self.ns


def kinds() -> tuple[Kind, ...]:
    page = Resource((Representation(_BODY),), _TYPE, modified=1_000_000_000)
    forms = (Representation(_BODY * 3), Representation(_BODY, "gzip"))
    rule = RequestRule((b"/old/", Wild("rest", star=True)), ("/new/", Wild("rest", star=True)), 301)
    area = Area(b"/", "bench", _SALT, (credential_digest(_SALT, "user", "word"),))
    cors = CorsPolicy(b"/", ("https://a.example", "https://b.example"))
    password = base64.b64encode(b"user:word").decode("ascii")
    plain = _one_host(page)
    hosts = tuple(Host((f"{name}.example",), False, {b"/page": page}) for name in ("a", "b", "bench"))
    return (
        Kind("plain GET", plain, 200),
        Kind("HEAD", plain, 200, method="HEAD"),
        Kind("query string", plain, 200, target="/page?a=1&b=2"),
        Kind("304", plain, 304, fields=("If-None-Match: {etag}",)),
        Kind("range", plain, 206, fields=("Range: bytes=100-599",)),
        Kind("several ranges", plain, 206, fields=("Range: bytes=0-99,300-399",)),
        Kind("404", plain, 404, target="/none"),
        Kind("OPTIONS", plain, 204, method="OPTIONS"),
        Kind(
            "negotiated gzip", _one_host(Resource(forms, _TYPE)), 200, fields=("Accept-Encoding: gzip, br",)
        ),
        Kind("virtual host", Site(hosts, 1), 200),
        Kind("redirect by rule", _one_host(page, rules=(rule,)), 301, target="/old/a/b"),
        Kind("GET beside rules", _one_host(page, rules=(rule,)), 200),
        Kind("cross-origin", _one_host(page, cors=(cors,)), 200, fields=("Origin: https://b.example",)),
        Kind(
            "with password", _one_host(page, areas=(area,)), 200, fields=(f"Authorization: Basic {password}",)
        ),
        Kind("1 MB", _one_host(_page_of(_BODY * 1000)), 200, body_bytes=10**6),
        Kind("1 GB", _one_host(_page_of(_LARGE)), 200, body_bytes=10**9, connections=1, windows=_WINDOWS),
    )


def _page_of(source: Asset | bytes) -> Resource:
    digest = None if isinstance(source, bytes) else _DIGEST
    return Resource((Representation(source, digest=digest),), _TYPE, modified=1_000_000_000)


def _one_host(
    page: Resource,
    *,
    rules: tuple[RequestRule, ...] = (),
    areas: tuple[Area, ...] = (),
    cors: tuple[CorsPolicy, ...] = (),
) -> Site:
    return Site((Host(resources={b"/page": page}, rules=rules, areas=areas, cors=cors),), files=1)


def _etag(image: SiteImage) -> str:
    page = next(stored for path, stored in image if path == b"/page")
    start = page.record.etag_offset
    return page.head[start : start + 24].decode("ascii")


@contextmanager
def described(site: Site) -> Iterator[SiteImage]:
    """The image of `site`, in memory as a server has it."""
    fd = os.memfd_create("bypass-bench")
    try:
        compile_description(site, fd, name="benchmark", recall=_KNOWN)
        image = open_image(fd, huge=True, made_here=True)
    finally:
        os.close(fd)
    try:
        yield image
    finally:
        image.close()


def measure_kinds(runs: int, progress: Callable[[str], None], requests: int = _REQUESTS) -> list[Cost]:
    """The cost of each kind; the runs of all kinds take turns, so that none has the quiet moments alone."""
    wanted = kinds()
    found: dict[str, list[float]] = {kind.name: [] for kind in wanted}
    sizes: dict[str, int] = {}
    for run in range(runs + 1):
        for kind in wanted:
            progress(f"{kind.name}, {'warming up' if run == 0 else f'run {run}'}")
            with described(kind.site) as image:
                bench = Bench(image.buffer, kind.connections, windows=kind.windows)
                bench.open()
                request = kind.request(image)
                many = min(requests, _BUDGET_BYTES // kind.body_bytes) if kind.body_bytes else requests
                if many >= 10:
                    bench.ask(request, many // 10)
                ns, sizes[kind.name] = bench.ask(request, many)
                lost = bench.frames_lost
                del bench
            if lost:
                raise RuntimeError(f"{lost} frames lost")
            if run:
                found[kind.name].append(ns)
    return [Cost(kind, median(found[kind.name]), sizes[kind.name]) for kind in wanted]
