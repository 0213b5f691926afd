"""Requests and damaged requests, by a seed."""

from __future__ import annotations

import random

METHODS = [b"GET"] * 4 + [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"BREW"]
TARGETS = [b"/", b"/a/b", b"/a?b=c", b"/%41", b"/..", b"http://h/x", b"*", b"/a;b", b"/{|}", b"h:1"]
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0"]
HOSTS = [b"Host: a", b"Host: a.example:80", b"host:a", b"Host: [::1]", b"Host:", b"Host: a b", b"Host: a:b"]
FIELDS = [
    b"Accept: */*",
    b"X: \xe9\t b",
    b"X:",
    b"Connection: keep-alive",
    b"Connection: close, TE",
    b"Expect: 100-continue",
    b"Content-Length: 0",
    b"Content-Length: 3",
    b"Content-Length: 03",
    b"Content-Length: 3, 3",
    b"Content-Length: +3",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"transfer-encoding:\tCHUNKED ",
    b"Host: b",
]
BODIES = [
    b"abc",
    b"",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"3 ;x\r\nabc\r\n00\r\n\r\n",
    b"3 \r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
]
NASTY = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"/",
    b"0",
    b"1",
    b",",
    b";",
    b"#",
]
NASTY += [b"\r\n ", b"\n\n", b"\r\r\n", b" :", b"\x01", b'"', b"%", b"@", b"[", b"]", b"\r\n\r\n"]


def request(rng: random.Random) -> bytes:
    """Well-formed more often than not, with a body that fits its framing now and then."""
    lines = [b" ".join((rng.choice(METHODS), rng.choice(TARGETS), rng.choice(VERSIONS)))]
    if rng.random() < 0.9:
        lines.append(rng.choice(HOSTS[:4] if rng.random() < 0.7 else HOSTS))
    lines += rng.sample(FIELDS, rng.choice([0, 0, 1, 1, 2, 3]))
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    lower = head.lower()
    if b"content-length: 3" in lower or b"content-length: 03" in lower:
        return head + b"abc"
    if b"chunked" in lower:
        return head + rng.choice(BODIES)
    return head


def damaged(rng: random.Random) -> bytes:
    """A request with up to three octets or lines changed."""
    data = request(rng)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data = data[:place] + rng.choice(NASTY) + data[place:]
        elif kind == 1:
            data = data[:place] + data[place + rng.choice([1, 1, 2]) :]
        elif kind == 2:
            data = data[:place] + rng.choice(NASTY) + data[place + 1 :]
        elif kind == 3:
            data = data.replace(b"\r\n", rng.choice([b"\n", b"\r", b"\r\r\n"]), rng.choice([1, 2, -1]))
        elif kind == 4:
            lines = data.split(b"\r\n")
            lines.insert(
                rng.randrange(len(lines)), rng.choice([*lines, b" folded", b"\tfolded", b": x", b"X : y"])
            )
            data = b"\r\n".join(lines)
        else:
            data = data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
    return data
