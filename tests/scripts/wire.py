"""Frames as a script sees them: read strictly, from any TCP's octets, each field a number."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol

from tests.engine.frames import Link, flag_letters, internet_sum, pseudo_header

Responses = dict[bytes, bytes]
"""What the server answers to a request."""


@dataclass(frozen=True)
class Seen:
    """A frame of the other side's. TCP: numbers absolute, options by name."""

    flags: str = ""
    seq: int = 0
    ack: int = 0
    window: int = 0
    urgent: int = 0
    payload: bytes = b""
    options: dict[str, tuple[int, ...]] = field(default_factory=dict)
    at_ns: int = 0
    port: int = 0
    source_port: int = 0
    raw_options: bytes = b""
    proto: str = "tcp"
    """tcp, icmp, arp or other."""
    fields: dict[str, int] = field(default_factory=dict)
    """Of Ethernet and IP, or ICMP, or ARP, by the names of the language; addresses as numbers."""


class Wire(Protocol):
    """A way to a server, or from a client, with a clock. Times are nanoseconds since the wire was made."""

    side: str
    """ours or linux."""
    link: Link
    port: int
    server_port: int
    """The port of who is under test."""
    request_bytes: int
    """What it asks, where it is a client; else 0."""
    responses: Responses
    prompt_ns: int
    """What has no time stated comes within this."""

    def now(self) -> int: ...
    def send(self, frame: bytes) -> None: ...
    def receive(self, until_ns: int) -> Seen | None:
        """The next frame to us, or None when none comes until then."""

    def slack(self, ns: int, early: bool) -> int:
        """How much earlier or later than stated something may come."""

    def dial(self) -> int:
        """A client opens another connection; the port that it leaves from."""

    def count(self, name: str) -> int | None:
        """A counter of ours; None where there is none."""

    def state(self, port: int) -> tuple[str, str] | None:
        """Of a client's connection: TCP's and the fetch's; None where nobody tells."""

    def restart(self, secret: int) -> None:
        """The server forgets all, and has another secret."""


OPTION_NAMES = {2: "mss", 3: "scale", 4: "sackok", 5: "sack", 8: "ts"}


def read(frame: bytes, at_ns: int) -> Seen:
    """What the frame is. AssertionError: a checksum or a length of it is wrong."""
    number = int.from_bytes
    fields = {"to": number(frame[:6], "big"), "eth": number(frame[6:12], "big")}
    at = 12
    if frame[12:14] == b"\x81\x00":
        fields["vlan"] = number(frame[14:16], "big")
        at = 16
    kind, body = number(frame[at : at + 2], "big"), frame[at + 2 :]
    if kind == 0x0800 and body[0] == 0x45:
        return _ipv4(body, fields, at_ns)
    if kind == 0x86DD:
        return _ipv6(body, fields, at_ns)
    if kind == 0x0806 and len(body) >= 28:
        values = struct.unpack_from("!6xH6s4s6s4s", body)
        names = ("op", "sha", "spa", "tha", "tpa")
        found = [one if isinstance(one, int) else number(one, "big") for one in values]
        fields |= dict(zip(names, found, strict=True))
        return Seen(proto="arp", at_ns=at_ns, fields=fields | {"src": fields["spa"], "dst": fields["tpa"]})
    return Seen(proto="other", at_ns=at_ns, fields=fields)


def _ipv4(packet: bytes, fields: dict[str, int], at_ns: int) -> Seen:
    _, tos, total, ident, fragment, ttl, protocol = struct.unpack_from("!BBHHHBB", packet)
    assert internet_sum(packet[:20]) == 0, "IPv4 header checksum"
    assert total <= len(packet), "IPv4 total length"
    fields |= {"tos": tos, "ecn": tos & 3, "id": ident, "df": fragment >> 14 & 1, "frag": fragment & 0x3FFF}
    fields["ttl"] = ttl
    return _inner(packet[12:16], packet[16:20], protocol, packet[20:total], fields, at_ns)


def _ipv6(packet: bytes, fields: dict[str, int], at_ns: int) -> Seen:
    first, octets, protocol, hops = struct.unpack_from("!IHBB", packet)
    assert 40 + octets <= len(packet), "IPv6 payload length"
    fields |= {"tos": first >> 20 & 255, "ecn": first >> 20 & 3, "ttl": hops}
    return _inner(packet[8:24], packet[24:40], protocol, packet[40 : 40 + octets], fields, at_ns)


def _inner(
    source: bytes, destination: bytes, protocol: int, octets: bytes, fields: dict[str, int], at_ns: int
) -> Seen:
    fields |= {"src": int.from_bytes(source, "big"), "dst": int.from_bytes(destination, "big")}
    if protocol == 6:
        return _tcp(source, destination, octets, fields, at_ns)
    if protocol in (1, 58):
        return _icmp(source, destination, octets, fields, at_ns)
    return Seen(proto="other", at_ns=at_ns, fields=fields)


def _tcp(source: bytes, destination: bytes, octets: bytes, fields: dict[str, int], at_ns: int) -> Seen:
    ports = struct.unpack_from("!HHIIBBHHH", octets)
    source_port, port, seq, ack, words, bits, window, _, urgent = ports
    assert internet_sum(pseudo_header(source, destination, len(octets)) + octets) == 0, "TCP checksum"
    assert words & 15 == 0, "reserved bits of the TCP header"
    header = (words >> 4) * 4
    assert 20 <= header <= len(octets), "TCP data offset"
    return Seen(
        flag_letters(bits),
        seq,
        ack,
        window,
        urgent,
        octets[header:],
        read_options(octets[20:header]),
        at_ns,
        port,
        source_port,
        octets[20:header],
        fields=fields,
    )


def _icmp(source: bytes, destination: bytes, octets: bytes, fields: dict[str, int], at_ns: int) -> Seen:
    pseudo = b"" if len(source) == 4 else source + destination + struct.pack("!II", len(octets), 58)
    assert internet_sum(pseudo + octets) == 0, "ICMP checksum"
    kind, code, _, high, low = struct.unpack_from("!BBHHH", octets)
    fields |= {"type": kind, "code": code, "id": high, "seq": low, "len": len(octets) - 8}
    fields["mtu"] = low if len(source) == 4 else high << 16 | low
    if len(source) == 16 and kind in (135, 136):
        fields |= {"flags": high >> 8, "target": int.from_bytes(octets[8:24], "big")}
        if len(octets) >= 32:
            fields["lladdr"] = int.from_bytes(octets[26:32], "big")
    return Seen(payload=octets[8:], proto="icmp", at_ns=at_ns, fields=fields)


def read_options(octets: bytes) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    at = 0
    while at < len(octets) and octets[at] != 0:
        if octets[at] == 1:
            at += 1
            continue
        kind, size = octets[at], octets[at + 1]
        assert size >= 2 and at + size <= len(octets), f"options {octets.hex()}"
        value = octets[at + 2 : at + size]
        form = {0: "", 1: "B", 2: "H"}.get(len(value), f"{len(value) // 4}I")
        found[OPTION_NAMES.get(kind, str(kind))] = struct.unpack_from(f"!{form}", value)
        at += size
    return found
