"""A client's TCP by hand: the test says what it sends, the peer checks what it may not be sent.

Sequence numbers are relative: our SYN and the server's are 0, the first octets 1. Every segment
that the engine sends is checked: link addresses, size against our MSS, octets against the window
that we offered, timestamps as agreed, octets sent again against those sent before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.engine.frames import CLIENT, CLIENT_MAC, MODULUS, PORT, SERVER, SERVER_MAC, Link, Options, Segment
from tests.engine.host import MS, Host
from tests.engine.stream import Stream

UNSET: Any = object()


@dataclass(frozen=True)
class Got:
    """A segment from the server, numbers relative."""

    flags: str
    seq: int
    ack: int
    window: int
    payload: bytes
    options: Options
    driver: int

    @property
    def size(self) -> int:
        return len(self.payload)


def seg(flags: str | None = None, **fields: object) -> dict[str, object]:
    """What a segment shall be: the letters of its flags and the named fields of Got; P never matters."""
    return {"flags": flags, **fields} if flags is not None else fields


def check(got: Got, want: dict[str, object]) -> None:
    for name, value in want.items():
        actual = getattr(got, name)
        if name == "flags":
            actual, value = set(actual) - {"P"}, set(str(value)) - {"P"}
        assert actual == value, f"{name} is {actual!r}, not {value!r}, in {got}"


class Peer:
    """One client connection on a Host."""

    def __init__(
        self,
        host: Host,
        *,
        port: int = 40000,
        version: int = 4,
        tag: tuple[int, int] | None = None,
        address: bytes | None = None,
        timestamps: bool = False,
        sack: bool = False,
        scale: int | None = None,
        mss: int | None = 1460,
        window: int = 65535,
        iss: int = 0xFFFFFF00,
        driver: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self.link = Link(CLIENT_MAC, SERVER_MAC, address or CLIENT[version], SERVER[version], tag)
        self.timestamps = timestamps
        self.sack = sack
        self.scale = scale
        self.mss = mss
        self.window = window
        self.iss = iss
        self.driver = driver
        self.irs: int | None = None
        self.snd = 0
        self.edge = 0
        self.ts_recent = 0
        self.stream = Stream()
        self.inbox: list[Got] = []
        host.peers[self.link.destination, self.link.source, port] = self

    # ---- what we send ----

    @property
    def rcv(self) -> int:
        """Next octet expected of the server, behind its FIN when that came."""
        return 0 if self.irs is None else self.stream.prefix + 1 + self.stream.ended

    @property
    def clock(self) -> int:
        """Our timestamp clock, in milliseconds."""
        return (self.host.now // MS + 7_000_000) % MODULUS

    @property
    def payload_most(self) -> int:
        """Octets that a segment to us may carry."""
        mss = self.mss or (536 if self.link.version == 4 else 1220)
        return max(mss, 64) - (12 if self.timestamps else 0)

    def segment(
        self,
        flags: str,
        payload: bytes = b"",
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int | None = None,
        options: Options | None = None,
    ) -> Segment:
        """A segment of ours; what is not named follows from what went before."""
        seq = self.snd if seq is None else seq
        ack = (self.rcv if ack is None else ack) if "A" in flags else None
        window = self.window if window is None else window
        return Segment(
            self.port,
            PORT,
            flags,
            (self.iss + seq) % MODULUS,
            0 if ack is None else ((self.irs or 0) + ack) % MODULUS,
            window,
            payload,
            self._options(flags) if options is None else options,
            self.link,
        )

    def send(self, flags: str, payload: bytes = b"", *, driver: int | None = None, **fields: Any) -> Segment:
        """Injects a segment (see segment()); one with the default `seq` moves our own number on."""
        segment = self.segment(flags, payload, **fields)
        self.host.send(segment, self.driver if driver is None else driver)
        if fields.get("seq") is None:
            self.snd += len(payload) + ("S" in flags) + ("F" in flags)
        if "A" in flags and self.irs is not None:
            shift = 0 if "S" in flags else self.scale or 0
            self.edge = max(self.edge, (segment.ack - self.irs) % MODULUS + (segment.window << shift))
        return segment

    def send_all(self, octets: bytes, size: int = 1400) -> None:
        """Sends octets in segments of at most `size`."""
        for at in range(0, len(octets), size):
            self.send("A", octets[at : at + size])

    def _options(self, flags: str) -> Options:
        stamp = (self.clock, self.ts_recent) if self.timestamps else None
        if "S" in flags:
            return Options(mss=self.mss, scale=self.scale, sack_permitted=self.sack, timestamps=stamp)
        return Options(timestamps=stamp)

    # ---- what we get ----

    def take(self, segment: Segment, driver: int) -> None:
        """The host delivers a segment of the engine."""
        assert segment.link == self.link.turned(), f"link {segment.link}"
        assert segment.source_port == PORT
        if "S" in segment.flags:
            if self.irs != segment.seq:
                self.stream = Stream()
            self.irs = segment.seq
        seq = (segment.seq - (self.irs or 0)) % MODULUS
        ack = (segment.ack - self.iss) % MODULUS if "A" in segment.flags else 0
        got = Got(segment.flags, seq, ack, segment.window, segment.payload, segment.options, driver)
        if "R" not in segment.flags:
            self._check(got)
        self.inbox.append(got)

    def _check(self, got: Got) -> None:
        assert (got.options.timestamps is not None) == self.timestamps, f"timestamps in {got}"
        if got.options.timestamps is not None:
            self.ts_recent = got.options.timestamps[0]
        if "S" in got.flags:
            return
        assert got.options == Options(timestamps=got.options.timestamps, sack=got.options.sack)
        assert not got.options.sack or (self.sack and not got.size), "SACK as agreed, in bare ACKs"
        assert got.size <= self.payload_most, f"{got.size} octets, at most {self.payload_most}"
        end = got.seq + got.size
        probe = got.size == 1 and got.seq == self.edge
        assert got.size == 0 or end <= self.edge or probe, f"{end} beyond {self.edge}"
        self.stream.add(got.seq - 1, got.payload, "F" in got.flags)

    def get(self) -> list[Got]:
        """Settles the engine; what it sent us since the last call."""
        self.host.settle()
        return self.taken()

    def taken(self) -> list[Got]:
        """What came to us since the last call, without letting the engine turn."""
        inbox, self.inbox = self.inbox, []
        return inbox

    def expect(self, *wants: dict[str, object]) -> list[Got]:
        """Settles the engine: exactly these segments came, in this order. Returns them."""
        got = self.get()
        assert len(got) == len(wants), f"{len(got)} segments, not {len(wants)}: {got}"
        for one, want in zip(got, wants, strict=True):
            check(one, want)
        return got

    def ask(self, flags: str, payload: bytes = b"", **fields: Any) -> list[Got]:
        """Sends, and returns what comes back at once."""
        self.send(flags, payload, **fields)
        return self.get()

    # ---- whole conversations ----

    def syn(self) -> Got:
        """Sends a SYN and returns the SYN-ACK."""
        self.snd = 0
        (got,) = self.ask("S")
        check(got, seg("SA", seq=0, ack=1))
        return got

    def connect(self) -> Peer:
        """Three-way handshake."""
        self.syn()
        self.send("A")
        self.expect()
        return self

    def request(self, path: str = "/b64", *, close: bool = False, seq: int | None = None) -> None:
        """Sends a GET as one segment."""
        self.send("PA", get_request(path, close=close), seq=seq)

    def fetch(self, path: str, *, close: bool = False) -> bytes:
        """GET and its whole response, everything acknowledged at once; the head and the body."""
        start = self.stream.prefix
        self.request(path, close=close)
        for _ in self.acknowledging():
            pass
        return self.stream.octets(start)

    def acknowledging(self, *, window: int | None = None) -> Iterator[list[Got]]:
        """Takes what came and acknowledges it, until nothing comes."""
        while got := self.get():
            yield got
            if any(one.size or "F" in one.flags for one in got):
                self.send("A", window=window)

    def moved(self, **changes: Any) -> None:
        """Our link address or tag changes."""
        self.link = replace(self.link, **changes)


def get_request(path: str, *, close: bool = False, method: str = "GET") -> bytes:
    extra = "Connection: close\r\n" if close else ""
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n{extra}\r\n".encode()


def begun(host: Host, path: str = "/b1m", **options: object) -> tuple[Peer, list[Got]]:
    """A connection whose response has begun, and its first flight."""
    peer = Peer(host, **options).connect()  # type: ignore[arg-type]
    peer.request(path)
    return peer, peer.get()
