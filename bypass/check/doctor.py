"""`bypass check [IF]` put together: what is looked at, and what is tried, in which order."""

from __future__ import annotations

from bypass.check.finding import Finding
from bypass.check.interface import Examined, examine_interface
from bypass.check.machine import examine_machine, is_privileged
from bypass.check.trial import try_modes
from bypass.check.trip import make_trip
from bypass.serve.interface import default_route_interfaces
from bypass.serve.signals import StopRequest


def examine(name: str | None, trial: bool | None, stop: StopRequest) -> list[Finding]:
    """The machine, a trip over a pair of its own, and the interface with a trial on it.

    trial: True insists, False forbids; None tries where attaching a program for a moment can do no harm.
    """
    command = f"bypass check {name}" if name else "bypass check"
    findings = examine_machine(command)
    privileged = is_privileged()
    if privileged:
        findings.append(make_trip(stop))
    else:
        findings.append(_untried("trip", "machine", "no packet was sent", f"Run it as root: sudo {command}"))
    if name:
        examined = examine_interface(name)
        findings += examined.findings
        findings += _trial(examined, trial, privileged, stop)
    return findings


def _trial(examined: Examined, trial: bool | None, privileged: bool, stop: StopRequest) -> list[Finding]:
    reason, remedy = _objection(examined, trial, privileged)
    if reason:
        return [_untried("trial", examined.name, f"nothing was tried: {reason}", remedy)]
    assert examined.interface is not None
    assert examined.device is not None
    return try_modes(examined.interface, examined.device, stop)


def _objection(examined: Examined, trial: bool | None, privileged: bool) -> tuple[str, str]:
    """Why no trial is made, and what to do; empty where one can be."""
    if trial is False:
        return "--no-trial", ""
    if examined.attached:
        return "an XDP program is attached", ""
    if not examined.serves:
        return "what is named above comes first", ""
    if not privileged:
        return "that takes root", f"sudo bypass check {examined.name}"
    if trial is None and examined.name in default_route_interfaces():
        remedy = f"sudo bypass check {examined.name} --trial"
        return "the default route goes over it, and attaching can reset its link for a moment", remedy
    return "", ""


def _untried(id: str, subject: str, what: str, remedy: str) -> Finding:
    return Finding(id=id, level="note", subject=subject, what=what, remedy=remedy)
