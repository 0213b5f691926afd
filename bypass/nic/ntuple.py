"""Receive flow rules and hash fields: struct ethtool_rxnfc of linux/ethtool.h, which has no netlink twin.

Owns: the layout, and the translation between it and `FlowRule`. Rules of kinds that we do not make are
read as far as their flow, place and queue.
"""

from __future__ import annotations

import errno
import struct

import msgspec

from bypass.nic import ethtool
from bypass.nic.ethtool import Ethtool
from bypass.nic.settings import PortRule

# cmd, flow_type, data; fs: flow_type, h_u, h_ext, m_u, m_ext, ring_cookie, location; rule_cnt
RXNFC = struct.Struct("=IIQ I52s20s52s20s4xQI4x I4x")
RING_COOKIE_DROP = (1 << 64) - 1
LOCATION_ANY = 0xFFFFFFFF
LOCATIONS_SPECIAL = 0x80000000
"""In the count's answer: the driver picks a place itself when asked for LOCATION_ANY."""
_FLAGS = 0xE0000000  # FLOW_EXT, FLOW_MAC_EXT, FLOW_RSS

FLOWS = {
    "tcp4": 0x01,
    "udp4": 0x02,
    "sctp4": 0x03,
    "tcp6": 0x05,
    "udp6": 0x06,
    "sctp6": 0x07,
    "ip4": 0x0D,
    "ip6": 0x0E,
    "ether": 0x12,
}
_NAMES = {number: name for name, number in FLOWS.items()}
HASH_FIELDS = {
    "l2-destination": 1 << 1,
    "vlan": 1 << 2,
    "protocol": 1 << 3,
    "ip-source": 1 << 4,
    "ip-destination": 1 << 5,
    "port-source": 1 << 6,
    "port-destination": 1 << 7,
}
_OTHER_FIELDS = {f"bit-{place}": 1 << place for place in (0, *range(8, 32))}
"""Not looked at by anything here, but kept: flow label, GTP tunnel, discard, and what is still to come."""
# pdst in struct ethtool_tcpip4_spec (two addresses, psrc, pdst) and ethtool_tcpip6_spec.
_PORT_PLACE = {"tcp4": 10, "tcp6": 34}


class FlowRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the NIC. queue None: it drops. destination_port: where that is all the rule looks at, and it
    does not lead to a virtual function."""

    location: int
    flow: str
    queue: int | None
    destination_port: int | None = None


def encode_rule(rule: FlowRule) -> bytes:
    """The request that inserts a rule on a TCP destination port."""
    assert rule.destination_port is not None and rule.flow in _PORT_PLACE
    place = _PORT_PLACE[rule.flow]
    value = bytes(place) + struct.pack("!H", rule.destination_port)
    mask = bytes(place) + b"\xff\xff"
    cookie = RING_COOKIE_DROP if rule.queue is None else rule.queue
    return RXNFC.pack(
        ethtool.SRXCLSRLINS, 0, 0, FLOWS[rule.flow], value, b"", mask, b"", cookie, rule.location, 0
    )


def decode_rule(answer: bytes) -> FlowRule:
    """From the answer to ETHTOOL_GRXCLSRULE."""
    _, _, _, flow_type, value, _, mask, _, cookie, location, _ = RXNFC.unpack_from(answer)
    flow = _NAMES.get(flow_type & ~_FLAGS, f"{flow_type & ~_FLAGS:#x}")
    port = None
    place = _PORT_PLACE.get(flow)
    of_function = cookie != RING_COOKIE_DROP and cookie >> 32
    if place is not None and not flow_type & _FLAGS and not of_function:
        others = mask[:place] + mask[place + 2 :]
        if mask[place : place + 2] == b"\xff\xff" and not any(others):
            (port,) = struct.unpack_from("!H", value, place)
    queue = None if cookie == RING_COOKIE_DROP else cookie & 0xFFFFFFFF
    return FlowRule(location=location, flow=flow, queue=queue, destination_port=port)


class FlowRules:
    """The rules of one interface."""

    def __init__(self, device: Ethtool) -> None:
        self._device = device

    def read(self) -> tuple[FlowRule, ...] | None:
        """None where the driver has no rules at all."""
        counted = self._device.ask(_simple(ethtool.GRXCLSRLCNT))
        if counted is None:
            return None
        count = RXNFC.unpack_from(counted)[10]
        answer = self._device.ask(_simple(ethtool.GRXCLSRLALL, count=count) + bytes(4 * count))
        if answer is None:
            return None
        places = struct.unpack_from(f"={count}I", answer, RXNFC.size - 4)
        asked = (_simple(ethtool.GRXCLSRULE, location=place) for place in places)
        return tuple(decode_rule(self._device.request(request)) for request in asked)

    def put(self, rule: PortRule) -> None:
        """Makes, moves or removes the rule for a port."""
        present = self.read() or ()
        key = (rule.flow, rule.port)
        # One that drops is somebody's own: a PortRule could not bring it back.
        old = [r for r in present if (r.flow, r.destination_port) == key and r.queue is not None]
        for one in old:
            self._device.request(_simple(ethtool.SRXCLSRLDEL, location=one.location))
        if rule.queue is not None:
            place = self._free_place({r.location for r in present} - {r.location for r in old})
            made = FlowRule(location=place, flow=rule.flow, queue=rule.queue, destination_port=rule.port)
            self._device.request(encode_rule(made))

    def _free_place(self, taken: set[int]) -> int:
        """The last one that is free, as ethtool chooses it: rules before it come first."""
        answer = self._device.request(_simple(ethtool.GRXCLSRLCNT))
        data = RXNFC.unpack_from(answer)[2]
        if data & LOCATIONS_SPECIAL:
            return LOCATION_ANY
        size = data or self._table_size(RXNFC.unpack_from(answer)[10])
        for place in range(size - 1, -1, -1):
            if place not in taken:
                return place
        raise OSError(errno.ENOSPC, "the NIC has no room for another rule")

    def _table_size(self, count: int) -> int:
        answer = self._device.request(_simple(ethtool.GRXCLSRLALL, count=count) + bytes(4 * count))
        return int(RXNFC.unpack_from(answer)[2])


def read_hash_fields(device: Ethtool, flow: str) -> tuple[str, ...] | None:
    """None where the driver does not say."""
    answer = device.ask(_simple(ethtool.GRXFH, flow=FLOWS[flow]))
    if answer is None:
        return None
    bits = RXNFC.unpack_from(answer)[2]
    return tuple(name for name, bit in (HASH_FIELDS | _OTHER_FIELDS).items() if bits & bit)


def write_hash_fields(device: Ethtool, flow: str, fields: tuple[str, ...]) -> None:
    bits = sum((HASH_FIELDS | _OTHER_FIELDS)[name] for name in fields)
    device.request(_simple(ethtool.SRXFH, flow=FLOWS[flow], data=bits))


def _simple(command: int, *, flow: int = 0, data: int = 0, location: int = 0, count: int = 0) -> bytes:
    return RXNFC.pack(command, flow, data, 0, b"", b"", b"", b"", 0, location, count)
