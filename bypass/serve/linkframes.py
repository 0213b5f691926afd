"""ARP, neighbour solicitations and advertisements as frames: made, and read for who claims an address. Pure.

RFC 826 and RFC 5227 for IPv4, RFC 4861 and RFC 4862 for IPv6. The data plane has its own (cython_ext/wire).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from bypass.serve.interface import Address

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
EVERYONE_MAC = b"\xff" * 6
ALL_NODES = IPv6Address("ff02::1")
_UNSPECIFIED = IPv6Address("::")
_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_OVERRIDE = 0x20000000


def probe(address: Address, mac: bytes) -> bytes:
    """Asks whether somebody has the address, without claiming it (RFC 5227 2.1.1, RFC 4862 5.4.2)."""
    if isinstance(address, IPv4Address):
        return _arp(mac, bytes(4), address)
    body = struct.pack("!I", 0) + address.packed
    return _icmpv6(mac, _UNSPECIFIED, solicited_node(address), _SOLICITATION, body)


def announcement(address: Address, mac: bytes) -> bytes:
    """Tells everybody that the address is ours (RFC 5227 2.3, RFC 4861 7.2.6)."""
    if isinstance(address, IPv4Address):
        return _arp(mac, address.packed, address)
    body = struct.pack("!I", _OVERRIDE) + address.packed + b"\x02\x01" + mac
    return _icmpv6(mac, address, ALL_NODES, _ADVERTISEMENT, body)


def claimant(frame: bytes, address: Address, mac: bytes) -> bytes | None:
    """The MAC address of another station that has `address`, or is trying it, as this frame shows."""
    if isinstance(address, IPv4Address):
        return _arp_claimant(frame, address, mac)
    return _neighbour_claimant(frame, address, mac)


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The group that those listen to who have the address (RFC 4291 2.7.1)."""
    return IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + address.packed[13:])


def group_mac(group: IPv6Address) -> bytes:
    """RFC 2464 7."""
    return b"\x33\x33" + group.packed[12:]


def _arp(mac: bytes, sender: bytes, target: IPv4Address) -> bytes:
    header = EVERYONE_MAC + mac + struct.pack("!H", ETHERTYPE_ARP)
    return header + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + sender + bytes(6) + target.packed


def _icmpv6(mac: bytes, source: IPv6Address, group: IPv6Address, kind: int, body: bytes) -> bytes:
    message = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = source.packed + group.packed + struct.pack("!II", len(message), _ICMPV6)
    checksum = 0xFFFF - int.from_bytes(pseudo + message, "big") % 0xFFFF
    message = message[:2] + struct.pack("!H", checksum) + message[4:]
    header = group_mac(group) + mac + struct.pack("!H", ETHERTYPE_IPV6)
    header += struct.pack("!IHBB", 0x60000000, len(message), _ICMPV6, 255)
    return header + source.packed + group.packed + message


def _arp_claimant(frame: bytes, address: IPv4Address, mac: bytes) -> bytes | None:
    if len(frame) < 42 or frame[12:20] != struct.pack("!HHHBB", ETHERTYPE_ARP, 1, 0x0800, 6, 4):
        return None
    sender_mac, sender, target = frame[22:28], frame[28:32], frame[38:42]
    tries = sender == bytes(4) and target == address.packed
    return sender_mac if sender_mac != mac and (sender == address.packed or tries) else None


def _neighbour_claimant(frame: bytes, address: IPv6Address, mac: bytes) -> bytes | None:
    if len(frame) < 78 or frame[12:14] != struct.pack("!H", ETHERTYPE_IPV6) or frame[20] != _ICMPV6:
        return None
    hop_limit, source, kind, target = frame[21], frame[22:38], frame[54], frame[62:78]
    if hop_limit != 255 or target != address.packed or frame[6:12] == mac:
        return None
    tries = kind == _SOLICITATION and source == _UNSPECIFIED.packed
    return frame[6:12] if kind == _ADVERTISEMENT or tries else None
