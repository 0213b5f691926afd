"""Opens the AF_XDP socket of one queue: zero-copy, copy, or the better of the two that works.

A fall-back is said, never silent. Knows nothing of the engine.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from bypass._engine import XdpSocket
from bypass.serve.plan import RX_FRAMES, TX_FRAMES, Plan
from bypass.xdp.socket_errors import SocketRequest, explain, open_with_retry, stage_of

BUSY_POLL_US = 20
_CHECK_MS = 200
_CHECK_FRAMES = 8
_REFUSALS = {errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.ENOMEM}
# Ethernet Configuration Testing Protocol, to and from ourselves: a switch drops what would go back to
# the port it came from, and no host takes it.
_LOOPBACK_ETHERTYPE = b"\x90\x00"
_SHORTEST_FRAME_BYTES = 60


def open_socket(plan: Plan, queue: int, notice: Callable[[str], None]) -> XdpSocket:
    """BypassError when it cannot be had as asked for. notice: is told what was had instead."""
    socket = _in_best_mode(plan, queue, notice)
    if plan.busy_poll:
        _check_busy_poll(plan, queue, socket, notice)
    return socket


def _in_best_mode(plan: Plan, queue: int, notice: Callable[[str], None]) -> XdpSocket:
    if plan.zero_copy is not None or not plan.offers_zero_copy:
        # Where the kernel does not say what the driver offers, it also makes the choice.
        wanted = False if plan.zero_copy is None and plan.offers_zero_copy is False else plan.zero_copy
        return open_with_retry(lambda: _open(plan, queue, wanted), _request(plan, queue, plan.zero_copy))
    try:
        return open_with_retry(lambda: _open(plan, queue, True))
    except OSError as error:
        request = _request(plan, queue, True)
        if stage_of(error) != "bind" or error.errno not in _REFUSALS:
            raise explain(error, request) from error
        refusal = explain(error, request)
        notice(f"{refusal.what}: {refusal.why}; packets are copied")
    return open_with_retry(lambda: _open(plan, queue, False), _request(plan, queue, False))


def _open(plan: Plan, queue: int, zero_copy: bool | None) -> XdpSocket:
    return XdpSocket(
        ifindex=plan.interface.index,
        queue=queue,
        rx_frames=RX_FRAMES,
        tx_frames=TX_FRAMES,
        frame_bytes=plan.frame_bytes,
        zero_copy=zero_copy,
        busy_poll_us=BUSY_POLL_US if plan.busy_poll else 0,
    )


def _request(plan: Plan, queue: int, zero_copy: bool | None) -> SocketRequest:
    return SocketRequest(
        ifname=plan.interface.name,
        queue=queue,
        umem_bytes=plan.locked_bytes // len(plan.queues),
        zero_copy=zero_copy,
        driver=plan.driver,
    )


def _check_busy_poll(plan: Plan, queue: int, socket: XdpSocket, notice: Callable[[str], None]) -> None:
    """Preferred busy polling serves the receive side's NAPI context alone. Where transmit has its own,
    nothing ever leaves, which only a frame that is sent can tell."""
    name = f"{plan.interface.name} queue {queue}"
    if socket.busy_poll == "no":
        notice(f"{name}: the kernel refused busy polling; interrupts are used")
        return
    mac = plan.interface.mac
    frame = (mac + mac + _LOOPBACK_ETHERTYPE).ljust(_SHORTEST_FRAME_BYTES, b"\0")
    if not socket.verify_busy_poll(frame, repeats=_CHECK_FRAMES, timeout_ms=_CHECK_MS):
        notice(
            f"{name}: frames do not leave with preferred busy polling, as where {plan.driver} serves receive"
            " and transmit apart; polling without preference"
        )
