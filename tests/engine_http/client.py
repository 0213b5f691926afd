"""A client that loses nothing, on the engine's memory driver: handshake, octets in pieces, their answer.

It checks every frame it gets (addresses, lengths, both checksums, order) and obeys the advertised window.
Knows TCP as far as a link without loss needs it, and nothing of HTTP.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from bypass._engine import Engine

SERVER_MAC = bytes.fromhex("020000000001")
CLIENT_MAC = bytes.fromhex("020000000002")
SERVER_IP = bytes([10, 0, 0, 1])
CLIENT_IP = bytes([10, 0, 0, 2])
PORT = 80
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MSS = 1460
STEP_NS = 20_000
FIRST_NS = 1_000_000_000


def checksum_is_sound(octets: bytes) -> bool:
    """RFC 1071: the ones'-complement sum of all 16-bit words is minus zero."""
    if len(octets) % 2:
        octets += b"\0"
    return int.from_bytes(octets, "big") % 0xFFFF == 0


def checksum(octets: bytes) -> bytes:
    if len(octets) % 2:
        octets += b"\0"
    return (0xFFFF - int.from_bytes(octets, "big") % 0xFFFF).to_bytes(2, "big")


class Net:
    """An engine with one memory driver, its clock, and the connections of its clients."""

    def __init__(self, image: memoryview, *, wall_s: int = 1_000_000_000, **options: Any) -> None:
        self.now_ns = FIRST_NS
        self.wall_s = wall_s
        self.engine = Engine(
            image=image,
            addresses=[SERVER_IP],
            port=PORT,
            secret=bytes(range(32)),
            now_ns=self.now_ns,
            wall_offset_ns=wall_s * 1_000_000_000 - self.now_ns,
            **{"connections": 64, "request_buffers": 16} | options,
        )
        self.driver = self.engine.add_memory(rx_frames=512, tx_frames=1024, mac=SERVER_MAC)
        self.connections: dict[int, Connection] = {}
        self.next_port = 40000

    def connect(self, **options: Any) -> Connection:
        """A connection, its handshake done."""
        connection = Connection(self, self.next_port, **options)
        self.next_port += 1
        self.connections[connection.port] = connection
        connection.open()
        self.settle()
        assert connection.established
        return connection

    def connect_unsettled(self) -> Connection:
        """A connection whose handshake is under way."""
        connection = Connection(self, self.next_port)
        self.next_port += 1
        self.connections[connection.port] = connection
        connection.open()
        return connection

    def turn(self) -> int:
        """One turn of the engine; returns how many frames it sent."""
        self.now_ns += STEP_NS
        self.engine.turn(self.now_ns)
        frames = self.engine.collect(self.driver)
        for frame in frames:
            self._deliver(frame)
        return len(frames)

    def settle(self) -> None:
        """Turns until nothing moves any more."""
        quiet = 0
        for _ in range(100_000):
            moved = sum(connection.flush() for connection in self.connections.values())
            moved += self.turn()
            quiet = 0 if moved else quiet + 1
            if quiet == 2:
                return
        raise AssertionError("the exchange does not end")

    def settle_bounded(self, turns: int = 400) -> None:
        """For an engine that never rests, because it waits for something else than us."""
        for _ in range(turns):
            for connection in self.connections.values():
                connection.flush()
            self.turn()

    def pass_time_bounded(self, ms: int, step_ms: int = 100) -> None:
        for _ in range(ms // step_ms):
            self.now_ns += step_ms * 1_000_000
            self.settle_bounded(1)

    def pass_time(self, ms: int, step_ms: int = 10) -> None:
        """Lets time pass in small steps, then settles."""
        for _ in range(ms // step_ms):
            self.now_ns += step_ms * 1_000_000
            self.turn()
        self.settle()

    @property
    def second(self) -> int:
        """Of the wall clock, since 1970."""
        return self.wall_s + (self.now_ns - FIRST_NS) // 1_000_000_000

    def counter(self, name: str) -> int:
        return self.engine.counters()[name]

    def _deliver(self, frame: bytes) -> None:
        assert frame[:14] == CLIENT_MAC + SERVER_MAC + b"\x08\x00"
        total = int.from_bytes(frame[16:18], "big")
        assert len(frame) == 14 + total
        ip, segment = frame[14:34], frame[34:]
        assert checksum_is_sound(ip)
        assert ip[12:20] == SERVER_IP + CLIENT_IP
        pseudo = ip[12:20] + struct.pack("!HH", 6, len(segment))
        assert checksum_is_sound(pseudo + segment), "the TCP checksum is wrong"
        self.connections[int.from_bytes(segment[2:4], "big")].receive(segment)


class Connection:
    """One client. `received` holds the octets of the server's stream.

    auto_ack: every data segment is acknowledged at once; else ack() does it when told.
    """

    def __init__(
        self, net: Net, port: int, *, mss: int = MSS, window: int = 65535, auto_ack: bool = True
    ) -> None:
        self.net = net
        self.port = port
        self.mss = mss
        self.window = window
        self.auto_ack = auto_ack
        self.established = False
        self.received = bytearray()
        self.peer_closed = False
        self.peer_reset = False
        self.peer_window = 0
        self.windows: list[int] = []  # every window advertised to us
        self.snd_una = self.snd_nxt = self.snd_max = 0x7FFFFF00 + port
        self.rcv_nxt = self.peer_isn = 0
        self.acked = 0  # octets of `received` that we acknowledged
        self.waiting: deque[bytes] = deque()
        self.flight: deque[tuple[int, bytes]] = deque()
        self.ack_due = False
        self.fin_wanted = False
        self.fin_sent = False

    # -- what a test says

    def send(self, data: bytes | Iterable[bytes]) -> Connection:
        """Queues pieces, one segment each; they leave with the next settle()."""
        pieces = [data] if isinstance(data, bytes) else list(data)
        for piece in pieces:
            self.waiting += [piece[i : i + MSS] for i in range(0, len(piece), MSS)]
        return self

    def ask(self, data: bytes | Iterable[bytes]) -> bytes:
        """Sends, lets everything settle, and returns what the server has sent since the last ask()."""
        before = len(self.received)
        self.send(data)
        self.net.settle()
        return bytes(self.received[before:])

    def finish(self) -> None:
        """Our FIN, behind everything queued."""
        self.fin_wanted = True
        self.net.settle()

    def ack(self, octets: int | None = None) -> None:
        """Acknowledges what was received: all, or `octets` more of it."""
        most = len(self.received) - self.acked
        self.acked += most if octets is None else min(octets, most)
        self._inject(ACK, self.snd_nxt, b"")
        self.net.settle()

    def resend(self) -> None:
        """Sends again what the server did not take."""
        again, self.flight = self.flight, deque()
        self.waiting.extendleft(reversed([piece for _, piece in again]))
        self.snd_max, self.snd_nxt = max(self.snd_max, self.snd_nxt), self.snd_una
        self.net.settle()

    @property
    def refused(self) -> int:
        """Octets sent that the server has not acknowledged."""
        return self.snd_nxt - self.snd_una

    # -- what the net calls

    def open(self) -> None:
        self._inject(SYN, self.snd_nxt, b"", struct.pack("!BBH", 2, 4, self.mss))
        self.snd_nxt += 1

    def flush(self) -> int:
        """Sends what the server's window allows; returns how many segments left."""
        sent = 0
        while self.established and self.waiting and sent < 64:
            room = self.snd_una + self.peer_window - self.snd_nxt
            if room <= 0:
                break
            piece = self.waiting.popleft()
            if len(piece) > room:
                self.waiting.appendleft(piece[room:])
                piece = piece[:room]
            self.flight.append((self.snd_nxt, piece))
            self._inject(ACK | PSH, self.snd_nxt, piece)
            self.snd_nxt += len(piece)
            sent += 1
        if self.fin_wanted and not self.fin_sent and not self.waiting:
            self._inject(ACK | FIN, self.snd_nxt, b"")
            self.snd_nxt += 1
            self.fin_sent = True
            sent += 1
        if self.ack_due:
            self.ack_due = False
            self._inject(ACK, self.snd_nxt, b"")
        return sent

    def receive(self, segment: bytes) -> None:
        """One checked segment from the server."""
        seq, ack = struct.unpack("!II", segment[4:12])
        flags = segment[13]
        payload = segment[(segment[12] >> 4) * 4 :]
        if flags & RST:
            self.peer_reset = True
            return
        self.peer_window = int.from_bytes(segment[14:16], "big")
        self.windows.append(self.peer_window)
        assert self.snd_una <= ack <= max(self.snd_nxt, self.snd_max), "what was not sent is acknowledged"
        self.snd_una = ack
        while self.snd_nxt < ack:  # behind a hole, and held by the server meanwhile
            piece = self.waiting.popleft()
            taken = min(len(piece), ack - self.snd_nxt)
            self.snd_nxt += taken
            if piece[taken:]:
                self.waiting.appendleft(piece[taken:])
        while self.flight and self.flight[0][0] + len(self.flight[0][1]) <= ack:
            self.flight.popleft()
        if self.flight and self.flight[0][0] < ack:
            start, piece = self.flight[0]
            self.flight[0] = (ack, piece[ack - start :])
        if flags & SYN:
            assert flags == SYN | ACK
            self.peer_isn = seq
            self.rcv_nxt = seq + 1
            self.established = self.ack_due = True
            return
        self._take(seq, flags, payload)

    def _take(self, seq: int, flags: int, payload: bytes) -> None:
        assert not payload or len(payload) <= self.mss
        first = (seq - self.peer_isn - 1) & 0xFFFFFFFF
        known = max(len(self.received) - first, 0)
        assert first <= len(self.received) + self.peer_closed, "a gap in the stream"
        assert not (payload[known:] and self.peer_closed), "octets behind the end"
        assert self.received[first:][: len(payload)] == payload[:known], "not what was sent before"
        payload = payload[known:]
        self.received += payload
        self.rcv_nxt += len(payload)
        if flags & FIN and not self.peer_closed:
            self.peer_closed = True
            self.rcv_nxt += 1
        if self.auto_ack:
            self.acked = len(self.received)
            self.ack_due = self.ack_due or bool(payload) or bool(flags & FIN)

    def _inject(self, flags: int, seq: int, payload: bytes, options: bytes = b"") -> None:
        ack = self.rcv_nxt - (len(self.received) - self.acked) if flags & ACK else 0
        tcp = struct.pack(
            "!HHIIBBHHH",
            self.port,
            PORT,
            seq & 0xFFFFFFFF,
            ack & 0xFFFFFFFF,
            (20 + len(options)) << 2,
            flags,
            self.window,
            0,
            0,
        )
        segment = tcp + options + payload
        pseudo = CLIENT_IP + SERVER_IP + struct.pack("!HH", 6, len(segment))
        segment = segment[:16] + checksum(pseudo + segment) + segment[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0) + CLIENT_IP + SERVER_IP
        ip = ip[:10] + checksum(ip) + ip[12:]
        frame = SERVER_MAC + CLIENT_MAC + b"\x08\x00" + ip + segment
        while not self.net.engine.inject(self.net.driver, frame):
            self.net.turn()


def cut(data: bytes, sizes: Iterator[int]) -> list[bytes]:
    """`data` in pieces of the given sizes."""
    pieces = []
    start = 0
    while start < len(data):
        size = max(1, next(sizes))
        pieces.append(data[start : start + size])
        start += size
    return pieces
