"""Typed face of the extension `bypass._bench` (built from cython_ext/bench.pyx): measurements only."""

from typing_extensions import Buffer

class Bench:
    """An engine on a memory driver and `connections` clients; only the engine's turns are timed.

    windows: on large bodies, which are filled between turns, with anything.
    """

    def __init__(self, image: Buffer, connections: int, *, log_bytes: int = 0, windows: int = 0) -> None: ...
    def open(self) -> float:
        """Opens all connections; nanoseconds of the engine per connection."""
    def get(self, path: bytes, requests: int) -> float:
        """Keep-alive GETs over the open connections in turn; nanoseconds of the engine per GET."""
    def ask(self, request: bytes, requests: int, count: int = 1) -> tuple[float, int]:
        """Keep-alive requests, each any of the `count` of equal size that `request` consists of.

        (nanoseconds of the engine per request, octets of a response). Responses are equally long, and none
        closes its connection.
        """
    def cycle(self, path: bytes, cycles: int) -> float:
        """Open, GET, close with fresh connections; nanoseconds of the engine per cycle."""
    def layers(self, path: bytes, rounds: int) -> dict[str, float]:
        """Nanoseconds per call of each layer alone; after open()."""
    def shuffle(self, seed: int) -> None:
        """Another order in which connections take their turns."""
    def memory(self) -> dict[str, float]:
        """Octets for each connection, by what they are for; "client": not the engine's, but its peer's."""
    def pass_time(self, ticks: int) -> list[int]:
        """Turns a tick (2^20 ns) apart in which nothing arrives; how many timers each of them touched."""
    def answered(self) -> int:
        """2xx responses so far."""
    @property
    def connections(self) -> int:
        """Records in use."""
    def drain_log(self) -> int:
        """From another thread, while get() runs: empties the access log; how many octets it had."""
    @property
    def log_dropped(self) -> int:
        """Responses that the ring had no room for."""
    @property
    def frames_lost(self) -> int: ...
