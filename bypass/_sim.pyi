"""The door to the client engine and the simulation (cython_ext/sim.pyx)."""

from collections.abc import Mapping
from typing import TypedDict

from typing_extensions import Buffer

class Fetched(TypedDict):
    """tcp: state of RFC 9293. state: under way, done, bad (no response that is understood), cut (the
    connection ended first). Times in nanoseconds, 0 when it has not happened."""

    tcp: str
    state: str
    port: int
    status: int
    body_bytes: int
    crc32: int
    started_ns: int
    first_ns: int
    ended_ns: int
    timestamps: bool
    window_scale: bool
    sack: bool
    ecn: bool

class ClientEngine:
    """Connections that are opened to one server, each to fetch what `request` asks for; on a memory driver.

    address, target: 4 or 16 octets. window: octets that each connection holds out of order, a power of two.
    """

    def __init__(
        self,
        *,
        address: bytes,
        target: bytes,
        target_port: int,
        mac: bytes,
        target_mac: bytes,
        request: bytes,
        secret: bytes,
        now_ns: int,
        connections: int = 64,
        window: int = 65536,
        mtu: int = 1500,
        ecn: bool = False,
        idle_timeout_ns: int = 60_000_000_000,
        time_wait_ns: int = 60_000_000_000,
        frames: int = 1024,
    ) -> None: ...
    def dial(self, now_ns: int) -> int: ...
    def turn(self, now_ns: int) -> int: ...
    def inject(self, frame: bytes) -> bool: ...
    def collect(self) -> list[bytes]: ...
    def fetch(self, number: int) -> Fetched: ...
    def counters(self) -> dict[str, int]: ...
    @property
    def open_connections(self) -> int: ...
    @property
    def frames_lost(self) -> int: ...

class Simulation:
    """A server with the site `image` at the client's target; to_client, to_server: see sim/link.pxd."""

    def __init__(
        self,
        *,
        image: Buffer,
        client: ClientEngine,
        seed: int,
        now_ns: int,
        secret: bytes,
        to_client: Mapping[str, int],
        to_server: Mapping[str, int],
        congestion: str = "cubic",
        connections: int = 256,
        mtu: int = 1500,
        slots: int = 4096,
        idle_timeout_ns: int = 60_000_000_000,
    ) -> None: ...
    def run(self, flows: int, limit_ns: int, spacing_ns: int = 0) -> int: ...
    def fetches(self) -> list[Fetched]: ...
    def counters(self) -> dict[str, int]: ...
    def links(self) -> dict[str, dict[str, int]]: ...
    @property
    def turns(self) -> int: ...
