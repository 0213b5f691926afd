"""A running server on one interface: its parts, put together so that naming targets comes last.

The program is attached early, without targets, because attaching can reset the link and change queues;
until the last step it passes every packet to the kernel. Whatever fails or ends, the way back is the
same: stop the worker, detach, close the sockets.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from bypass.accesslog.writer import AccessLog, sink_for
from bypass.errors import BypassError, UnavailableError
from bypass.nic.quirks import quirks_of
from bypass.serve.bodies import BodyReaders
from bypass.serve.parts import DataPlane, Notice, Parts, Program, Socket, open_log
from bypass.serve.plan import Plan
from bypass.site.outside import Bodies
from bypass.worker import Worker

REFUSALS = {
    "dropped_blocked": "packets of blocked sources",
    "dropped_syn_rate": "connection requests beyond --syn-rate",
    "dropped_own": "packets to an own address that nobody takes",
    "source_limited": "connections beyond --connections-per-source",
    "cookies_sent": "connection requests answered by a SYN cookie",
    "table_full": "connections for which --connections left no room",
    "idle_evicted": "idle connections given up for new ones",
}
"""Counter of the XDP program or of the engine -> what it counts, as a person is told."""


def _unheard(_: str) -> None:
    """For callers that want no notices."""


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """What went through one queue: frames, and how often its driver found no buffer to receive into."""

    queue: int
    received: int
    sent: int
    starved: int


class Server:
    """What is asked of a server while it runs.

    plan: as carried out, over the queues there are. mode: native or generic, as attached.
    """

    def __init__(
        self,
        plan: Plan,
        mode: str,
        engine: DataPlane,
        sockets: Sequence[Socket],
        worker: Worker,
        program: Program,
        interface_usable: Callable[[], bool],
    ) -> None:
        self.plan = plan
        self.mode = mode
        self._interface_usable = interface_usable
        self._engine = engine
        self._sockets = sockets
        self._worker = worker
        self._program = program
        self._unserved: set[int] = set()
        self.access_log: AccessLog | None = None
        self.readers: BodyReaders | None = None

    @property
    def zero_copy(self) -> bool:
        """True when every queue got it, as read back from the kernel."""
        return all(socket.zero_copy for socket in self._sockets)

    @property
    def busy_poll(self) -> str:
        """ "preferred" when every queue has it so, "plain" when it is on without preference, else "no"."""
        had = {socket.busy_poll for socket in self._sockets}
        return next(kind for kind in ("no", "plain", "preferred") if kind in had)

    @property
    def running(self) -> bool:
        return self._worker.running

    @property
    def open_connections(self) -> int:
        return self._engine.open_connections

    def counters(self) -> dict[str, int]:
        return self._engine.counters()

    def offer_image(self, image: memoryview, large: Bodies | None = None) -> bool:
        """Serves `image` from the next turn of the worker on, with the bodies that are not in it; owns these
        when it returns True. False while there is no place for it."""
        if self.readers is not None and large is not None:
            self.readers.register(self._engine.image_serial + 1, large)
        if self._engine.offer_image(image):
            return True
        if self.readers is not None:
            self.readers.withdraw(self._engine.image_serial + 1)
        return False

    @property
    def image_taken(self) -> bool:
        """The image that was offered last is the one served."""
        return self._engine.image_taken

    def images_held(self) -> int:
        """Lets go of images that no response is made from any more; how many are left."""
        held = self._engine.images_held()
        if self.readers is not None:
            self.readers.release()
        return held

    def drain(self) -> None:
        """New connections are refused, idle ones closed; responses under way are finished."""
        self._engine.drain()

    def stop(self) -> None:
        """Ends the worker; what it counted stands still from here on. Safe to call again."""
        self._worker.stop()

    def reopen_log(self) -> None:
        """Opens the access log's file anew, after it was moved away."""
        if self.access_log is not None:
            self.access_log.reopen()

    def frames_lost(self) -> int:
        """After stop(): packet buffers that are in no pool, ring or hand. 0 unless something is wrong."""
        return self._engine.frames_lost()

    def queue_totals(self) -> list[QueueTotals]:
        totals = []
        for queue, socket in zip(self.plan.queues, self._sockets, strict=True):
            counts = socket.statistics()
            figures = (counts[name] for name in ("rx_frames", "tx_frames", "rx_fill_ring_empty_descs"))
            totals.append(QueueTotals(queue, *figures))
        return totals

    def refused(self) -> dict[str, int]:
        """What was kept out, in words: by the XDP program, and by the limits of the engine."""
        totals = self._program.counters() | self._engine.counters()
        return {words: totals.get(name, 0) for name, words in REFUSALS.items()}

    def newly_unserved(self) -> list[int]:
        """Queues on which packets for us met no socket, each named once."""
        new = sorted(set(self._program.unserved()) - self._unserved)
        self._unserved.update(new)
        return new

    def require_alive(self) -> None:
        """Raises what ended the worker, if something did, and when the interface is gone.

        An idle or spinning worker makes no system call that would tell it of that.
        """
        failure = self._worker.failure
        if isinstance(failure, BaseException):
            raise failure
        if failure is not None:
            raise _dead_socket(self.plan.interface.name, failure)
        if not self._interface_usable():
            raise _dead_socket(self.plan.interface.name, errno.ENODEV)


