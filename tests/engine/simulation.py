"""One client behind a network that loses, delays and mixes, in virtual time; everything from one seed.

The client's TCP is as small as can be: it repeats what is not acknowledged, acknowledges at its own
whim, and opens and closes its window. What the engine sends is checked by Peer on its way out.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.engine.host import MS, Host
from tests.engine.peer import Got, Peer, get_request
from tests.engine.stream import Response, Stream, content_length, responses

REPEAT_MS = 700
"""When the client sends again what is not acknowledged."""


@dataclass(frozen=True)
class Network:
    loss: float = 0.0
    delay_ms: float = 5.0
    jitter_ms: float = 0.0
    """Above 0 segments may overtake each other."""
    duplicate: float = 0.0


class Simulation:
    """Runs one connection to its end: requests, responses, FINs of both sides."""

    def __init__(
        self,
        host: Host,
        network: Network,
        seed: int,
        paths: list[str],
        *,
        windows: list[int],
        server_closes: bool,
        sizes: Sequence[int] = (64, 536, 1460, 1460),
    ) -> None:
        self.chance = random.Random(seed)
        self.host, self.network = host, network
        self.peer = Peer(
            host,
            timestamps=self.chance.random() < 0.5,
            sack=self.chance.random() < 0.6,
            mss=self.chance.choice(sizes),
            iss=self.chance.randrange(1 << 32),
            window=windows[0],
        )
        self.windows, self.window = windows, windows[0]
        self.octets = b"".join(get_request(path, close=server_closes and path is paths[-1]) for path in paths)
        self.wanted = len(paths)  # whose head is not here yet
        self.response_end = 0  # of the last response whose head is here
        self.received = Stream()
        self.acked = -1  # of ours, relative
        self.edge = 0
        self.newest = 0
        self.fin_sent = False
        self.unacknowledged = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0

    def run(self, limit_s: float) -> list[Response]:
        """The responses; AssertionError when the connection is not over in time."""
        limit = self.host.now + round(limit_s * 1000 * MS)
        self._repeat()
        while self.host.now < limit:
            self.host.turn()
            for got in self.peer.taken():
                over = self.received.ended and self.fin_sent  # what we repeat then may find nobody
                assert "R" not in got.flags or over, f"reset: {got}"
                self._carry(lambda got=got: self._arrive(got))
            if self._is_over():
                return responses(self.received.octets())
            self.host.now = min(self.host.now + 5 * MS, self._events[0][0] if self._events else limit)
            while self._events and self._events[0][0] <= self.host.now:
                heapq.heappop(self._events)[2]()
        raise AssertionError(f"not over: {self.received.prefix} octets, {self.host.engine.counters()}")

    # ---- the network ----

    def _later(self, ms: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.host.now + max(1, round(ms * MS)), self._order, action))

    def _carry(self, arrive: Callable[[], None]) -> None:
        for _ in range(2 if self.chance.random() < self.network.duplicate else 1):
            if self.chance.random() >= self.network.loss:
                self._later(self.network.delay_ms + self.chance.random() * self.network.jitter_ms, arrive)

    # ---- the client ----

    @property
    def _rcv(self) -> int:
        return self.received.prefix + 1 + self.received.ended

    def _is_over(self) -> bool:
        return self.received.ended and self.fin_sent and self.host.engine.open_connections == 0

    def _send(self, flags: str, payload: bytes = b"", seq: int | None = None) -> None:
        if seq is None:
            seq = 1 + len(self.octets) + self.fin_sent
        window = min(max(self.window, self.edge - self._rcv), 65535)
        self.edge = max(self.edge, self._rcv + window)
        segment = self.peer.segment(flags, payload, seq=seq, ack=self._rcv, window=window)
        if self.peer.sack and "S" not in flags:
            segment = replace(segment, options=replace(segment.options, sack=self._sack_blocks()))
        self.peer.edge = max(self.peer.edge, self.edge)
        self.unacknowledged = 0
        self._carry(lambda: self.host.send(segment))

    def _sack_blocks(self) -> tuple[tuple[int, int], ...]:
        """RFC 2018 4: the newest block first, as many as fit."""
        base = (self.peer.irs or 0) + 1
        blocks = [(base + start, base + end) for start, end in self.received.islands()]
        newest = [block for block in blocks if block[0] <= base + self.newest < block[1]]
        others = [block for block in blocks if block not in newest]
        return tuple((newest + others)[: 3 if self.peer.timestamps else 4])

    def _repeat(self) -> None:
        """Sends whatever of ours is not acknowledged, and again later."""
        if self.peer.irs is None or self.acked < 1:
            self._send("S", seq=0)
        elif self.acked < 1 + len(self.octets):
            for at in range(self.acked - 1, len(self.octets), 200):
                self._send("A", self.octets[at : at + 200], seq=1 + at)
        elif self.fin_sent and self.acked < 2 + len(self.octets):
            self._send("FA", seq=1 + len(self.octets))
        if not self._is_over():
            self._later(REPEAT_MS, self._repeat)

    def _arrive(self, got: Got) -> None:
        if "A" in got.flags:
            before, self.acked = self.acked, max(self.acked, got.ack)
            if before < 1 <= self.acked:
                self._send("A", self.octets[:200], seq=1)
        if "S" in got.flags:
            return
        expected, self.newest = self._rcv, got.seq - 1
        self.received.add(got.seq - 1, got.payload, "F" in got.flags)
        self._maybe_finish()
        if got.size or "F" in got.flags:
            self._acknowledge(at_once=self._rcv != expected + got.size or "F" in got.flags)

    def _acknowledge(self, at_once: bool) -> None:
        self.unacknowledged += 1
        if self.chance.random() < 0.2:
            self.window = self.chance.choice(self.windows)
            if self.window == 0:
                self._later(self.chance.uniform(50, 900), self._reopen)
        if at_once or self.unacknowledged >= self.chance.choice([1, 2, 2, 5]):
            self._send("A")
        else:
            self._later(40, lambda: self.unacknowledged and self._send("A"))

    def _reopen(self) -> None:
        self.window = max(self.windows)
        self._send("A")

    def _maybe_finish(self) -> None:
        while self.wanted and self.received.prefix >= self.response_end:
            head = self.received.octets(self.response_end, 1000).partition(b"\r\n\r\n")
            if not head[1]:
                return
            self.response_end += len(head[0]) + 4 + content_length(head[0])
            self.wanted -= 1
        if not self.fin_sent and self.received.prefix >= self.response_end:
            self._send("FA", seq=1 + len(self.octets))
            self.fin_sent = True
