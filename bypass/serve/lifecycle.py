"""A server's life from attached to drained: waits for a stop, lets responses finish, counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bypass.serve.notify import notify
from bypass.serve.server import QueueTotals, Server
from bypass.serve.signals import StopRequest

_LOOK_S = 0.2
_DRAIN_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run amounted to.

    left_open: connections cut off at the end of draining. frames_lost: packet buffers that leaked.
    refused: what was kept out, in words, and how often. log_dropped: lines that the access log had no room
    for.
    """

    requests: int
    sent_bytes: int
    seconds: float
    left_open: int
    frames_lost: int
    queues: tuple[QueueTotals, ...]
    refused: Mapping[str, int]
    log_dropped: int = 0


def serve_until_stopped(
    server: Server,
    stop: StopRequest,
    drain_timeout_s: float,
    each_second: Callable[[float], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Summary:
    """Returns after a stop request and draining. UnavailableError when the worker dies before.

    each_second: called about once per second with the seconds since the last call. warn: is told of
    queues where packets arrive and no socket is.
    """
    started = last = time.monotonic()
    stop.attend()
    notify(READY="1", STATUS=f"serving {' '.join(server.plan.urls)}")
    while not stop.wait(_LOOK_S):
        _require_running(server)
        now = time.monotonic()
        if now - last >= 1.0:
            server.images_held()
            if each_second is not None:
                each_second(now - last)
            if warn is not None:
                _warn_of_unserved(server, warn)
            last = now
    notify(STOPPING="1", STATUS="draining")
    left_open = _drain(server, stop, drain_timeout_s)
    server.stop()
    counters = server.counters()
    return Summary(
        requests=counters.get("requests", 0),
        sent_bytes=counters.get("tx_octets", 0),
        seconds=time.monotonic() - started,
        left_open=left_open,
        frames_lost=server.frames_lost(),
        queues=tuple(server.queue_totals()),
        refused=server.refused(),
        log_dropped=counters.get("log_dropped", 0),
    )


def _warn_of_unserved(server: Server, warn: Callable[[str], None]) -> None:
    name, queues = server.plan.interface.name, server.plan.queues
    for queue in server.newly_unserved():
        warn(
            f"{name} queue {queue}: packets for us arrive there and no socket takes them, so the kernel"
            f" answers; serve it with --queue {queue}, or keep flows off it:"
            f" ethtool -X {name} equal {len(queues)}"
        )


def _require_running(server: Server) -> None:
    server.require_alive()
    if not server.running:
        raise RuntimeError("the worker ended without being asked to")


def _drain(server: Server, stop: StopRequest, timeout_s: float) -> int:
    """How many connections are still open when nothing more is waited for."""
    server.drain()
    deadline = time.monotonic() + timeout_s
    while server.open_connections and server.running and not stop.urgent and time.monotonic() < deadline:
        time.sleep(_DRAIN_LOOK_S)
    return server.open_connections
