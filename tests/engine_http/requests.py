"""Requests with the responses they must draw, for streams of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.engine_http.reference import SIZES, Site

PATHS = [
    *(f"/sizes/{size}.bin" for size in SIZES if size < 5000),
    "/",
    "/index.html",
    "/small.txt",
    "/docs/",
    "/docs",
    "/a%20name.txt",
    "/deep/er/est/leaf.css",
    "/caf%C3%A9.txt",
    "/./docs//../small.txt?query",
    "http://elsewhere/small.txt",
]
BODIES = [
    (b"Content-Length: 5\r\n\r\n", b"GET /"),
    (b"Content-Length: 0\r\n\r\n", b""),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nGET /\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"1;x=y\r\n\r\r\nA\r\n0123456789\r\n000\r\nT: u\r\n\r\n"),
    (b"Content-Length: 3000\r\n\r\n", b"\r\n\r\n" * 750),
]
NORMAL = {
    "/": b"/",
    "/a%20name.txt": b"/a name.txt",
    "/caf%C3%A9.txt": "/café.txt".encode(),
    "/./docs//../small.txt?query": b"/small.txt",
    "http://elsewhere/small.txt": b"/small.txt",
}


@dataclass(frozen=True)
class Exchange:
    """closes: the connection ends behind the response."""

    request: bytes
    response: bytes
    closes: bool = False


def get(path: str, *, method: str = "GET", fields: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n".encode() + fields + b"\r\n"


def exchange(rng: random.Random, site: Site) -> Exchange:
    """One that leaves the connection open."""
    path = rng.choice(PATHS)
    kind = rng.randrange(12)
    found = NORMAL.get(path, path.encode())
    if kind == 0:
        return Exchange(get("/nothing"), site.error(404))
    if kind == 1:
        return Exchange(get("/docs/nothing/", method="HEAD"), site.error(404, head_only=True))
    if kind == 2:
        start, body = rng.choice(BODIES)
        return Exchange(get(path, method="POST")[:-2] + start + body, site.error(405))
    if kind == 3:
        start, body = rng.choice(BODIES)
        return Exchange(get(path)[:-2] + start + body, site.response(found))
    if kind == 4:
        return Exchange(get(path, method="HEAD"), site.response(found, head_only=True))
    if kind == 5:
        return Exchange(b"\r\n" * rng.randrange(4) + get(path), site.response(found))
    if kind == 6:
        request = f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode()
        return Exchange(request, site.response(found, connection="keep-alive"))
    if kind == 7:
        return Exchange(get(path, fields=b"Expect: the-moon\r\n"), site.error(417))
    if kind == 8:
        return Exchange(get(path, fields=b"X: " + b"y" * rng.randrange(3000) + b"\r\n"), site.response(found))
    return Exchange(get(path), site.response(found))


def last_exchange(rng: random.Random, site: Site) -> Exchange:
    """One after which nothing is answered."""
    kind = rng.randrange(7)
    if kind == 0:
        close = b"Connection: close\r\n"
        return Exchange(
            get("/small.txt", fields=close), site.response(b"/small.txt", connection="close"), True
        )
    if kind == 1:
        return Exchange(b"GET / HTTP/1.0\r\n\r\n", site.response(b"/", connection="close"), True)
    if kind == 2:
        return Exchange(b"GET / HTTP/1.1\r\n\r\n", site.error(400), True)
    if kind == 3:
        return Exchange(get("/../x"), site.error(400), True)
    if kind == 4:
        return Exchange(get("/", method="BREW"), site.error(501), True)
    if kind == 5:
        start = b"Transfer-Encoding: chunked\r\n\r\n"
        return Exchange(get("/", method="POST")[:-2] + start + b"5\r\nhello\n", site.error(400), True)
    expects = b"Expect: 100-continue\r\nContent-Length: 7\r\n"
    return Exchange(get("/small.txt", fields=expects), site.response(b"/small.txt", connection="close"), True)
