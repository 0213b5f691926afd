"""The frames that a script sends: TCP, ICMP and ARP, with every field that it names, right or wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.engine.control import arp, icmp
from tests.engine.frames import MODULUS, Link, Options, Segment, build, ip_packet, tcp_header
from tests.scripts.steps import Step
from tests.scripts.values import MS

ISS = 0xFFFFFF00
"""Our initial number: every script of more than 256 octets wraps."""
Value = Callable[[str], int]
"""Evaluates text of a script."""


@dataclass
class Conversation:
    """One connection as the script sees it; numbers are relative."""

    link: Link
    port: int
    server_port: int
    irs: int | None = None
    snd: int = 0
    rcv: int = 0
    req: int = 0
    resp: int = 0
    edges: dict[int, bytes] = field(default_factory=dict)
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    """When segments came that are not acknowledged, and their ends."""
    ts_last: int | None = None
    stamps: bool = False

    @property
    def base(self) -> int:
        return self.irs or 0


def made_link(step: Step, link: Link, value: Value) -> Link:
    """The link of a connection, with what the step says otherwise."""
    changes: dict[str, object] = {}
    for name, attribute, size in (
        ("eth", "source_mac", 6),
        ("to", "destination_mac", 6),
        ("src", "source", len(link.source)),
        ("dst", "destination", len(link.destination)),
    ):
        if name in step.fields:
            changes[attribute] = value(step.fields[name][0]).to_bytes(size, "big")
    if "vlan" in step.fields:
        changes["tag"] = (0x8100, value(step.fields["vlan"][0]))
    return replace(link, **changes)  # type: ignore[arg-type]


def _ip(step: Step, value: Value) -> dict[str, int]:
    named = {"tos": "tos", "ecn": "tos", "ttl": "ttl", "id": "ident", "total": "total"}
    named |= {"frag": "fragment", "ipopts": "options"}
    broken = {to: value(step.fields[name][0]) for name, to in named.items() if name in step.fields}
    if "df" in step.fields:
        broken["fragment"] = value(step.fields["df"][0]) << 14
    return broken


def _finished(step: Step, frame: bytes, sum_at: int, value: Value) -> bytes:
    """Broken as the step says. sum_at: where the checksum is, behind the IP header."""
    start = 14 if frame[12:14] != b"\x81\x00" else 18
    spoilt = bytearray(frame)
    if "badipsum" in step.fields:
        spoilt[start + 10] ^= 0x55
    if "badsum" in step.fields:
        head = 40 if frame[start] >> 4 == 6 else (frame[start] & 15) * 4
        spoilt[start + head + sum_at] ^= 0x55
    cut = value(step.fields["cut"][0]) if "cut" in step.fields else 0
    return bytes(spoilt[: len(spoilt) - cut])


def made_tcp(step: Step, one: Conversation, payload: bytes, now_ns: int, value: Value) -> bytes:
    """A segment of the script's. Moves our next number on where the step names none."""

    def or_else(name: str, other: int) -> int:
        return value(step.fields[name][0]) if name in step.fields else other

    if "seq" in step.fields:
        seq = value(step.fields["seq"][0])
    else:
        seq = one.snd
        one.snd += len(payload) + ("S" in step.flags) + ("F" in step.flags)
    segment = Segment(
        or_else("sport", one.port),
        or_else("dport", one.server_port),
        step.flags,
        (ISS + seq) % MODULUS,
        (one.base + or_else("ack", one.rcv)) % MODULUS if "A" in step.flags else 0,
        or_else("win", 65535),
        payload,
        _options(step, one, now_ns, value),
        made_link(step, one.link, value),
        or_else("urg", 0),
    )
    if "A" in step.flags:
        one.arrivals = [(at, end) for at, end in one.arrivals if end > or_else("ack", one.rcv)]
    if "S" in step.flags:
        one.stamps = segment.options.timestamps is not None
    offset = value(step.fields["off"][0]) if "off" in step.fields else None
    return _finished(step, build(segment, ip=_ip(step, value), offset=offset), 16, value)


