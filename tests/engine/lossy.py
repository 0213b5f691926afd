"""A client with SACK behind a path with delay, loss and reordering, in virtual time, seeded.

It fetches one file and tells how long that took. It receives like a modern TCP: delayed ACKs every
second segment, at once when out of order, with SACK blocks, DSACK and timestamps.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.engine.frames import CLIENT, CLIENT_MAC, SERVER, SERVER_MAC, Link, Options, Segment, build, parse
from tests.engine.host import Host

STEP_NS = 1_000_000


@dataclass
class Path:
    """One way of the path: half the round trip, then loss, delay variation and mangling."""

    rtt_ms: float = 20.0
    loss: float = 0.0
    loss_back: float = 0.0
    jitter_ms: float = 0.0
    drop_once: set[int] = field(default_factory=set)
    """Numbers of data segments (from 0) to drop."""
    largest: int = 10_000
    """Frames above this many octets vanish."""
    stall: tuple[int, int, float] | None = None
    """Data segments of these numbers, from and to, take so many milliseconds longer."""
    mark: set[int] = field(default_factory=set)
    """Numbers of data segments to mark with ECN's CE."""


class Download:
    """One request over one connection. `run` returns the seconds it took in virtual time."""

    def __init__(
        self,
        host: Host,
        path: Path,
        *,
        seed: int = 1,
        sack: bool = True,
        ecn: bool = False,
        port: int = 40000,
    ) -> None:
        self.port = port
        self.host = host
        self.path = path
        self.random = random.Random(seed)
        self.sack = sack
        self.ecn = ecn
        self.link = Link(CLIENT_MAC, SERVER_MAC, CLIENT[4], SERVER[4], None)
        self.events: list[tuple[int, int, str, bytes]] = []
        self.number = 0
        self.data_seen = 0
        self.irs = 0
        self.rcv = 0
        self.snd = 0
        self.parts: list[tuple[int, int]] = []
        self.octets = bytearray()
        self.ts_recent = 0
        self.unacked = 0
        self.ack_at: int | None = None
        self.duplicate: tuple[int, int] | None = None
        self.echo = False
        self.flags_seen: set[str] = set()

    def start(self) -> None:
        """Sends the SYN."""
        self._send("SEC" if self.ecn else "S", b"")

    def run(
        self, url: str, size: int, most_s: float = 120.0, others: Sequence[tuple[Download, str]] = ()
    ) -> float:
        """Fetches `url`. `others` are downloads that go on meanwhile."""
        self.start()
        started = self.host.now
        while not self._done(size):
            assert self.host.now - started < most_s * 1e9, f"{len(self.octets)} octets after {most_s} s"
            self.step(url, others)
        return (self.host.now - started) / 1e9

    def _done(self, size: int) -> bool:
        _, mark, body = bytes(self.octets[: self.rcv]).partition(b"\r\n\r\n")
        return bool(mark) and len(body) >= size

    @property
    def body(self) -> bytes:
        return bytes(self.octets[: self.rcv]).partition(b"\r\n\r\n")[2]

    def step(self, url: str, others: Sequence[tuple[Download, str]] = ()) -> None:
        """One millisecond."""
        self.host.now += STEP_NS
        self._deliver_due(url)
        for other, other_url in others:
            other._deliver_due(other_url)
        self.host.engine.turn(self.host.now)
        for driver in self.host.drivers:
            for frame in self.host.engine.collect(driver):
                port = int.from_bytes(frame[36:38], "big")
                for download in (self, *(other for other, _ in others)):
                    if download.port == port:
                        download._carry(frame)

    def _deliver_due(self, url: str) -> None:
        while self.events and self.events[0][0] <= self.host.now:
            _, _, way, frame = heapq.heappop(self.events)
            if way == "in":
                self.host.inject(frame)
            else:
                self.echo = self.echo or way == "marked"
                self._take(parse(frame), url)
        if self.ack_at is not None and self.ack_at <= self.host.now:
            self._ack()

    def _carry(self, frame: bytes) -> None:
        """From the server over the path to us."""
        data = len(frame) > 80
        number = self.data_seen if data else -1
        self.data_seen += data
        if (self.random.random() < self.path.loss or number in self.path.drop_once) or len(
            frame
        ) > self.path.largest:
            return
        late_ms = 0.0
        if self.path.stall and self.path.stall[0] <= number < self.path.stall[1]:
            late_ms = self.path.stall[2]
        marked = number in self.path.mark and frame[15] & 3 == 2
        self._later("marked" if marked else "out", frame, late_ms)

    def _later(self, way: str, frame: bytes, late_ms: float = 0.0) -> None:
        delay_ms = late_ms + self.path.rtt_ms / 2 + self.random.random() * self.path.jitter_ms
        self.number += 1
        heapq.heappush(self.events, (self.host.now + int(delay_ms * 1e6), self.number, way, frame))

    def _send(self, flags: str, payload: bytes) -> None:
        if flags.startswith("S"):
            options = Options(mss=1460, scale=7, sack_permitted=self.sack, timestamps=(self._clock(), 0))
        else:
            options = Options(raw=self._sack_option(), timestamps=(self._clock(), self.ts_recent))
        segment = Segment(
            self.port,
            80,
            flags,
            1000 + self.snd,
            self.irs + 1 + self.rcv if self.irs else 0,
            65535 if flags.startswith("S") else 30000,
            payload,
            options,
            self.link,
        )
        if self.random.random() >= self.path.loss_back:
            self._later("in", build(segment))
        self.snd += len(payload) + flags.startswith("S")

    def _clock(self) -> int:
        return self.host.now // 1_000_000 & 0xFFFFFFFF

    def _sack_option(self) -> bytes:
        if not self.sack:
            return b""
        blocks = [self.duplicate] if self.duplicate else []
        blocks += self.parts[-3:][::-1]
        self.duplicate = None
        if not blocks:
            return b""
        base = self.irs + 1
        body = b"".join(struct.pack("!II", *(base + at & 0xFFFFFFFF for at in block)) for block in blocks[:3])
        return b"\1\1" + bytes([5, 2 + len(body)]) + body

    def _ack(self, flags: str = "A") -> None:
        self.unacked = 0
        self.ack_at = None
        self._send(flags + ("E" if self.echo else ""), b"")

    def _take(self, segment: Segment, url: str) -> None:
        self.flags_seen |= set(segment.flags)
        if segment.options.timestamps:
            self.ts_recent = max(self.ts_recent, segment.options.timestamps[0])
        if "S" in segment.flags:
            if not self.irs:
                self.irs = segment.seq
                self._send("PA", f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            return
        if "C" in segment.flags:
            self.echo = False
        if not segment.payload:
            return
        start = segment.seq - self.irs - 1 & 0xFFFFFFFF
        self._store(start, segment.payload)

    def _store(self, start: int, payload: bytes) -> None:
        end = start + len(payload)
        if end <= self.rcv or any(a <= start and end <= b for a, b in self.parts):
            self.duplicate = (start, end)
            self._ack()
            return
        if len(self.octets) < end:
            self.octets += bytes(end - len(self.octets))
        self.octets[start:end] = payload
        in_order = start <= self.rcv and not self.parts
        self._join(start, end)
        self.unacked += 1
        if not in_order or self.unacked >= 2 or self.parts:
            self._ack()
        elif self.ack_at is None:
            self.ack_at = self.host.now + 40_000_000

    def _join(self, start: int, end: int) -> None:
        touched = [part for part in self.parts if part[0] <= end and start <= part[1]]
        rest = [part for part in self.parts if part not in touched]
        start = min([start, *(part[0] for part in touched)])
        end = max([end, *(part[1] for part in touched)])
        if start <= self.rcv:
            self.rcv = max(self.rcv, end)
            self.parts = rest
        else:
            self.parts = [*rest, (start, end)]
