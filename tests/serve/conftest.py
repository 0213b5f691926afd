"""Parts of a server that only write down what happens to them, and fail where a test wants it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from bypass.config import ServeOptions
from bypass.serve.interface import Address, Interface
from bypass.serve.parts import Notice, Parts, Socket
from bypass.serve.plan import Plan, make_plan


def make_interface(
    name: str = "eth7",
    mtu_bytes: int = 1500,
    addresses: Sequence[str] = ("10.0.0.1", "fe80::1"),
    **other: bool,
) -> Interface:
    return Interface(
        name=name,
        index=7,
        up=other.get("up", True),
        carrier=other.get("carrier", True),
        ethernet=other.get("ethernet", True),
        mac=bytes(6),
        mtu_bytes=mtu_bytes,
        addresses=tuple(map(ip_address, addresses)),
    )


def plan_for(
    queues: int = 2, driver: str = "veth", interface: Interface | None = None, **options: object
) -> Plan:
    return make_plan(ServeOptions(**options), interface or make_interface(), driver, queues, queues)  # type: ignore[arg-type]


class Boom(Exception):
    """The failure that a test asked for."""


class FakeParts:
    """`log` is what happened, in order. The step named `fail_at` raises Boom."""

    def __init__(self, fail_at: str = "") -> None:
        self.log: list[str] = []
        self.fail_at = fail_at
        self.engine_status = 0
        self.interface_usable = True
        self.attached_as = "native"
        self.unserved_queues: dict[int, int] = {}
        self.lost = 0
        self.settled_queues: tuple[int, ...] = ()
        self.stopped = threading.Event()
        self.draining = False
        self.offered: list[bytes] = []
        self.looked = 0
        self.log_lines = b""
        self.connections = 0
        self.any_image = False

    def parts(self) -> Parts:
        return Parts(
            claim=self._claim,
            interface_usable=lambda _: self.interface_usable,
            program=self._program,
            effects=lambda plan: FakeEffects(self, plan),
            socket=self._socket,
            engine=self._engine,
        )

    def step(self, name: str) -> None:
        self.log.append(name)
        if name == self.fail_at:
            raise Boom(name)

    @contextmanager
    def _claim(self, interface: Interface, addresses: Sequence[Address]) -> Iterator[FakeParts]:
        assert interface.index == 7
        self.step(f"claim {len(addresses)}")
        try:
            yield self
        finally:
            self.log.append("give up")

    def announce(self) -> None:
        self.step("announce")

    @contextmanager
    def _program(self) -> Iterator[FakeParts]:
        try:
            yield self
        finally:
            self.log.append("unload")

    def load(self, max_queues: int) -> None:
        self.step(f"load {max_queues}")

    def _socket(self, plan: Plan, queue: int, notice: Notice) -> Socket:
        self.socket_plan = plan
        assert plan.interface.index == 7
        self.step(f"open {queue}")
        return FakeSocket(self, queue)

    def _engine(self, plan: Plan, image: memoryview, sockets: Sequence[Socket]) -> FakeParts:
        assert len(sockets) == len(plan.queues)
        assert self.any_image or bytes(image) == b"image"
        self.step("engine")
        return self

    def set_targets(self, addresses: Iterable[Address], port: int) -> None:
        self.step(f"targets {len(list(addresses))} {port}")

    def set_own_addresses(self, addresses: Iterable[Address]) -> None:
        self.step(f"own {len(list(addresses))}")

    def block(self, prefix: IPv4Network | IPv6Network) -> None:
        self.step(f"block {prefix}")

    def set_syn_limit(self, rate_per_s: int, burst: int) -> None:
        self.step(f"limit {rate_per_s} {burst}")

    def register(self, queue: int, socket_fd: int) -> None:
        assert socket_fd == 100 + queue
        self.step(f"register {queue}")

    def attach(self, ifindex: int, ifname: str, mode: str) -> str:
        self.step(f"attach {ifname} {mode}")
        assert ifindex == 7
        return self.attached_as

    def unserved(self) -> dict[int, int]:
        return self.unserved_queues

    def detach(self) -> None:
        self.log.append("detach")

    def run(self, *, spin_ns: int, sleep_ms: int, cpu: int = -1) -> int:
        assert (spin_ns, sleep_ms, cpu) != (None, None, None)
        if self.engine_status == 0:
            assert self.stopped.wait(10)
        return self.engine_status

    def stop(self) -> None:
        self.log.append("stop")
        self.stopped.set()

    def drain(self) -> None:
        self.draining = True

    def offer_image(self, image: memoryview) -> bool:
        self.offered.append(bytes(image))
        return True

    @property
    def image_taken(self) -> bool:
        return True

    def images_held(self) -> int:
        self.looked += 1
        return 1

    image_serial = 0

    def image_serials(self) -> set[int]:
        return {0}

    def wake_readers(self, fd: int) -> None:
        """Nothing is ever wanted."""

    def next_window(self) -> None:
        return None

    def window_memory(self, window: int) -> memoryview:
        raise AssertionError(window)

    def sum_window(self, window: int, octets: int) -> None:
        raise AssertionError(window)

    def finish_window(self, window: int, sound: bool) -> None:
        raise AssertionError(window)

    def format_log(self, form: object, out: memoryview) -> tuple[int, int]:
        line, self.log_lines = self.log_lines, b""
        out[: len(line)] = line
        return len(line), line.count(b"\n")

    def counters(self) -> dict[str, int]:
        """Of the program and of the engine alike."""
        return {"requests": 12, "tx_octets": 3400, "dropped_blocked": 7, "source_limited": 2}

    def frames_lost(self) -> int:
        return self.lost

    @property
    def open_connections(self) -> int:
        return self.connections


class FakeEffects:
    """What attaching does besides: the queues become `settled_queues`, where that is set."""

    def __init__(self, parts: FakeParts, plan: Plan) -> None:
        self._parts = parts
        self._plan = plan
        parts.step("look")

    def settle(self, notice: Notice) -> Plan:
        self._parts.step("settle")
        notice("settled")
        return dataclasses.replace(self._plan, queues=self._parts.settled_queues or self._plan.queues)

    def undo(self) -> None:
        self._parts.log.append("undo")


class FakeSocket:
    """One of FakeParts' sockets."""

    def __init__(self, parts: FakeParts, queue: int) -> None:
        self._parts = parts
        self._queue = queue
        self.fd = 100 + queue
        self.zero_copy = False
        self.busy_poll = "no"

    def statistics(self) -> dict[str, int]:
        return {"rx_frames": 10 + self._queue, "tx_frames": 20 + self._queue, "rx_fill_ring_empty_descs": 1}

    def close(self) -> None:
        self._parts.log.append(f"close {self._queue}")


@pytest.fixture
def fake() -> FakeParts:
    return FakeParts()
