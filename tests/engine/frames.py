"""Frames for the tests of the engine: a builder that can break every rule, a parser that allows none.

Owns Ethernet, IP and TCP as octets, independent of the engine's own code. Knows no connection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

SERVER_MAC = b"\x02\x00\x00\x00\x00\x01"
CLIENT_MAC = b"\x02\x00\x00\x00\x00\x02"
SERVER = {4: bytes([10, 0, 0, 1]), 6: bytes.fromhex("fd00" + "00" * 13 + "01")}
CLIENT = {4: bytes([10, 0, 0, 2]), 6: bytes.fromhex("fd00" + "00" * 13 + "02")}
PORT = 80

ETHERTYPE = {4: 0x0800, 6: 0x86DD}
FLAG_BITS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
MODULUS = 1 << 32
ECT = 2
"""RFC 3168 code point of a packet whose sender listens to marks."""


def flag_bits(flags: str) -> int:
    return sum(FLAG_BITS[letter] for letter in flags)


def flag_letters(bits: int) -> str:
    return "".join(letter for letter, bit in FLAG_BITS.items() if bits & bit)


def internet_sum(data: bytes) -> int:
    """The ones'-complement sum as a remainder: 0 stands for both zeros."""
    return int.from_bytes(data + b"\0" * (len(data) & 1), "big") % 0xFFFF


def pseudo_header(source: bytes, destination: bytes, octets: int) -> bytes:
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, 6, octets)
    return source + destination + struct.pack("!II", octets, 6)


@dataclass(frozen=True)
class Options:
    """TCP options; None: absent. `raw` comes first, as it is."""

    mss: int | None = None
    scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    raw: bytes = b""

    def encode(self) -> bytes:
        out = self.raw
        if self.mss is not None:
            out += struct.pack("!BBH", 2, 4, self.mss)
        if self.sack_permitted:
            out += bytes([4, 2])
        if self.timestamps is not None:
            out += struct.pack("!BBBBII", 1, 1, 8, 10, *(part % MODULUS for part in self.timestamps))
        if self.scale is not None:
            out += bytes([3, 3, self.scale])
        if self.sack:
            out += struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(self.sack))
            out += b"".join(struct.pack("!II", start % MODULUS, end % MODULUS) for start, end in self.sack)
        return out + b"\1" * (-len(out) % 4)


@dataclass(frozen=True)
class Link:
    """Addresses of both ends, as the sender of a frame sees them, and a VLAN tag: (type, control)."""

    source_mac: bytes = CLIENT_MAC
    destination_mac: bytes = SERVER_MAC
    source: bytes = CLIENT[4]
    destination: bytes = SERVER[4]
    tag: tuple[int, int] | None = None

    @property
    def version(self) -> int:
        return 4 if len(self.source) == 4 else 6

    def turned(self) -> Link:
        return Link(self.destination_mac, self.source_mac, self.destination, self.source, self.tag)


@dataclass(frozen=True)
class Segment:
    """One TCP segment with absolute sequence numbers."""

    source_port: int
    destination_port: int
    flags: str
    seq: int
    ack: int = 0
    window: int = 65535
    payload: bytes = b""
    options: Options = field(default_factory=Options)
    link: Link = field(default_factory=Link)
    urgent: int = 0

    @property
    def end(self) -> int:
        """Sequence number behind the segment."""
        return (self.seq + len(self.payload) + ("S" in self.flags) + ("F" in self.flags)) % MODULUS


def tcp_header(segment: Segment, *, offset: int | None = None, checksum: int | None = None) -> bytes:
    """Header and payload. offset: data offset in words; checksum: instead of the right one."""
    options = segment.options.encode()
    words = 5 + len(options) // 4 if offset is None else offset
    fixed = struct.pack(
        "!HHIIBBHHH",
        segment.source_port,
        segment.destination_port,
        segment.seq % MODULUS,
        segment.ack % MODULUS,
        words << 4,
        flag_bits(segment.flags),
        segment.window,
        0,
        segment.urgent,
    )
    whole = fixed + options + segment.payload
    if checksum is None:
        link = segment.link
        checksum = 0xFFFF - internet_sum(pseudo_header(link.source, link.destination, len(whole)) + whole)
    return whole[:16] + struct.pack("!H", checksum) + whole[18:]


