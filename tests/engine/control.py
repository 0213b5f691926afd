"""ARP, ICMP and neighbour discovery for the tests of the engine, as octets; any field can be wrong.

Frames of the engine are read strictly: what `opened` returns has sound lengths and checksums.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.engine.frames import (
    CLIENT_MAC,
    SERVER_MAC,
    Link,
    ethernet_header,
    internet_sum,
    ip_packet,
)

EVERYONE_MAC = b"\xff" * 6
ALL_NODES = bytes.fromhex("ff02" + "00" * 13 + "01")
ALL_NODES_MAC = bytes.fromhex("333300000001")
UNSPECIFIED = bytes(16)
ICMP, ICMPV6 = 1, 58
ECHO4, ECHO6 = (8, 0), (128, 129)
"""Types of request and reply."""


def solicited_node(address: bytes) -> bytes:
    return bytes.fromhex("ff0200000000000000000001ff") + address[13:]


def solicited_mac(address: bytes) -> bytes:
    return b"\x33\x33\xff" + address[13:]


def arp(
    sender: bytes,
    target: bytes,
    *,
    operation: int = 1,
    sender_mac: bytes = CLIENT_MAC,
    source_mac: bytes | None = None,
    to: bytes = EVERYONE_MAC,
    head: bytes = struct.pack("!HHBB", 1, 0x0800, 6, 4),
    tag: tuple[int, int] | None = None,
) -> bytes:
    """source_mac: of the frame, sender_mac unless given."""
    link = Link(source_mac=source_mac or sender_mac, destination_mac=to, tag=tag)
    body = head + struct.pack("!H", operation) + sender_mac + sender + bytes(6) + target
    return ethernet_header(link, 0x0806) + body


def icmp_message(link: Link, kind: int, code: int, rest: bytes, checksum: int | None = None) -> bytes:
    """rest: all behind the checksum. checksum: instead of the right one."""
    message = struct.pack("!BBH", kind, code, 0) + rest
    pseudo = b""
    if link.version == 6:
        pseudo = link.source + link.destination + struct.pack("!II", len(message), ICMPV6)
    if checksum is None:
        checksum = 0xFFFF - internet_sum(pseudo + message)
    return message[:2] + struct.pack("!H", checksum) + message[4:]


def icmp(
    link: Link, kind: int, rest: bytes, *, code: int = 0, checksum: int | None = None, **ip: int
) -> bytes:
    """A frame. ip: broken fields of the IP header; `hops` the IPv6 hop limit."""
    hops = ip.pop("hops", 255)
    ip = {"protocol": ICMP if link.version == 4 else ICMPV6, **ip}
    packet = ip_packet(link, icmp_message(link, kind, code, rest, checksum), **ip)
    if link.version == 6:
        packet = packet[:7] + bytes([hops]) + packet[8:]
    return ethernet_header(link) + packet


@dataclass(frozen=True)
class Opened:
    """An ICMP message of the engine, and its way."""

    link: Link
    kind: int
    code: int
    rest: bytes
    hops: int


def opened(frame: bytes) -> Opened:
    """An ICMP or ICMPv6 frame of the engine; what is wrong with it is an AssertionError."""
    destination, source, kind = struct.unpack_from("!6s6sH", frame)
    tag, at = None, 14
    if kind in (0x8100, 0x88A8):
        control, kind = struct.unpack_from("!HH", frame, 14)
        tag, at = (int.from_bytes(frame[12:14], "big"), control), 18
    ip = frame[at:]
    assert source == SERVER_MAC
    if kind == 0x0800:
        assert ip[0] == 0x45
        assert int.from_bytes(ip[2:4], "big") == len(ip)
        assert internet_sum(ip[:20]) == 0
        assert (ip[6:8], ip[9]) == (b"\x40\x00", ICMP)
        link = Link(source, destination, ip[12:16], ip[16:20], tag)
        hops, message, pseudo = ip[8], ip[20:], b""
    else:
        assert kind == 0x86DD
        assert (ip[:4], ip[6]) == (b"\x60\0\0\0", ICMPV6)
        assert int.from_bytes(ip[4:6], "big") == len(ip) - 40
        link = Link(source, destination, ip[8:24], ip[24:40], tag)
        hops, message = ip[7], ip[40:]
        pseudo = link.source + link.destination + struct.pack("!II", len(message), ICMPV6)
    assert internet_sum(pseudo + message) == 0, "ICMP checksum"
    return Opened(link, message[0], message[1], message[4:], hops)
