"""Tries it: the XDP program attached, and a socket bound, in each mode. Everything is put back.

The program gets no targets, so every packet goes to the kernel as before. What a driver does when a
program is attached it does here too: some reset the link for a second or two (docs/drivers.md).
"""

from __future__ import annotations

from contextlib import ExitStack, closing

from bypass._engine import XdpSocket
from bypass.check.finding import Finding, from_error
from bypass.config import ServeOptions
from bypass.errors import BypassError
from bypass.serve.effects import AttachEffects
from bypass.serve.interface import Interface
from bypass.serve.plan import Plan, make_plan
from bypass.serve.signals import StopRequest
from bypass.xdp.features import Device
from bypass.xdp.program import RedirectProgram
from bypass.xdp.socket_errors import SocketRequest, explain, open_with_retry

_FRAMES = 64
"""Of either direction: a trial needs few, and must not fail for want of memory."""


def try_modes(interface: Interface, device: Device, stop: StopRequest) -> list[Finding]:
    """One finding for each way of serving: native with zero-copy, native with copies, generic."""
    plan = make_plan(ServeOptions(), interface, device.driver, device.rx_queues, device.tx_queues)
    findings = []
    for mode, memories in (("native", (True, False)), ("generic", (False,))):
        stop.check()
        findings += _try_mode(plan, mode, memories)
    return _judged(findings)


def _judged(findings: list[Finding]) -> list[Finding]:
    """A way that fails keeps nobody from serving while another one works."""
    if not any(finding.level == "ok" for finding in findings):
        return findings
    return [
        Finding(
            id=one.id,
            level="note" if one.level == "problem" else one.level,
            subject=one.subject,
            what=one.what,
            why=one.why,
        )
        for one in findings
    ]


def _try_mode(plan: Plan, mode: str, memories: tuple[bool, ...]) -> list[Finding]:
    name = plan.interface.name
    with ExitStack() as stack:
        program = stack.enter_context(RedirectProgram())
        effects = AttachEffects(plan)
        stack.callback(effects.undo)
        stack.callback(program.detach)
        try:
            program.load(max_queues=plan.map_entries)
            program.attach(plan.interface.index, name, mode)
        except BypassError as error:
            return [from_error(f"trial-{mode}", name, error)]
        notices: list[str] = []
        effects.settle(notices.append)
        findings = [_note(mode, name, notice) for notice in notices]
        return findings + [_try_socket(plan, mode, zero_copy) for zero_copy in memories]


def _note(mode: str, name: str, notice: str) -> Finding:
    return Finding(id=f"trial-{mode}", level="warning", subject=name, what=notice)


def _try_socket(plan: Plan, mode: str, zero_copy: bool) -> Finding:
    name, queue = plan.interface.name, plan.queues[0]
    memory = "zero-copy" if zero_copy else "copy"
    id = f"trial-{mode}-{memory}"
    request = SocketRequest(
        ifname=name,
        queue=queue,
        umem_bytes=2 * _FRAMES * plan.frame_bytes,
        zero_copy=zero_copy,
        driver=plan.driver,
    )
    try:
        with closing(open_with_retry(lambda: _open(plan, queue, zero_copy))) as socket:
            got = "zero-copy" if socket.zero_copy else "copy"
    except OSError as error:
        return from_error(id, name, explain(error, request))
    return Finding(
        id=id,
        level="ok",
        subject=name,
        what=f"tried on queue {queue}: {mode} mode, {got}, as the kernel says",
    )


def _open(plan: Plan, queue: int, zero_copy: bool) -> XdpSocket:
    return XdpSocket(
        ifindex=plan.interface.index,
        queue=queue,
        rx_frames=_FRAMES,
        tx_frames=_FRAMES,
        frame_bytes=plan.frame_bytes,
        zero_copy=zero_copy,
    )
