"""A server's life from attached to drained: waits for a stop, lets responses finish, counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bypass.serve.notify import notify
from bypass.serve.server import Server
from bypass.serve.signals import StopRequest

_LOOK_S = 0.2
_DRAIN_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run amounted to. `left_open`: connections cut off at the end of draining."""

    requests: int
    sent_bytes: int
    seconds: float
    left_open: int


def serve_until_stopped(
    server: Server,
    stop: StopRequest,
    drain_timeout_s: float,
    each_second: Callable[[float], None] | None = None,
) -> Summary:
    """Returns after a stop request and draining. UnavailableError when the worker dies before.

    each_second: called about once per second with the seconds since the last call.
    """
    started = last = time.monotonic()
    stop.attend()
    notify(READY="1", STATUS=f"serving {' '.join(server.plan.urls)}")
    while not stop.wait(_LOOK_S):
        _require_running(server)
        now = time.monotonic()
        if each_second is not None and now - last >= 1.0:
            each_second(now - last)
            last = now
    notify(STOPPING="1", STATUS="draining")
    left_open = _drain(server, stop, drain_timeout_s)
    counters = server.counters()
    return Summary(
        requests=counters.get("requests", 0),
        sent_bytes=counters.get("tx_octets", 0),
        seconds=time.monotonic() - started,
        left_open=left_open,
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