@contextmanager
def open_server(
    plan: Plan,
    image: memoryview,
    parts: Parts,
    notice: Notice = _unheard,
    large: Bodies | None = None,
) -> Iterator[Server]:
    """Serves `image` from entry to exit. Raises BypassError; then nothing is left attached or open.

    large: the bodies that are not in the image; they are closed at the end.
    notice: is told, before the yield, what is had in place of what was hoped for.
    """
    with ExitStack() as stack:
        sink = sink_for(plan.log.target) if plan.log else None
        claim = stack.enter_context(parts.claim(plan.interface, plan.own_addresses))
        program = stack.enter_context(parts.program())
        program.load(max_queues=plan.map_entries)
        effects = parts.effects(plan)
        stack.callback(effects.undo)
        stack.callback(program.detach)
        mode = _attach(program, plan, notice)
        plan = _for_mode(effects.settle(notice), mode)
        sockets = [stack.enter_context(closing(parts.socket(plan, queue, notice))) for queue in plan.queues]
        engine = parts.engine(plan, image, sockets)
        for queue, socket in zip(plan.queues, sockets, strict=True):
            program.register(queue, socket.fd)
        worker = Worker(engine, spin_ns=plan.poll.spin_ns, sleep_ms=plan.poll.sleep_ms, cpu=plan.cpu)
        usable = partial(parts.interface_usable, plan.interface)
        server = Server(plan, mode, engine, sockets, worker, program, usable)
        if plan.windows:
            server.readers = stack.enter_context(closing(BodyReaders(engine, notice)))
            server.readers.register(0, large)
        if plan.log and sink:
            server.access_log = stack.enter_context(closing(open_log(engine, plan.log, sink, notice)))
        stack.callback(program.detach)
        stack.callback(worker.stop)
        worker.start()
        fill_maps(program, plan)
        claim.announce()
        yield server


def fill_maps(program: Program, plan: Plan) -> None:
    """What the XDP program steers to us, and whom it keeps out. Naming the targets comes last: from then on
    packets are ours."""
    for prefix in plan.blocked:
        program.block(prefix)
    program.set_syn_limit(plan.syn_rate, burst=plan.syn_rate)
    program.set_own_addresses(plan.own_addresses)
    program.set_targets(plan.addresses, plan.port)


def _attach(program: Program, plan: Plan, notice: Notice) -> str:
    """Returns the mode. Generic is no substitute where zero-copy is insisted on."""
    wanted = "native" if plan.zero_copy else plan.mode
    mode = program.attach(plan.interface.index, plan.interface.name, wanted)
    if mode != wanted and mode == "generic":
        refusal = quirks_of(plan.driver).attach_refusal
        notice(
            f"{plan.interface.name}: {plan.driver} refused native XDP"
            + (f" ({refusal})" if refusal else "")
            + "; the generic way is slower"
        )
    return mode


def _for_mode(plan: Plan, mode: str) -> Plan:
    """A generic program hands over copies, whatever the socket is bound as."""
    return replace(plan, zero_copy=False) if mode == "generic" else plan


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
