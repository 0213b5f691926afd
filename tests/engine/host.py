"""The engine under test with its clock and its wire: frames in, parsed segments out, to whom they belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from typing_extensions import Buffer

from bypass._engine import Engine
from tests.engine.frames import PORT, SERVER, SERVER_MAC, Segment, build, parse

if TYPE_CHECKING:
    from tests.engine.peer import Peer

MS = 1_000_000
SECOND = 1000 * MS
TICK = 1 << 20
"""One tick of the engine's timers, in nanoseconds."""
START = 1_000_000 * SECOND
"""Where the clock of a test begins."""
WALL_OFFSET = 1_700_000_000 * SECOND - START
SECRET = bytes(range(32))


class Host:
    """An engine on memory drivers. Time stands still but for sleep() and the like."""

    def __init__(
        self,
        image: Buffer,
        *,
        now_ns: int = START,
        secret: bytes = SECRET,
        addresses: Sequence[bytes] = tuple(SERVER.values()),
        port: int = PORT,
        drivers: int = 1,
        rx_frames: int = 256,
        tx_frames: int = 1024,
        frame_bytes: int = 2048,
        wall_offset_ns: int = WALL_OFFSET,
        **options: int | str,
    ) -> None:
        settings: dict[str, int | str] = {
            "connections": 64,
            "request_buffers": 16,
            "flight_blocks": 16,
            **options,
        }
        self.now = now_ns
        self.wall_offset_ns = wall_offset_ns
        self.engine = Engine(
            image=image,
            addresses=addresses,
            port=port,
            secret=secret,
            now_ns=now_ns,
            wall_offset_ns=wall_offset_ns,
            **settings,
        )
        self.drivers = [
            self.engine.add_memory(
                rx_frames=rx_frames, tx_frames=tx_frames, frame_bytes=frame_bytes, mac=SERVER_MAC
            )
            for _ in range(drivers)
        ]
        self.peers: dict[tuple[bytes, bytes, int], Peer] = {}
        self.strays: list[Segment] = []
        """Segments to nobody that a test has made a Peer for."""

    def inject(self, frame: bytes, driver: int = 0) -> None:
        assert self.engine.inject(self.drivers[driver], frame), "the receive ring is full"

    def send(
        self, segment: Segment, driver: int = 0, *, ip: dict[str, int] | None = None, **tcp: int | None
    ) -> None:
        """Injects a segment built by hand."""
        self.inject(build(segment, ip=ip, **tcp), driver)

    def turn(self) -> list[Segment]:
        """One turn at the present time; the segments it sent, handed to their peers too."""
        self.engine.turn(self.now)
        return self.collect()

    def collect(self) -> list[Segment]:
        sent = []
        for number, driver in enumerate(self.drivers):
            for frame in self.engine.collect(driver):
                segment = parse(frame)
                sent.append(segment)
                self._deliver(segment, number)
        return sent

    def settle(self) -> list[Segment]:
        """Turns at the present time until nothing more comes."""
        sent: list[Segment] = []
        for _ in range(1000):
            received = self.engine.turn(self.now)
            got = self.collect()
            if not got and not received:
                return sent
            sent += got
        raise AssertionError("the engine never rests")

    def sleep(self, ms: float, step_ms: float = 5) -> list[Segment]:
        """Lets time pass in steps, a turn at each, and settles at the end."""
        end = self.now + round(ms * MS)
        sent: list[Segment] = []
        while self.now < end:
            self.now = min(self.now + round(step_ms * MS), end)
            sent += self.turn()
        return sent + self.settle()

    def jump(self, ms: float) -> list[Segment]:
        """Lets time pass at once, as for a sleeper who wakes late."""
        self.now += round(ms * MS)
        return self.settle()

    def until_sent(self, within_ms: float) -> float:
        """Ticks on until a segment is sent; returns the milliseconds that took, to a tick or a thousandth.

        AssertionError: none was sent.
        """
        start = self.now
        while self.now < start + within_ms * MS:
            self.now += max(TICK, (self.now - start) // 1000)
            if self.turn():
                return (self.now - start) / MS
        raise AssertionError(f"nothing was sent within {within_ms} ms")

    def count(self, name: str) -> int:
        return self.engine.counters()[name]

    @property
    def wall_second(self) -> int:
        return (self.now + self.wall_offset_ns) // SECOND

    def _deliver(self, segment: Segment, driver: int) -> None:
        peer = self.peers.get((segment.link.source, segment.link.destination, segment.destination_port))
        if peer is None:
            self.strays.append(segment)
        else:
            peer.take(segment, driver)
