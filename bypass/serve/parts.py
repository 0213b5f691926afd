"""What a server is put together from, as protocols; `kernel_parts()` are the real ones.

Tests put others in their place and make any of them fail at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Protocol

from bypass.accesslog.writer import AccessLog, Sink
from bypass.serve.claim import claim
from bypass.serve.interface import Address, Interface, still_usable
from bypass.serve.plan import LogPlan, Plan
from bypass.worker import Runnable

if TYPE_CHECKING:
    from bypass._engine import LogFormat

Notice = Callable[[str], None]
"""Is told, in a sentence, of something that works less well than hoped."""


class Program(Protocol):
    """bypass.xdp.program.RedirectProgram. attach() returns "native" or "generic"."""

    def load(self, max_queues: int) -> None: ...

    def set_targets(self, addresses: Iterable[Address], port: int) -> None: ...

    def set_own_addresses(self, addresses: Iterable[Address]) -> None: ...

    def block(self, prefix: IPv4Network | IPv6Network) -> None: ...

    def set_syn_limit(self, rate_per_s: int, burst: int) -> None: ...

    def register(self, queue: int, socket_fd: int) -> None: ...

    def attach(self, ifindex: int, ifname: str, mode: str) -> str: ...

    def counters(self) -> dict[str, int]: ...

    def unserved(self) -> dict[int, int]: ...

    def detach(self) -> None: ...


class Effects(Protocol):
    """bypass.serve.effects.AttachEffects."""

    def settle(self, notice: Notice) -> Plan: ...

    def undo(self) -> None: ...


class Socket(Protocol):
    """bypass._engine.XdpSocket."""

    @property
    def fd(self) -> int: ...

    @property
    def zero_copy(self) -> bool: ...

    @property
    def busy_poll(self) -> str: ...

    def statistics(self) -> dict[str, int]: ...

    def close(self) -> None: ...


class DataPlane(Runnable, Protocol):
    """bypass._engine.Engine."""

    def drain(self) -> None: ...

    def offer_image(self, image: memoryview) -> bool: ...

    @property
    def image_taken(self) -> bool: ...

    def images_held(self) -> int: ...

    @property
    def image_serial(self) -> int: ...

    def image_serials(self) -> set[int]: ...

    def wake_readers(self, fd: int) -> None: ...

    def next_window(self) -> tuple[int, int, int, int] | None: ...

    def window_memory(self, window: int) -> memoryview: ...

    def sum_window(self, window: int, octets: int) -> None: ...

    def finish_window(self, window: int, sound: bool) -> None: ...

    def format_log(self, form: LogFormat, out: memoryview) -> tuple[int, int]: ...

    def counters(self) -> dict[str, int]: ...

    @property
    def open_connections(self) -> int: ...

    def frames_lost(self) -> int: ...


class Claim(Protocol):
    """bypass.serve.claim: addresses of our own, found to be nobody else's."""

    def announce(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """How each part is made. `engine` is given the sockets that it polls."""

    claim: Callable[[Interface, Sequence[Address]], AbstractContextManager[Claim]]
    interface_usable: Callable[[Interface], bool]
    program: Callable[[], AbstractContextManager[Program]]
    effects: Callable[[Plan], Effects]
    socket: Callable[[Plan, int, Notice], Socket]
    engine: Callable[[Plan, memoryview, Sequence[Socket]], DataPlane]


def open_log(engine: DataPlane, plan: LogPlan, sink: Sink, notice: Notice) -> AccessLog:
    """The thread that writes what `engine` logs."""
    from bypass._engine import LogFormat

    form = LogFormat(plan.form.pieces, json=plan.form.json)
    return AccessLog(
        partial(engine.format_log, form), form.line_bytes_most, sink, notice, lossless=plan.lossless
    )


def kernel_parts() -> Parts:
    """AF_XDP sockets, the XDP program and the engine."""
    from bypass.serve.effects import AttachEffects
    from bypass.serve.sockets import open_socket
    from bypass.xdp.program import RedirectProgram

    return Parts(
        claim=claim,
        interface_usable=still_usable,
        program=RedirectProgram,
        effects=AttachEffects,
        socket=open_socket,
        engine=_make_engine,
    )


def _make_engine(plan: Plan, image: memoryview, sockets: Sequence[Socket]) -> DataPlane:
    import secrets

    from bypass._engine import Engine, XdpSocket

    engine = Engine(
        image=image,
        addresses=[address.packed for address in plan.addresses],
        own_addresses=[address.packed for address in plan.own_addresses],
        port=plan.port,
        secret=secrets.token_bytes(32),
        mtu=plan.interface.mtu_bytes,
        connections=plan.connections,
        congestion=plan.congestion,
        connections_per_source=plan.connections_per_source,
        idle_timeout_ns=plan.idle_timeout_ns,
        accept_partial_checksums=plan.accept_partial_checksums,
        windows=plan.windows,
        log_bytes=plan.log.ring_bytes if plan.log else 0,
        log_lossless=plan.log is not None and plan.log.lossless,
        log_fields=plan.log is not None and plan.log.form.wants_fields,
    )
    for socket in sockets:
        assert isinstance(socket, XdpSocket)
        engine.add_socket(socket, mac=plan.interface.mac)
    return engine
