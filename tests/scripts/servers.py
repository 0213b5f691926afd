"""Two servers for scripts: our engine in virtual time, and Linux over a veth pair in real time."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from typing import Self

from bypass.serve.vethpair import VethPair
from tests.engine.frames import PORT, Link
from tests.engine.host import TICK, Host
from tests.engine.peer import Peer, get_request
from tests.scripts.wire import Seen, read

MS = 1_000_000
PATHS = ("/b0", "/b64", "/b1k", "/b10k", "/b1m")
OWNERLESS = "198.18.0.77"
"""The address of the scripts' client; no kernel has it, so none answers for it."""


Octets = dict[socket.socket, bytes]
"""What each client's socket still holds."""


class EngineWire:
    """A Host whose time moves only while a script waits."""

    side = "ours"
    server_port = PORT
    request_bytes = 0

    def __init__(self, host: Host, responses: dict[str, bytes], port: int = 40000) -> None:
        self.host, self.responses, self.port = host, responses, port
        self.link = Link()
        self.start = host.now
        self.queue: list[Seen] = []

    def now(self) -> int:
        return self.host.now - self.start

    def send(self, frame: bytes) -> None:
        self.host.inject(frame)
        self._turn()

    def receive(self, until_ns: int) -> Seen | None:
        self._turn()
        while not self.queue and self.now() < until_ns:
            self.host.now += min(TICK, until_ns - self.now())
            self._turn()
        return self.queue.pop(0) if self.queue else None

    def slack(self, ns: int, early: bool) -> int:
        """Timers run on ticks, and those above a second to a hundredth."""
        return 2 * TICK + ns // 100

    def _turn(self) -> None:
        while received := self._turn_once():
            self.queue += received

    def _turn_once(self) -> list[Seen]:
        self.host.engine.turn(self.host.now)
        frames = self.host.engine.collect(self.host.drivers[0])
        return [seen for frame in frames if (seen := read(frame, self.now())) is not None]


def engine_responses(host: Host) -> dict[str, bytes]:
    """What the engine answers to a GET of each path: Linux serves the same octets."""
    found = {}
    for number, path in enumerate(PATHS):
        found[path] = Peer(host, port=30000 + number).connect().fetch(path)
    return found


SYSCTLS = {"tcp_invalid_ratelimit": 0, "tcp_no_metrics_save": 1, "tcp_early_retrans": 0}
"""In the server's namespace: scripts shall not depend on each other, nor race with a tail loss probe, which
comes after two round trips, here microseconds."""


class LinuxLab:
    """A pair whose server end has a listening socket of the kernel, served by a thread."""

    def __init__(self, responses: dict[str, bytes]) -> None:
        self.responses = responses
        self.pair = VethPair(isolate_server=True)
        self._closing = contextlib.ExitStack()
        self._stop = threading.Event()
        self._ports = iter(range(41000, 60000))

    def __enter__(self) -> Self:
        self._closing.enter_context(self.pair)
        for end, server in ((self.pair.server, True), (self.pair.client, False)):
            offloads = [word for name in ("tso", "gso", "gro", "tx") for word in (name, "off")]
            self._must(["ethtool", "-K", end.ifname, *offloads], server)
        mac = self.pair.client.mac
        self._must(["ip", "neigh", "replace", OWNERLESS, "lladdr", mac, "dev", self.pair.server.ifname], True)
        for name, value in SYSCTLS.items():
            self._must(["sysctl", "-qw", f"net.ipv4.{name}={value}"], True)
        with self.pair.inside_server():
            self.listener = self._closing.enter_context(socket.create_server(("", PORT), backlog=64))
        # A window leaves at once: BBR, the default in places, paces it by a round trip that load stretches.
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        with self.pair.inside_client():
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.packets = self._closing.enter_context(packets)
        self.packets.bind((self.pair.client.ifname, 3))
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        self._closing.callback(thread.join)
        self._closing.callback(self._stop.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _must(self, command: list[str], server: bool) -> None:
        done = self.pair.run(command, server=server)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def wire(self) -> LinuxWire:
        return LinuxWire(self, self.next_port())

    def next_port(self) -> int:
        """Of a script's side; no two scripts share one."""
        return next(self._ports)

    def _serve(self) -> None:
        """Answers each request with the engine's octets; closes where the client has closed."""
        waiting: Octets = {}
        leaving: Octets = {}
        while not self._stop.is_set():
            ready, writable, _ = select.select([self.listener, *waiting], list(leaving), [], 0.02)
            for one in ready:
                if one is self.listener:
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
            path = re.match(rb"GET (\S+)", head)
            if path is not None and head == get_request(path[1].decode()):
                leaving[one] = leaving.get(one, b"") + self.responses[path[1].decode()]
        return bool(octets) or one in leaving


class LinuxWire:
    """Frames to and from the kernel, in real time, as a client that no kernel knows."""

    side = "linux"
    server_port = PORT
    request_bytes = 0

    def __init__(self, lab: LinuxLab, port: int) -> None:
        self.lab, self.port, self.responses = lab, port, lab.responses
        macs = [bytes.fromhex(end.mac.replace(":", "")) for end in (lab.pair.client, lab.pair.server)]
        self.link = Link(macs[0], macs[1], socket.inet_aton(OWNERLESS), lab.pair.server.v4.packed)
        self.start = time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() - self.start

    def send(self, frame: bytes) -> None:
        self.lab.packets.send(frame)

    def receive(self, until_ns: int) -> Seen | None:
        while True:
            left = until_ns - self.now()
            if not select.select([self.lab.packets], [], [], max(0, left) / 1e9)[0]:
                return None
            frame, address = self.lab.packets.recvfrom(65536)
            seen = read(frame, self.now()) if address[2] != socket.PACKET_OUTGOING else None
            if seen is not None and seen.port == self.port:
                return seen

    def slack(self, ns: int, early: bool) -> int:
        """A busy machine is late, and a kernel's timer may count from an earlier event."""
        return 10 * MS + ns // 10 if early else 150 * MS + ns // 5
