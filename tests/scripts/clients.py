"""Two clients for scripts that play the server: our engine in virtual time, and Linux over a veth pair."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator, Mapping

from bypass._sim import ClientEngine
from tests.engine.dialled import REQUEST, complete
from tests.engine.frames import CLIENT, CLIENT_MAC, PORT, SERVER, SERVER_MAC, Link
from tests.engine.host import MS, START, TICK
from tests.scripts.servers import OWNERLESS, LinuxLab, LinuxWire
from tests.scripts.wire import Seen, read


class EngineDial:
    """A ClientEngine that opens at the start; its time moves only while a script waits."""

    side = "ours"
    request_bytes = len(REQUEST)

    def __init__(self, options: Mapping[str, int]) -> None:
        self.engine = ClientEngine(
            address=CLIENT[4],
            target=SERVER[4],
            target_port=PORT,
            mac=CLIENT_MAC,
            target_mac=SERVER_MAC,
            request=REQUEST,
            secret=bytes(range(16)),
            now_ns=START,
            **options,
        )
        self.link = Link(SERVER_MAC, CLIENT_MAC, SERVER[4], CLIENT[4])
        self.port, self.responses = PORT, dict[str, bytes]()
        self.now_ns = START
        self.queue: list[Seen] = []
        self.server_port = self.engine.fetch(self.engine.dial(START))["port"]

    def now(self) -> int:
        return self.now_ns - START

    def send(self, frame: bytes) -> None:
        assert self.engine.inject(frame)
        self._turn()

    def receive(self, until_ns: int) -> Seen | None:
        self._turn()
        while not self.queue and self.now() < until_ns:
            self.now_ns += min(TICK, until_ns - self.now())
            self._turn()
        return self.queue.pop(0) if self.queue else None

    def slack(self, ns: int, early: bool) -> int:
        """Timers run on ticks, and those above a second to a hundredth."""
        return 2 * TICK + ns // 100

    def _turn(self) -> None:
        while self.engine.turn(self.now_ns):
            pass
        seen = [read(frame, self.now()) for frame in self.engine.collect()]
        self.queue += [one for one in seen if one is not None]


class LinuxDial(LinuxWire):
    """A socket at the server's end of the pair that connects to the address that no kernel has, asks, reads
    the response and closes, as our client does."""

    request_bytes = len(REQUEST)

    def __init__(self, lab: LinuxLab, port: int) -> None:
        super().__init__(lab, port)
        with lab.pair.inside_server():
            self.client: socket.socket | None = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.client.setblocking(False)
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.client.connect_ex((OWNERLESS, port))
        self.server_port = self.client.getsockname()[1]
        self.asked, self.octets = False, b""

    def receive(self, until_ns: int) -> Seen | None:
        while True:
            self._use()
            left = min(max(0, until_ns - self.now()), MS)
            if select.select([self.lab.packets], [], [], left / 1e9)[0]:
                frame, address = self.lab.packets.recvfrom(65536)
                seen = read(frame, self.now()) if address[2] != socket.PACKET_OUTGOING else None
                if seen is not None and (seen.port, seen.source_port) == (self.port, self.server_port):
                    return seen
            elif self.now() >= until_ns:
                return None

    def _use(self) -> None:
        """What the socket has to say and to hear; nothing where it has to wait."""
        if self.client is None:
            return
        with contextlib.suppress(BlockingIOError):
            try:
                if not self.asked:
                    self.client.send(REQUEST)
                    self.asked = True
                octets = self.client.recv(65536)
                self.octets += octets
                if not octets or complete(self.octets):
                    self.close()
            except BlockingIOError:
                raise
            except OSError:
                self.close()

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
        self.client = None


@contextlib.contextmanager
def linux_dial(lab: LinuxLab) -> Iterator[LinuxDial]:
    """A client of Linux that opens at once; its socket is closed behind the block."""
    wire = LinuxDial(lab, lab.next_port())
    try:
        yield wire
    finally:
        wire.close()
