"""A page that the disk has yet to give costs the connections that need it time, the worker none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

from bypass.serve.bodies import BodyReaders
from bypass.site.large import LargeBodies
from tests.engine_http.client import Connection, Net
from tests.engine_http.test_large_bodies import SIZE, WINDOW, get, image, make, pattern

__all__ = ["image", "make"]  # fixtures

CLIENTS = 40
OTHERS = 100
DEADLINE_S = 60.0
TURN_S = 0.05
"""Far beyond what a turn takes, far below what a disk does."""


class Disk:
    """Gives nothing before it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.asked = 0

    def read_into(self, number: int, offset: int, target: memoryview) -> int:
        assert number == 7
        self.asked += 1
        assert self.opened.wait(DEADLINE_S)
        octets = pattern(offset, min(len(target), SIZE - offset))
        target[: len(octets)] = octets
        return len(octets)

    def close(self) -> None:
        """Nothing is open."""


class TimedNet:
    """Notes what each turn of the worker takes of its thread's processor time, and of everybody's."""

    def __init__(self, net: Net) -> None:
        self.longest_s = self.longest_wall_s = 0.0
        self._turn = net.engine.turn
        net.engine = cast("Any", _Timed(net.engine, self))

    def turn(self, now_ns: int) -> int:
        used, started = time.thread_time(), time.monotonic()
        received = self._turn(now_ns)
        self.longest_s = max(self.longest_s, time.thread_time() - used)
        self.longest_wall_s = max(self.longest_wall_s, time.monotonic() - started)
        return received

    def restart(self) -> tuple[float, float]:
        found = self.longest_s, self.longest_wall_s
        self.longest_s = self.longest_wall_s = 0.0
        return found


class _Timed:
    def __init__(self, engine: Any, timed: TimedNet) -> None:
        self._engine = engine
        self.turn = timed.turn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def until(net: Net, done: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < end
        net.settle_bounded(4)
        net.now_ns += 1_000_000


def test_the_worker_serves_others_while_every_reader_is_stuck_in_the_disk(make: Callable[..., Net]) -> None:
    net = make()
    disk = Disk()
    timed = TimedNet(net)
    with closing(BodyReaders(net.engine, print)) as readers:
        readers.register(0, cast("LargeBodies", disk))
        try:
            other = net.connect()
            for _ in range(OTHERS):
                assert other.ask(get("/small.txt")).endswith(b"small\n")
            warm = timed.restart()
            waiting = [ask_part(net, number) for number in range(CLIENTS)]
            until(net, lambda: disk.asked >= 4)
            for _ in range(OTHERS):
                assert other.ask(get("/small.txt")).endswith(b"small\n")
            cold = timed.restart()
            assert not disk.opened.is_set()
            assert not any(map(whole, waiting))
        finally:
            disk.opened.set()
        until(net, lambda: all(whole(client) for client in waiting))
        filling = timed.restart()
    for number, client in enumerate(waiting):
        assert bytes(client.received).endswith(pattern(first_of(number), 3000))
    for name, (used_s, wall_s) in {"no cold page": warm, "cold pages": cold, "filling": filling}.items():
        print(f"longest turn, {name}: {used_s * 1e6:.0f} us of the processor, {wall_s * 1e6:.0f} us")
    assert cold[0] < TURN_S
    assert filling[0] < TURN_S


def first_of(number: int) -> int:
    return number * 7919 % 5 * WINDOW + number * 101


def ask_part(net: Net, number: int) -> Connection:
    connection = net.connect()
    first = first_of(number)
    connection.ask(get("/big.bin", f"Range: bytes={first}-{first + 2999}\r\n"))
    return connection


def whole(client: Connection) -> bool:
    head, found, body = bytes(client.received).partition(b"\r\n\r\n")
    return bool(found) and head.startswith(b"HTTP/1.1 206") and len(body) == 3000
