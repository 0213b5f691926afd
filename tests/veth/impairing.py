"""A link in user space that spoils what it carries: `python impairing.py A B SEED ...` relays frames between
the interfaces A and B of its own namespace, and drops, doubles, delays and corrupts some of them.

A process of its own, so that it has a core while the test waits. Prints `ready`, then its counts as JSON when
its standard input closes. Offloads are off on all ends, so every frame is a packet with its checksum.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
BURST = 64
QUEUE_BYTES = 64 << 20
LATE_S = 0.002
"""How much later arrives what is to come in another order."""


@dataclass
class Chances:
    lost: float = 0
    late: float = 0
    twice: float = 0
    corrupted: float = 0


@dataclass
class Counts:
    frames: int = 0
    lost: int = 0
    late: int = 0
    twice: int = 0
    corrupted: int = 0
    refused: int = 0
    """The interface took no more."""


def opened(ifname: str) -> socket.socket:
    """Sees every frame that comes in by the interface, and can send."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.bind((ifname, ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)
    packets.setblocking(False)
    return packets


class Relay:
    def __init__(self, names: list[str], chances: Chances, seed: int) -> None:
        self.ends = [opened(name) for name in names]
        self.chances, self.chance, self.counts = chances, random.Random(seed), Counts()
        self.late: list[tuple[float, int, int, bytes]] = []

    def run(self) -> None:
        while True:
            wait = max(0.0, self.late[0][0] - time.monotonic()) if self.late else None
            ready, _, _ = select.select([*self.ends, sys.stdin], [], [], wait)
            if sys.stdin in ready:
                return
            for number, end in enumerate(self.ends):
                if end in ready:
                    self._carry(end, 1 - number)
            while self.late and self.late[0][0] <= time.monotonic():
                _, _, number, frame = heapq.heappop(self.late)
                self._send(number, frame)

    def _carry(self, source: socket.socket, target: int) -> None:
        for _ in range(BURST):
            try:
                frame, address = source.recvfrom(65536)
            except BlockingIOError:
                return
            if address[2] != PACKET_OUTGOING:
                self._spoil(frame, target)

    def _spoil(self, frame: bytes, target: int) -> None:
        """At most one thing happens to a frame; each counts."""
        self.counts.frames += 1
        chosen, chances = self.chance.random(), self.chances
        if chosen < chances.lost:
            self.counts.lost += 1
            return
        chosen -= chances.lost
        if chosen < chances.late:
            self.counts.late += 1
            heapq.heappush(self.late, (time.monotonic() + LATE_S, self.counts.frames, target, frame))
            return
        chosen -= chances.late
        if chosen < chances.twice:
            self.counts.twice += 1
            self._send(target, frame)
        elif chosen < chances.twice + chances.corrupted:
            self.counts.corrupted += 1
            at = self.chance.randrange(14, len(frame))
            frame = frame[:at] + bytes([frame[at] ^ 1 << self.chance.randrange(8)]) + frame[at + 1 :]
        self._send(target, frame)

    def _send(self, number: int, frame: bytes) -> None:
        try:
            self.ends[number].send(frame)
        except OSError:
            self.counts.refused += 1


def main() -> None:
    first, second, seed, *chances = sys.argv[1:]
    relay = Relay([first, second], Chances(*map(float, chances)), int(seed))
    print("ready", flush=True)
    relay.run()
    print(json.dumps(asdict(relay.counts)), flush=True)


if __name__ == "__main__":
    main()