def ipv4_header(link: Link, octets: int, **broken: int) -> bytes:
    """A header for `octets` of payload.

    broken: first, tos, total, ident, fragment, ttl, protocol, checksum, options (octets of them).
    """
    extra = b"\1" * broken.get("options", 0)
    first = broken.get("first", 0x45 + len(extra) // 4)
    header = struct.pack(
        "!BBHHHBBH",
        first,
        broken.get("tos", 0),
        broken.get("total", 20 + len(extra) + octets),
        broken.get("ident", 1234),
        broken.get("fragment", 0x4000),
        broken.get("ttl", 63),
        broken.get("protocol", 6),
        0,
    )
    header += link.source + link.destination + extra
    checksum = broken.get("checksum", 0xFFFF - internet_sum(header))
    return header[:10] + struct.pack("!H", checksum) + header[12:]


def ipv6_header(link: Link, octets: int, **broken: int) -> bytes:
    """broken: first (32 bits), tos, total (payload length), protocol, ttl."""
    first = broken.get("first", 0x60012345) | broken.get("tos", 0) << 20
    protocol, ttl = broken.get("protocol", 6), broken.get("ttl", 63)
    header = struct.pack("!IHBB", first, broken.get("total", octets), protocol, ttl)
    return header + link.source + link.destination


def ethernet_header(link: Link, ethertype: int | None = None) -> bytes:
    tag = b"" if link.tag is None else struct.pack("!HH", *link.tag)
    kind = ETHERTYPE[link.version] if ethertype is None else ethertype
    return link.destination_mac + link.source_mac + tag + struct.pack("!H", kind)


def ip_packet(link: Link, payload: bytes, **broken: int) -> bytes:
    make = ipv4_header if link.version == 4 else ipv6_header
    return make(link, len(payload), **broken) + payload


def build(segment: Segment, *, ip: dict[str, int] | None = None, **tcp: int | None) -> bytes:
    """The segment as a frame; `ip` and keywords go to the headers' builders."""
    return ethernet_header(segment.link) + ip_packet(segment.link, tcp_header(segment, **tcp), **(ip or {}))


def parse(frame: bytes) -> Segment:
    """A frame of the engine; any rule it breaks is an AssertionError."""
    destination_mac, source_mac, kind = struct.unpack_from("!6s6sH", frame)
    tag, at = None, 14
    if kind in (0x8100, 0x88A8):
        control, inner = struct.unpack_from("!HH", frame, 14)
        tag, kind, at = (kind, control), inner, 18
    if kind == ETHERTYPE[4]:
        source, destination, at = _parse_ipv4(frame, at)
    else:
        assert kind == ETHERTYPE[6], f"ethertype {kind:#06x}"
        source, destination, at = _parse_ipv6(frame, at)
    link = Link(source_mac, destination_mac, source, destination, tag)
    return _parse_tcp(frame[at:], link)


def _parse_ipv4(frame: bytes, at: int) -> tuple[bytes, bytes, int]:
    first, tos, total, _, fragment, ttl, protocol = struct.unpack_from("!BBHHHBB", frame, at)
    assert first == 0x45 and tos in (0, ECT)
    assert total == len(frame) - at, f"total length {total}, frame holds {len(frame) - at}"
    assert fragment == 0x4000 and ttl == 64 and protocol == 6
    assert internet_sum(frame[at : at + 20]) == 0, "IPv4 header checksum"
    return frame[at + 12 : at + 16], frame[at + 16 : at + 20], at + 20


def _parse_ipv6(frame: bytes, at: int) -> tuple[bytes, bytes, int]:
    first, octets, protocol, hops = struct.unpack_from("!IHBB", frame, at)
    assert first in (0x60000000, 0x60000000 | ECT << 20) and protocol == 6 and hops == 64
    assert octets == len(frame) - at - 40, f"payload length {octets}, frame holds {len(frame) - at - 40}"
    return frame[at + 8 : at + 24], frame[at + 24 : at + 40], at + 40


def _parse_tcp(segment: bytes, link: Link) -> Segment:
    ports_and_more = struct.unpack_from("!HHIIBBHHH", segment)
    source_port, destination_port, seq, ack, words, bits, window, _, urgent = ports_and_more
    header = (words >> 4) * 4
    assert words & 15 == 0 and 20 <= header <= len(segment), f"data offset {words:#x}"
    assert urgent == 0
    pseudo = pseudo_header(link.source, link.destination, len(segment))
    assert internet_sum(pseudo + segment) == 0, "TCP checksum"
    letters = flag_letters(bits)
    assert "A" in letters or ack == 0
    options = parse_options(segment[20:header])
    return Segment(source_port, destination_port, letters, seq, ack, window, segment[header:], options, link)


def parse_options(octets: bytes) -> Options:
    """Options of ours: known kinds, each once, padded with NOP only."""
    options, i = Options(), 0
    seen: set[int] = set()
    while i < len(octets):
        if octets[i] == 1:
            i += 1
            continue
        kind, size = octets[i], octets[i + 1]
        assert kind not in seen and i + size <= len(octets), f"options {octets.hex()}"
        seen.add(kind)
        value = octets[i + 2 : i + size]
        if kind == 2 and size == 4:
            options = replace(options, mss=int.from_bytes(value, "big"))
        elif kind == 3 and size == 3:
            options = replace(options, scale=value[0])
        elif kind == 4 and size == 2:
            options = replace(options, sack_permitted=True)
        elif kind == 5 and size % 8 == 2:
            edges = struct.unpack(f"!{size // 4}I", value)
            options = replace(options, sack=tuple(zip(edges[::2], edges[1::2], strict=True)))
        else:
            assert kind == 8 and size == 10, f"option kind {kind} of {size} octets"
            options = replace(options, timestamps=struct.unpack("!II", value))
        i += size
    return options
