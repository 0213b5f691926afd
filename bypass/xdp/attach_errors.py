"""What to tell a person when the XDP program cannot be loaded or attached."""

from __future__ import annotations

import errno
import socket

from bypass.errors import BypassError, PrivilegeError, UnavailableError, errno_name
from bypass.nic.quirks import quirks_of
from bypass.xdp import libbpf
from bypass.xdp.features import read_device
from bypass.xdp.libbpf import LibbpfError

_GENERIC_REMEDY = "Use '--mode generic', which works with every driver but is slower"


def load_error(error: LibbpfError) -> BypassError:
    """An error from opening or loading the object."""
    name = errno_name(error.errno)
    if error.errno in (errno.EPERM, errno.EACCES) and "verifier" not in error.log.lower():
        return PrivilegeError(
            f"loading the XDP program failed ({name})",
            why="this needs the capabilities CAP_BPF and CAP_NET_ADMIN",
            remedy="Run as root, or give the service both capabilities",
        )
    if error.errno == errno.ENOSYS:
        return UnavailableError(
            f"loading the XDP program failed ({name})",
            why="this kernel has no bpf() system call",
            remedy="Use a kernel built with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS",
        )
    detail = f"{error.call} said:\n{error.log}" if error.log else f"{error.call} gave no reason"
    return BypassError(f"loading the XDP program failed ({name})", why=detail)


def attach_error(error: LibbpfError, ifindex: int, ifname: str, mode: str) -> BypassError:
    """An error from attaching to an interface in one mode ("native" or "generic")."""
    what = f"{ifname}: attaching the XDP program in {mode} mode failed ({errno_name(error.errno)})"
    code = error.errno
    if code in (errno.EBUSY, errno.EEXIST):
        return _conflict(what, ifindex, ifname)
    if code in (errno.EPERM, errno.EACCES):
        return PrivilegeError(
            what,
            why="this needs the capabilities CAP_BPF and CAP_NET_ADMIN",
            remedy="Run as root, or give the service both capabilities",
        )
    if not _exists(ifindex):
        code = errno.ENODEV  # the kernel says EINVAL
    why, remedy = _REFUSALS.get(code or 0, ("", ""))
    if code == errno.EOPNOTSUPP:
        why = _attach_refusal(ifname) or why
    return UnavailableError(what, why=why, remedy=remedy)


_REFUSALS = {
    errno.EOPNOTSUPP: ("the driver cannot run XDP programs as it is set up now", _GENERIC_REMEDY),
    errno.ERANGE: (
        "the MTU is too large for native XDP (on a veth pair, that of the other end counts)",
        f"Lower the MTU to 1500. {_GENERIC_REMEDY}",
    ),
    errno.ENOSPC: (
        "a veth end needs at least as many receive queues as its peer has transmit queues",
        f"Create the pair with equal queue counts. {_GENERIC_REMEDY}",
    ),
    errno.EINVAL: ("the driver refuses XDP with its present settings (MTU, LRO, queues)", _GENERIC_REMEDY),
    errno.ENOMEM: ("the driver has not enough memory or queues for native XDP", _GENERIC_REMEDY),
    errno.ENODEV: ("there is no such interface any more", "Check 'ip link'"),
}


def _conflict(what: str, ifindex: int, ifname: str) -> UnavailableError:
    """Another program is there: which one, and how to get rid of it."""
    try:
        attached = libbpf.query_xdp(ifindex)
    except LibbpfError:
        attached = None
    if attached is None:
        return UnavailableError(
            what,
            why="another XDP program was attached a moment ago",
            remedy="Try again; 'ip link show' names a program that is attached",
        )
    identity = f"XDP program {attached.program_id}"
    try:
        identity += f" ({libbpf.program_name(attached.program_id)})"
    except LibbpfError:
        identity += " (its name takes CAP_SYS_ADMIN to read)"
    return UnavailableError(
        what,
        why=f"{identity} is attached there already, in {attached.mode.name.lower()} mode",
        remedy=(
            "Stop the program that owns it; if nothing owns it any more, "
            f"'ip link set dev {ifname} xdp off' or 'xdpgeneric off' removes it"
        ),
    )


def _attach_refusal(ifname: str) -> str:
    """What is known of this driver's refusals, or nothing."""
    try:
        return quirks_of(read_device(ifname).driver).attach_refusal
    except UnavailableError:
        return ""


def _exists(ifindex: int) -> bool:
    try:
        return bool(socket.if_indextoname(ifindex))
    except OSError:
        return False
