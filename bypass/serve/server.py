"""A running server on one interface: its parts, put together so that attaching comes last.

Until the last step the kernel sees every packet as before. Whatever fails or ends, the way back is
the same: stop the worker, detach, close the sockets.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from bypass.errors import BypassError, UnavailableError
from bypass.serve.parts import DataPlane, Parts, Program, Socket
from bypass.serve.plan import Plan
from bypass.worker import Worker


class Server:
    """What is asked of a server while it runs. `mode` is native or generic, as attached."""

    def __init__(
        self,
        plan: Plan,
        engine: DataPlane,
        sockets: Sequence[Socket],
        worker: Worker,
        interface_exists: Callable[[], bool],
    ) -> None:
        self.plan = plan
        self._interface_exists = interface_exists
        self.mode = ""
        self._engine = engine
        self._sockets = sockets
        self._worker = worker

    @property
    def zero_copy(self) -> bool:
        """True when every queue got it, as read back from the kernel."""
        return all(socket.zero_copy for socket in self._sockets)

    @property
    def running(self) -> bool:
        return self._worker.running

    @property
    def open_connections(self) -> int:
        return self._engine.open_connections

    def counters(self) -> dict[str, int]:
        return self._engine.counters()

    def drain(self) -> None:
        """New connections are refused, idle ones closed; responses under way are finished."""
        self._engine.drain()

    def require_alive(self) -> None:
        """Raises what ended the worker, if something did, and when the interface is gone.

        An idle or spinning worker makes no system call that would tell it of that.
        """
        failure = self._worker.failure
        if isinstance(failure, BaseException):
            raise failure
        if failure is not None:
            raise _dead_socket(self.plan.interface.name, failure)
        if not self._interface_exists():
            raise _dead_socket(self.plan.interface.name, errno.ENODEV)


@contextmanager
def open_server(plan: Plan, image: memoryview, parts: Parts) -> Iterator[Server]:
    """Serves `image` from entry to exit. Raises BypassError; then nothing is left attached or open."""
    with ExitStack() as stack:
        claim = stack.enter_context(parts.claim(plan.interface, plan.own_addresses))
        program = stack.enter_context(parts.program())
        program.load(max_queues=max(plan.queues) + 1)
        sockets = [stack.enter_context(closing(parts.socket(plan, queue))) for queue in plan.queues]
        engine = parts.engine(plan, image, sockets)
        for queue, socket in zip(plan.queues, sockets, strict=True):
            program.register(queue, socket.fd)
        fill_maps(program, plan)
        worker = Worker(engine, spin_ns=plan.poll.spin_ns, sleep_ms=plan.poll.sleep_ms, cpu=plan.cpu)
        server = Server(plan, engine, sockets, worker, lambda: parts.interface_exists(plan.interface))
        stack.callback(program.detach)
        stack.callback(worker.stop)
        worker.start()
        server.mode = program.attach(plan.interface.index, plan.interface.name, plan.mode)
        claim.announce()
        yield server


def fill_maps(program: Program, plan: Plan) -> None:
    """What the XDP program steers to us, and whom it keeps out."""
    for prefix in plan.blocked:
        program.block(prefix)
    program.set_syn_limit(plan.syn_rate, burst=plan.syn_rate)
    program.set_own_addresses(plan.own_addresses)
    program.set_targets(plan.addresses, plan.port)


def _dead_socket(interface: str, number: int) -> BypassError:
    name = errno.errorcode.get(number, str(number))
    if number in (errno.ENXIO, errno.ENETDOWN, errno.ENODEV, errno.EBADF):
        return UnavailableError(
            f"{interface}: the interface went away or down while serving ({name})",
            remedy="Bring it back up and start again.",
        )
    return UnavailableError(
        f"{interface}: the AF_XDP socket failed while serving ({name})", why=os.strerror(number)
    )
