"""A laboratory of two network namespaces joined by a veth pair, for tests that need a real kernel.

Both ends are in namespaces of their own with unique names, so tests run side by side and touch no
interface of the machine. Leaving the context removes everything, also after a failure.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Self

from pyroute2 import IPRoute

from bypass._probe_driver import XdpProbe
from bypass.serve.vethpair import VethPair

PORT = 8080
OTHER_PORT = 8081
DEADLINE_S = 5.0
_SO_RCVBUFFORCE = 33
MSS = b"\x02\x04\x05\xb4"


class VethLab:
    """The pair, with sockets and frames at either end.

    ifname, ifindex: the server's end. server4, server6, client4, client6: addresses as text.
    """

    def __init__(self, *, queues: int = 1, mtu_bytes: int = 1500) -> None:
        self.pair = VethPair(queues=queues, mtu_bytes=mtu_bytes, isolate_server=True)
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.pair.__enter__()
        self._closing.callback(self.pair.__exit__, None, None, None)
        server, client = self.pair.server, self.pair.client
        self.ifname, self.ifindex = server.ifname, server.ifindex
        self.server4, self.server6 = str(server.v4), str(server.v6)
        self.client4, self.client6 = str(client.v4), str(client.v6)
        self.server_addresses: list[IPv4Address | IPv6Address] = [server.v4, server.v6]
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command in the client's namespace."""
        return self.pair.run(command, **options)

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening kernel socket in the server's namespace."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.pair.inside_server():
            listener = self._closing.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.bind((address, port))
        listener.listen()
        listener.settimeout(DEADLINE_S)
        return listener

    def start_connect(self, address: str, port: int) -> socket.socket:
        """A kernel client that has sent its SYN and waits."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.pair.inside_client():
            client = self._closing.enter_context(socket.socket(family, socket.SOCK_STREAM))
        client.setblocking(False)
        assert client.connect_ex((address, port)) == errno.EINPROGRESS
        return client

    def packet_socket(self, queue_bytes: int = 1 << 20) -> socket.socket:
        """An AF_PACKET socket on the client's end, to send and see whole frames."""
        with self.pair.inside_client():
            packets = self._closing.enter_context(
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            )
        packets.bind((self.pair.client.ifname, 3))
        packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, queue_bytes)
        packets.settimeout(DEADLINE_S)
        return packets

    def xdp_socket(self, queue: int = 0, **options: int) -> XdpProbe:
        """An AF_XDP socket on the server's end; opened again while the kernel still tears down the last."""
        until = time.monotonic() + DEADLINE_S
        with self.pair.inside_server():
            while True:
                try:
                    probe = XdpProbe(self.ifindex, queue, **options)
                    break
                except OSError as error:
                    if error.errno != errno.EBUSY or time.monotonic() > until:
                        raise
                    time.sleep(0.01)
        self._closing.callback(probe.close)
        return probe

    def delete_link(self) -> None:
        """Takes the pair away, as an administrator may at any time."""
        with self.pair.inside_server(), IPRoute() as route:
            route.link("del", index=self.ifindex)

    # -- frames from the client

    def ethernet(self, payload: bytes, ethertype: int, *tags: tuple[int, int]) -> bytes:
        """A frame to the server; `tags` are (ethertype, VLAN id), outermost first."""
        header = _mac(self.pair.server.mac) + _mac(self.pair.client.mac)
        for kind, vlan in tags:
            header += struct.pack("!HH", kind, vlan)
        return header + struct.pack("!H", ethertype) + payload

    def ipv4(self, payload: bytes, *, protocol: int = 6, fragment: int = 0, options: bytes = b"") -> bytes:
        """`fragment` is the flags and offset field; `options` a multiple of four octets."""
        octets = 20 + len(options)
        header = struct.pack(
            "!BBHHHBBH4s4s",
            0x40 | octets // 4,
            0,
            octets + len(payload),
            1,
            fragment,
            64,
            protocol,
            0,
            socket.inet_aton(self.client4),
            socket.inet_aton(self.server4),
        )
        header += options
        return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload

    def ipv6(self, payload: bytes, *, next_header: int = 6) -> bytes:
        header = struct.pack("!IHBB", 0x60000000, len(payload), next_header, 64)
        addresses = (socket.inet_pton(socket.AF_INET6, name) for name in (self.client6, self.server6))
        return header + b"".join(addresses) + payload


def tcp(port: int, *, source_port: int = 40000, options: bytes = b"") -> bytes:
    """A SYN; its checksum is not right, which steering does not look at."""
    return (
        struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 + len(options) // 4 << 4, 2, 65535, 0, 0)
        + options
    )


def receive(probe: XdpProbe, count: int = 1) -> list[bytes]:
    """Frames that the socket received, recycled; waits until there are `count`."""
    frames: list[bytes] = []
    until = time.monotonic() + DEADLINE_S
    while len(frames) < count and time.monotonic() < until:
        select.select([probe.fd], [], [], 0.05)
        burst = probe.rx_burst()
        frames += [octets for _, octets in burst]
        probe.recycle([index for index, _ in burst])
    return frames


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition becomes true before the deadline."""
    until = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def connect_error(client: socket.socket) -> int:
    """The errno that a started connect ends with, 0 for success."""
    assert select.select([], [client], [], DEADLINE_S)[1], "the connect did not end"
    return int(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
