"""Linux under test over a veth pair, in real time: many scripts at once, each with addresses of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import select
import socket
import threading
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from bypass.serve.vethpair import VethPair
from tests.engine.frames import PORT, Link
from tests.scripts.servers import CLIENT_PORT, server_addresses
from tests.scripts.values import MS
from tests.scripts.wire import Responses, Seen, read

FIRST = {4: int(IPv4Address("198.18.128.0")), 6: int(IPv6Address("fd62:7970:6173:7300::1:0"))}
"""Where the addresses of the scripts begin; no kernel has them, so none answers for them."""
NETWORKS = {4: "198.18.128.0/17", 6: "fd62:7970:6173:7300::1:0/112"}
ADDRESSES_EACH = 16
SO_SNDBUFFORCE = 32
SYSCTLS = {"tcp_invalid_ratelimit": 0, "tcp_no_metrics_save": 1, "tcp_frto": 0}
"""In the server's namespace: scripts shall not depend on each other, and a timeout shall be taken at its word
(ours does not do F-RTO)."""
PORTS = {"newreno": (PORT, b"reno"), "cubic": (PORT + 1, b"cubic")}
"""Where Linux listens with which congestion control, and its name there. Not BBR, the default in places: it
paces a window by a round trip that load stretches."""

Octets = dict[socket.socket, bytes]
"""What each client's socket still holds."""


def run_before_others() -> None:
    """The calling thread need not wait for what else the machine does: times are what scripts are about, and
    it sleeps nearly always. Without the right to it, it waits."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


class LinuxLab:
    """A pair whose server end has a listening socket of the kernel, served by a thread; another thread
    hands each frame to the script whose address it is for."""

    def __init__(self, responses: Responses) -> None:
        self.responses = responses
        self.pair = VethPair(isolate_server=True)
        self._closing = contextlib.ExitStack()
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._queues: dict[int, queue.Queue[Seen]] = {}

    def __enter__(self) -> Self:
        self._closing.enter_context(self.pair)
        for end, server in ((self.pair.server, True), (self.pair.client, False)):
            offloads = [word for name in ("tso", "gso", "gro", "tx") for word in (name, "off")]
            self._must(["ethtool", "-K", end.ifname, *offloads], server)
        self._addresses()
        for name, value in SYSCTLS.items():
            self._must(["sysctl", "-qw", f"net.ipv4.{name}={value}"], True)
        self.listeners = [self._listener(port, name) for port, name in PORTS.values()]
        with self.pair.inside_client():
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.packets = self._closing.enter_context(packets)
        self.packets.bind((self.pair.client.ifname, 3))
        for work in (self._serve, self._dispatch):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._closing.callback(thread.join)
        self._closing.callback(self._stop.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _listener(self, port: int, congestion: bytes) -> socket.socket:
        with self.pair.inside_server():
            listener = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64
            )
        self._closing.enter_context(listener)
        listener.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 22)  # a response is in the kernel at once
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion)
        return listener

    def _addresses(self) -> None:
        """The way to the scripts leads to the client's end, whose kernel drops what is not for it."""
        server, client = self.pair.server, self.pair.client
        second = IPv4Address(server_addresses(server.v4.packed)[1])
        self._must(["ip", "address", "add", f"{second}/24", "dev", server.ifname], True)
        for version, via in ((4, client.v4), (6, client.v6)):
            route = [NETWORKS[version], "via", str(via), "dev", server.ifname]
            self._must(["ip", f"-{version}", "route", "add", *route], True)

    def _must(self, command: list[str], server: bool) -> None:
        done = self.pair.run(command, server=server)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def take_addresses(self) -> tuple[int, queue.Queue[Seen]]:
        """For one play: the number of its addresses, and the frames to them."""
        number = next(self._numbers)
        self._queues[number] = queue.Queue()
        return number, self._queues[number]

    def _dispatch(self) -> None:
        run_before_others()
        while not self._stop.is_set():
            if not select.select([self.packets], [], [], 0.02)[0]:
                continue
            frame, address = self.packets.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            seen = read(frame, time.monotonic_ns())
            destination = seen.fields.get("dst", 0)
            number = (destination - FIRST[6 if destination >> 32 else 4]) // ADDRESSES_EACH
            if number in self._queues:
                self._queues[number].put(seen)

    def _serve(self) -> None:
        """Answers each request with the engine's octets; closes where the client has closed, or asks."""
        run_before_others()
        waiting: Octets = {}
        leaving: Octets = {}
        while not self._stop.is_set():
            ready, writable, _ = select.select([*self.listeners, *waiting], list(leaving), [], 0.02)
            for one in ready:
                if one in self.listeners:
                    client, _ = one.accept()
                    client.setblocking(False)
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    waiting[client] = b""
                elif not self._read(one, waiting, leaving):
                    one.close()
                    del waiting[one]
                    leaving.pop(one, None)
            for one in writable:
                if one.fileno() >= 0 and one in leaving:
                    with contextlib.suppress(OSError):
                        leaving[one] = leaving[one][one.send(leaving[one]) :]
                    if not leaving[one]:
                        del leaving[one]
        for one in waiting:
            one.close()

    def _read(self, one: socket.socket, waiting: Octets, leaving: Octets) -> bool:
        try:
            octets = one.recv(65536)
        except OSError:
            return False
        waiting[one] += octets
        while (end := waiting[one].find(b"\r\n\r\n")) >= 0:
            head, waiting[one] = waiting[one][: end + 4], waiting[one][end + 4 :]
            response = self.responses.get(head, b"")
            if b"Connection: close" not in head:
                leaving[one] = leaving.get(one, b"") + response
                continue
            with contextlib.suppress(OSError):
                one.sendall(response, socket.MSG_MORE)
                one.shutdown(socket.SHUT_WR)
        return bool(octets) or one in leaving


class LinuxWire:
    """Frames to and from the kernel, in real time, as a client that no kernel knows."""

    side = "linux"
    prompt_ns = 400 * MS
    request_bytes = 0

    def __init__(self, lab: LinuxLab, version: int = 4, congestion: str = "newreno") -> None:
        self.server_port = PORTS[congestion][0]
        self.lab, self.port, self.responses, self.version = lab, CLIENT_PORT, lab.responses, version
        number, self.frames = lab.take_addresses()
        macs = [bytes.fromhex(end.mac.replace(":", "")) for end in (lab.pair.client, lab.pair.server)]
        server = lab.pair.server.v4 if version == 4 else lab.pair.server.v6
        mine = FIRST[version] + number * ADDRESSES_EACH
        self.link = Link(macs[0], macs[1], mine.to_bytes(len(server.packed), "big"), server.packed)
        self.start = time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() - self.start

    def send(self, frame: bytes) -> None:
        self.lab.packets.send(frame)

    def receive(self, until_ns: int) -> Seen | None:
        try:
            seen = self.frames.get(timeout=max(0, until_ns - self.now()) / 1e9)
        except queue.Empty:
            return None
        return replace(seen, at_ns=seen.at_ns - self.start)

    def slack(self, ns: int, early: bool) -> int:
        """A busy machine is late, and a kernel's timer may count from an earlier event."""
        return 10 * MS + ns // 10 if early else 150 * MS + ns // 5

    def dial(self) -> int:
        raise ValueError("a server does not dial")

    def count(self, name: str) -> int | None:
        return None

    def state(self, port: int) -> tuple[str, str] | None:
        return None

    def restart(self, secret: int) -> None:
        raise ValueError("Linux is not restarted")
