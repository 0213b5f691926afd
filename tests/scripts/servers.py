"""Our engine as the server of a script, in virtual time; its time moves only while a script waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.engine.frames import CLIENT, PORT, SERVER, Link
from tests.engine.host import MS, TICK, Host
from tests.engine.peer import Peer, get_request
from tests.scripts.wire import Responses, Seen, read

PATHS = ("/b0", "/b64", "/b1k", "/b10k", "/b1m")
CLIENT_PORT = 40000
LONG_NS, LONG_TICK = 20_000 * MS, 16 * TICK
"""As long as this is still to wait time moves in larger steps."""
SECOND_ADDRESS = 10
"""What the server's other IPv4 address is above its first."""


def server_addresses(server: bytes) -> tuple[bytes, ...]:
    return (server, (int.from_bytes(server, "big") + SECOND_ADDRESS).to_bytes(len(server), "big"))


ENGINE_PROMPT_NS = 22 * 1_000_000


def engine_slack(ns: int) -> int:
    """Timers run on ticks, and those above a second to a hundredth."""
    return 2 * TICK + ns // 100


class EngineWire:
    """options: of the engine; `own=1`: its addresses are its own (ARP, neighbour discovery, echo)."""

    side = "ours"
    prompt_ns = ENGINE_PROMPT_NS
    server_port = PORT
    request_bytes = 0
    port = CLIENT_PORT

    def __init__(
        self,
        make: Callable[..., Host],
        responses: Responses,
        options: Mapping[str, int | str],
        version: int = 4,
    ) -> None:
        addresses = (*server_addresses(SERVER[4]), SERVER[6])
        settings = dict(options)
        own = addresses if settings.pop("own", 0) else ()
        self._make, self._settings = make, {"addresses": addresses, "own_addresses": own, **settings}
        self.host: Host = make(**self._settings)
        self.responses = responses
        self.link = Link(source=CLIENT[version], destination=SERVER[version])
        self.start = self.host.now
        self.queue: list[Seen] = []

    def now(self) -> int:
        return self.host.now - self.start

    def send(self, frame: bytes) -> None:
        self.host.inject(frame)
        self._turn()

    def receive(self, until_ns: int) -> Seen | None:
        self._turn()
        while not self.queue and self.now() < until_ns:
            left_ns = until_ns - self.now()
            self.host.now += min(TICK if left_ns < LONG_NS else LONG_TICK, left_ns)
            self._turn()
        return self.queue.pop(0) if self.queue else None

    def slack(self, ns: int, early: bool) -> int:
        return engine_slack(ns)

    def dial(self) -> int:
        raise ValueError("a server does not dial")

    def count(self, name: str) -> int | None:
        return self.host.engine.open_connections if name == "open" else self.host.count(name)

    def state(self, port: int) -> tuple[str, str] | None:
        return None

    def restart(self, secret: int) -> None:
        self.host = self._make(now_ns=self.host.now, secret=bytes([secret]) * 32, **self._settings)

    def _turn(self) -> None:
        while received := self._turn_once():
            self.queue += received

    def _turn_once(self) -> list[Seen]:
        self.host.engine.turn(self.host.now)
        return [read(frame, self.now()) for frame in self.host.engine.collect(self.host.drivers[0])]


def engine_responses(host: Host) -> Responses:
    """What the engine answers to a GET of each path: Linux serves the same octets."""
    found = {}
    for number, path in enumerate(PATHS):
        for close in (False, True):
            peer = Peer(host, port=30000 + 2 * number + close).connect()
            found[get_request(path, close=close)] = peer.fetch(path, close=close)
    return found
