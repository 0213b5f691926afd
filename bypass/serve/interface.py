"""What the kernel says of a network interface: index, state, MTU, addresses.

Only reads. Knows nothing of drivers and queues (bypass/xdp/features.py).
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pyroute2 import IPRoute

from bypass.errors import UnavailableError
from bypass.text import did_you_mean

Address = IPv4Address | IPv6Address

_IFF_UP = 0x1
_SIOCGIFFLAGS = 0x8913
_IFA_F_DADFAILED = 0x08
_ARPHRD_ETHER = 1


@dataclass(frozen=True, slots=True)
class Interface:
    """`mtu_bytes` is the IP packet's, without the Ethernet header. `up`: set up by an administrator."""

    name: str
    index: int
    up: bool
    carrier: bool
    ethernet: bool
    mac: bytes
    mtu_bytes: int
    addresses: tuple[Address, ...]
    kernel_addresses: frozenset[Address] = frozenset()
    """Of all interfaces: the kernel answers for these on every one of them."""


def read_interface(name: str) -> Interface:
    """UnavailableError, with the nearest name there is, when no such interface exists."""
    with IPRoute() as route:
        links = {link.get("ifname"): link for link in route.get_links()}
        link = links.get(name)
        if link is None:
            others = sorted(other for other in links if other != "lo")
            hint = did_you_mean(name, others) or f"There are: {', '.join(others) or 'none'}"
            raise UnavailableError(f"{name}: no such interface", remedy=hint)
        index = int(link["index"])
        addresses = _own_addresses(route.get_addr(index=index))
        kernel_addresses = frozenset(_own_addresses(route.get_addr()))
    return Interface(
        name=name,
        index=index,
        up=bool(int(link["flags"]) & _IFF_UP),
        carrier=link.get("operstate") not in ("DOWN", "LOWERLAYERDOWN"),
        ethernet=int(link["ifi_type"]) == _ARPHRD_ETHER,
        mac=bytes.fromhex(str(link.get("address") or "").replace(":", "")),
        mtu_bytes=int(link.get("mtu")),
        addresses=addresses,
        kernel_addresses=kernel_addresses,
    )


def default_route_interfaces() -> frozenset[str]:
    """Names of the interfaces that a default route of this network namespace goes over."""
    with IPRoute() as route:
        names = {link["index"]: str(link.get("ifname")) for link in route.get_links()}
        indices = set()
        for record in route.get_routes():
            if record["dst_len"] == 0:
                hops = record.get("multipath") or ()
                indices |= {record.get("oif"), *(hop["oif"] for hop in hops)}
        return frozenset(names[index] for index in indices if index in names)


def require_usable(interface: Interface) -> None:
    """UnavailableError unless frames can be received on it."""
    if not interface.ethernet:
        raise UnavailableError(
            f"{interface.name}: not an Ethernet interface",
            remedy="Name another interface. 'bypass demo' makes one to try with",
        )
    if not interface.up:
        raise UnavailableError(
            f"{interface.name}: the interface is down",
            remedy=f"Bring it up: ip link set {interface.name} up",
        )


def still_usable(interface: Interface) -> bool:
    """Whether the interface is still in this network namespace, and up. Cheap: three system calls."""
    try:
        name = socket.if_indextoname(interface.index)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            answer = fcntl.ioctl(handle, _SIOCGIFFLAGS, struct.pack("16s16x8x", name.encode()))
    except OSError:
        return False
    (flags,) = struct.unpack_from("=H", answer, 16)
    return bool(flags & _IFF_UP)


def _own_addresses(records: Iterable[Any]) -> tuple[Address, ...]:
    """IPv4 before IPv6, link-local last. Addresses that another host holds too are left out."""
    found: set[Address] = set()
    for record in records:
        text = record.get("local") or record.get("address")
        flags = int(record.get("flags") or 0)
        if text and not flags & _IFA_F_DADFAILED:
            found.add(ip_address(text))
    return tuple(sorted(found, key=lambda address: (address.version, address.is_link_local, int(address))))
