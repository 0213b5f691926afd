"""The client engine under test, and a server's TCP by hand: the test says what it answers.

Sequence numbers are relative: the client's SYN and ours are 0, the first octets 1.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bypass._sim import ClientEngine
from tests.engine.frames import (
    CLIENT,
    CLIENT_MAC,
    MODULUS,
    PORT,
    SERVER,
    SERVER_MAC,
    Link,
    Options,
    Segment,
    build,
    parse,
)
from tests.engine.host import MS, START

if TYPE_CHECKING:
    from bypass._sim import Fetched

REQUEST = b"GET /b1k HTTP/1.1\r\nHost: test\r\n\r\n"
ISS = 0xFFFFFF00
OFFER = Options(mss=1460, scale=7, sack_permitted=True, timestamps=(500, 0))


@dataclass(frozen=True)
class Sent:
    """What the client sent, numbers relative."""

    flags: str
    seq: int
    ack: int
    window: int
    payload: bytes
    options: Options


class Dialled:
    """One connection of a ClientEngine, in virtual time."""

    def __init__(self, *, version: int = 4, secret: bytes = bytes(range(16)), **options: int) -> None:
        self.version, self.now = version, START
        self.engine = ClientEngine(
            address=CLIENT[version],
            target=SERVER[version],
            target_port=PORT,
            mac=CLIENT_MAC,
            target_mac=SERVER_MAC,
            request=REQUEST,
            secret=secret,
            now_ns=START,
            **options,
        )
        self.irs = 0
        """The client's initial number."""
        self.number = -1
        self.stamps = False

    def dial(self) -> Sent:
        """Opens; returns the SYN."""
        self.number = self.engine.dial(self.now)
        (syn,) = self.turn()
        return syn

    @property
    def fetch(self) -> Fetched:
        return self.engine.fetch(self.number)

    def count(self, name: str) -> int:
        return self.engine.counters()[name]

    def turn(self) -> list[Sent]:
        self.engine.turn(self.now)
        return [self._seen(parse(frame)) for frame in self.engine.collect()]

    def sleep(self, ms: float) -> list[Sent]:
        sent: list[Sent] = []
        for _ in range(round(ms / 5)):
            self.now += 5 * MS
            sent += self.turn()
        return sent

    def _seen(self, segment: Segment) -> Sent:
        if "S" in segment.flags:
            self.irs = segment.seq
        assert segment.destination_port == PORT
        acks = "A" in segment.flags
        return Sent(
            segment.flags,
            (segment.seq - self.irs) % MODULUS,
            (segment.ack - ISS) % MODULUS if acks else 0,
            segment.window,
            segment.payload,
            segment.options,
        )

    def ask(
        self,
        flags: str,
        payload: bytes = b"",
        *,
        seq: int = 1,
        ack: int = 1 + len(REQUEST),
        options: Options | None = None,
        window: int = 65535,
        port: int | None = None,
    ) -> list[Sent]:
        """Sends as the server; what comes back at once."""
        link = Link(SERVER_MAC, CLIENT_MAC, SERVER[self.version], CLIENT[self.version])
        if options is None:
            options = Options(timestamps=(501, 0)) if self.stamps else Options()
        segment = Segment(
            PORT,
            port or self.fetch["port"],
            flags,
            ISS + seq,
            self.irs + ack if "A" in flags else 0,
            window,
            payload,
            options,
            link,
        )
        assert self.engine.inject(build(segment))
        return self.turn()

    def connect(self, options: Options = OFFER, extra: str = "") -> Sent:
        """SYN, SYN-ACK; returns what carries the request."""
        self.dial()
        self.stamps = options.timestamps is not None
        (request,) = self.ask("SA" + extra, seq=0, ack=1, options=options)
        return request


def response(body: bytes, *, status: int = 200) -> bytes:
    return f"HTTP/1.1 {status} OK\r\nServer: x\r\ncontent-LENGTH: {len(body)}\r\n\r\n".encode() + body


def complete(octets: bytes) -> bool:
    """Whether a response with a Content-Length is here."""
    head, mark, body = octets.partition(b"\r\n\r\n")
    length = re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)
    return bool(mark) and length is not None and len(body) >= int(length[1])


def fetched(fetch: Fetched, body: bytes) -> bool:
    return (fetch["state"], fetch["body_bytes"], fetch["crc32"]) == ("done", len(body), zlib.crc32(body))
