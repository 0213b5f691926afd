"""Two clients for scripts that play the server: our engine in virtual time, and Linux over a veth pair."""

from __future__ import annotations

import contextlib
import queue
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bypass._sim import ClientEngine
from tests.engine.dialled import REQUEST, complete
from tests.engine.frames import CLIENT, CLIENT_MAC, PORT, SERVER, SERVER_MAC, Link
from tests.engine.host import MS, START, TICK
from tests.scripts.linux import LinuxLab, LinuxWire
from tests.scripts.servers import ENGINE_PROMPT_NS, engine_slack
from tests.scripts.wire import Responses, Seen, read


def request_of(options: Mapping[str, int | str]) -> bytes:
    """request=N in the header of a script: a request of N octets."""
    lacking = int(options.get("request", len(REQUEST))) - len(REQUEST)
    if lacking == 0:
        return REQUEST
    return REQUEST[:-2] + b"X: " + b"x" * (lacking - 5) + b"\r\n\r\n"


class EngineDial:
    """A ClientEngine that opens at the start; its time moves only while a script waits."""

    side = "ours"
    prompt_ns = ENGINE_PROMPT_NS

    def __init__(self, options: Mapping[str, int | str], version: int = 4) -> None:
        self._request = request_of(options)
        self.request_bytes = len(self._request)
        self._options = {name: value for name, value in options.items() if name != "request"}
        self._version = version
        self.engine = self._made(bytes(range(16)), START)
        self.link = Link(SERVER_MAC, CLIENT_MAC, SERVER[version], CLIENT[version])
        self.port, self.responses = PORT, Responses()
        self.now_ns = START
        self.queue: list[Seen] = []
        self.numbers: dict[int, int] = {}
        self.server_port = self.dial()

    def _made(self, secret: bytes, now_ns: int) -> ClientEngine:
        return ClientEngine(
            address=CLIENT[self._version],
            target=SERVER[self._version],
            target_port=PORT,
            mac=CLIENT_MAC,
            target_mac=SERVER_MAC,
            request=self._request,
            secret=secret,
            now_ns=now_ns,
            **self._options,  # type: ignore[arg-type]
        )

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
        return engine_slack(ns)

    def dial(self) -> int:
        number = self.engine.dial(self.now_ns)
        port = self.engine.fetch(number)["port"]
        self.numbers[port] = number
        return port

    def count(self, name: str) -> int | None:
        return self.engine.open_connections if name == "open" else self.engine.counters()[name]

    def state(self, port: int) -> tuple[str, str] | None:
        fetch = self.engine.fetch(self.numbers[port])
        return fetch["tcp"].replace(" ", "-"), fetch["state"].replace(" ", "-")

    def restart(self, secret: int) -> None:
        """Nothing is dialled until the script says so."""
        self.engine = self._made(bytes([secret]) * 16, self.now_ns)

    def _turn(self) -> None:
        while self.engine.turn(self.now_ns):
            pass
        self.queue += [read(frame, self.now()) for frame in self.engine.collect()]


class LinuxDial(LinuxWire):
    """Sockets at the server's end of the pair that connect to an address that no kernel has, ask, read
    the response and close, as our client does."""

    def __init__(self, lab: LinuxLab, options: Mapping[str, int | str], version: int = 4) -> None:
        super().__init__(lab, version)
        self._request = request_of(options)
        self.request_bytes = len(self._request)
        self.port = PORT
        self.sockets: dict[socket.socket, bytes] = {}
        self.asked: set[socket.socket] = set()
        self.server_port = self.dial()

    def dial(self) -> int:
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        with self.lab.pair.inside_server():
            client = socket.socket(family, socket.SOCK_STREAM)
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        client.connect_ex((socket.inet_ntop(family, self.link.source), self.port))
        self.sockets[client] = b""
        return int(client.getsockname()[1])

    def receive(self, until_ns: int) -> Seen | None:
        while True:
            self._use()
            left = min(max(0, until_ns - self.now()), 2 * MS)
            with contextlib.suppress(queue.Empty):
                seen = self.frames.get(timeout=left / 1e9)
                return replace(seen, at_ns=seen.at_ns - self.start)
            if self.now() >= until_ns:
                return None

    def _use(self) -> None:
        """What the sockets have to say and to hear; nothing where they have to wait."""
        for client in list(self.sockets):
            with contextlib.suppress(BlockingIOError):
                try:
                    if client not in self.asked:
                        client.send(self._request)
                        self.asked.add(client)
                    octets = client.recv(65536)
                    self.sockets[client] += octets
                    if not octets or complete(self.sockets[client]):
                        self._drop(client)
                except BlockingIOError:
                    raise
                except OSError:
                    self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        client.close()
        del self.sockets[client]

    def close(self) -> None:
        for client in list(self.sockets):
            self._drop(client)


@contextlib.contextmanager
def linux_dial(lab: LinuxLab, options: Mapping[str, int | str], version: int = 4) -> Iterator[LinuxDial]:
    """A client of Linux that opens at once; its sockets are closed behind the block."""
    wire = LinuxDial(lab, options, version)
    try:
        yield wire
    finally:
        wire.close()