def _options(step: Step, one: Conversation, now_ns: int, value: Value) -> Options:
    stamp = None
    if "ts" in step.fields:
        mine, echo = step.fields["ts"]
        stamp = (value(mine), value(echo))
    elif one.stamps and "nots" not in step.fields and "R" not in step.flags:
        stamp = (1_000_000 + now_ns // MS, one.ts_last or 0)
    blocks = tuple((one.base + value(start), one.base + value(end)) for start, end in step.blocks)
    return Options(
        mss=value(step.fields["mss"][0]) if "mss" in step.fields else None,
        scale=value(step.fields["scale"][0]) if "scale" in step.fields else None,
        sack_permitted="sackok" in step.fields,
        timestamps=stamp,
        sack=blocks,
        raw=bytes.fromhex(step.fields["raw"][0]) if "raw" in step.fields else b"",
    )


def made_arp(step: Step, one: Conversation, value: Value) -> bytes:
    """By default our own request for the other side's address, to everyone."""

    def octets(name: str, size: int, other: bytes) -> bytes:
        return value(step.fields[name][0]).to_bytes(size, "big") if name in step.fields else other

    mac = one.link.source_mac
    return arp(
        octets("spa", 4, one.link.source),
        octets("tpa", 4, one.link.destination),
        operation=value(step.fields["op"][0]) if "op" in step.fields else 1,
        sender_mac=octets("sha", 6, mac),
        source_mac=octets("eth", 6, octets("sha", 6, mac)),
        to=octets("to", 6, b"\xff" * 6),
        tag=(0x8100, value(step.fields["vlan"][0])) if "vlan" in step.fields else None,
    )


ECHO = {4: (8, 0), 6: (128, 129)}


def made_icmp(step: Step, one: Conversation, value: Value) -> bytes:
    """An echo, an error that quotes a segment of the other side's, or neighbour discovery."""

    def or_else(name: str, other: int) -> int:
        return value(step.fields[name][0]) if name in step.fields else other

    link = made_link(step, one.link, value)
    kind = or_else("type", 3 if link.version == 4 else 2)
    if kind in ECHO[link.version]:
        rest = struct.pack("!HH", or_else("id", 1), or_else("seq", 1)) + b"e" * or_else("len", 0)
    elif link.version == 6 and kind in (135, 136):
        rest = struct.pack("!I", or_else("flags", 0) << 24)
        rest += or_else("target", int.from_bytes(link.destination, "big")).to_bytes(16, "big")
        if "lladdr" in step.fields:
            option = bytes([1 if kind == 135 else 2, 1])
            rest += option + value(step.fields["lladdr"][0]).to_bytes(6, "big")
    else:
        form = "!HH" if link.version == 4 else "!I"
        mtu = or_else("mtu", 0)
        rest = struct.pack(form, *((0, mtu) if link.version == 4 else (mtu,)))
        rest += _quote(one, or_else)
    ip = {name: number for name, number in _ip(step, value).items() if name != "ident"}
    if link.version == 6:
        ip["hops"] = ip.pop("ttl", 255)
    return _finished(step, icmp(link, kind, rest, code=or_else("code", 0), **ip), 2, value)


def _quote(one: Conversation, or_else: Callable[[str, int], int]) -> bytes:
    """The start of a segment of the other side's: its IP header and qlen octets of TCP."""
    turned, size = one.link.turned(), len(one.link.source)
    link = replace(
        turned,
        source=or_else("qsrc", int.from_bytes(turned.source, "big")).to_bytes(size, "big"),
        destination=or_else("qdst", int.from_bytes(turned.destination, "big")).to_bytes(size, "big"),
    )
    segment = Segment(
        or_else("qsport", one.server_port),
        or_else("qdport", one.port),
        "A",
        (one.base + or_else("quote", 1)) % MODULUS,
        0,
        100,
        bytes(1400),
        link=link,
    )
    packet = ip_packet(link, tcp_header(segment))
    return packet[: len(packet) - 1420 + or_else("qlen", 8)]
