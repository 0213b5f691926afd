"""Addresses of our own, which the kernel does not have: nobody else's at the start, announced, listened for.

Owns the packet sockets of that, and the membership in the groups that neighbour solicitations come to: the
kernel leaves them when the process ends, in whatever way. Answering is the engine's (cython_ext/net/reply).
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address

from bypass.errors import UnavailableError
from bypass.serve.interface import Address, Interface
from bypass.serve.linkframes import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV6,
    announcement,
    claimant,
    group_mac,
    probe,
    solicited_node,
)

_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_MR_MULTICAST = 0
# Classic BPF over an Ethernet frame: keep it when its IPv6 next header (octet 20) is ICMPv6.
_ONLY_ICMPV6 = ((0x30, 0, 0, 20), (0x15, 0, 1, 58), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Timing:
    """How the link is asked. RFC 5227 1.1 takes 4 to 9 s, so that a hall of machines that are switched on
    together do not ask at once; this address was named by a person, who waits."""

    probes: int = 3
    interval_s: float = 0.25
    last_wait_s: float = 1.0
    announce_again_s: float = 2.0


DEFAULT_TIMING = Timing()


class Claim:
    """Addresses that nobody else has. announce() once they can be answered for."""

    def __init__(self, interface: Interface, addresses: Sequence[Address], timing: Timing) -> None:
        self._interface = interface
        self._addresses = addresses
        self._timing = timing
        self._again: threading.Timer | None = None

    def announce(self) -> None:
        """Twice, two seconds apart (RFC 5227 2.3)."""
        if self._addresses:
            self._announce_once()
            self._again = threading.Timer(self._timing.announce_again_s, self._announce_once)
            self._again.daemon = True
            self._again.start()

    def close(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again.join()

    def _announce_once(self) -> None:
        try:
            with packet_socket(self._interface, 0) as sender:
                for address in self._addresses:
                    sender.send(announcement(address, self._interface.mac))
        except OSError:
            pass  # the interface went down: whoever watches the server says so


@contextmanager
def claim(
    interface: Interface, addresses: Sequence[Address], timing: Timing = DEFAULT_TIMING
) -> Iterator[Claim]:
    """Asks the link for each address, and holds the groups that solicitations come to until the exit.

    UnavailableError when another station has one of them, with its MAC address. Takes 1.5 s; no time at all
    without addresses.
    """
    with ExitStack() as stack:
        for address in addresses:
            if isinstance(address, IPv6Address):
                stack.enter_context(join(interface, solicited_node(address)))
        if addresses:
            require_free(interface, addresses, timing)
        made = Claim(interface, addresses, timing)
        stack.callback(made.close)
        yield made


def require_free(interface: Interface, addresses: Sequence[Address], timing: Timing) -> None:
    """UnavailableError when a probe for one of the addresses is answered, or another station probes it."""
    with packet_socket(interface, ETHERTYPE_ARP) as arp, packet_socket(interface, ETHERTYPE_IPV6) as ipv6:
        for number in range(timing.probes):
            for address in addresses:
                (ipv6 if address.version == 6 else arp).send(probe(address, interface.mac))
            last = number == timing.probes - 1
            _listen(interface, addresses, (arp, ipv6), timing.last_wait_s if last else timing.interval_s)


def join(interface: Interface, group: IPv6Address) -> socket.socket:
    """A member of the group until it is closed. The kernel tells switches (MLD) and the NIC of it; where
    IPv6 is off on the interface, only the NIC."""
    member = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        request = group.packed + struct.pack("@I", interface.index)
        member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    except OSError as error:
        member.close()
        if error.errno not in (errno.ENODEV, errno.EADDRNOTAVAIL, errno.EINVAL):
            raise
        member = packet_socket(interface, 0)
        mac = group_mac(group)
        request = struct.pack("@iHH8s", interface.index, _PACKET_MR_MULTICAST, len(mac), mac)
        member.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
    return member


def packet_socket(interface: Interface, ethertype: int) -> socket.socket:
    """Sends whole frames; receives those of `ethertype`, of IPv6 only ICMPv6, and nothing for 0."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        if ethertype == ETHERTYPE_IPV6:
            program = ctypes.create_string_buffer(
                b"".join(struct.pack("@HBBI", *line) for line in _ONLY_ICMPV6)
            )
            pointer = struct.pack("@HP", len(_ONLY_ICMPV6), ctypes.addressof(program))
            made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
        made.bind((interface.name, ethertype))
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _listen(
    interface: Interface, addresses: Sequence[Address], sockets: Sequence[socket.socket], seconds: float
) -> None:
    """By poll(): select() knows no descriptor above 1023, and a site may have as many files open before."""
    until = time.monotonic() + seconds
    by_number = {each.fileno(): each for each in sockets}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    while (left := until - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            frame, (_, _, kind, _, _) = by_number[number].recvfrom(2048)
            if kind == socket.PACKET_OUTGOING:
                continue
            for address in addresses:
                holder = claimant(frame, address, interface.mac)
                if holder is not None:
                    raise _taken(interface, address, holder)


def _taken(interface: Interface, address: Address, holder: bytes) -> UnavailableError:
    return UnavailableError(
        f"{interface.name}: {address} belongs to another station on this link",
        why=f"{holder.hex(':')} has it",
        remedy="Name an address that is free with --address",
    )
