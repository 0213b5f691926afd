"""What to tell a person when an AF_XDP socket cannot be opened, and when to try again first.

Owns: the meaning of (stage, errno) of XdpSocket's OSError, and the retry of a queue that is not free
yet. Stages are those of cython_ext/driver/af_xdp.pxd; errno meanings are from net/xdp/xsk.c,
net/xdp/xsk_buff_pool.c and net/xdp/xdp_umem.c.
"""

from __future__ import annotations

import errno
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bypass.errors import BypassError, PrivilegeError, UnavailableError, errno_name
from bypass.nic.quirks import quirks_of

T = TypeVar("T")

RETRY_FOR_S = 2.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """What was asked for; messages name it."""

    ifname: str
    queue: int
    umem_bytes: int = 0
    """Size of the packet memory, or 0 when not known."""
    zero_copy: bool | None = None
    driver: str = "its driver"


def open_with_retry(
    factory: Callable[[], T],
    request: SocketRequest | None = None,
    *,
    retry_for_s: float = RETRY_FOR_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Calls `factory` until it succeeds; a taken queue is tried again for `retry_for_s` seconds.

    The kernel gives a queue back some time after its socket was closed, so EBUSY at bind may pass.
    With a `request` an OSError becomes a BypassError that explains it; without, it is raised as it is.
    """
    until = clock() + retry_for_s
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return factory()
        except OSError as error:
            busy = error.errno == errno.EBUSY and stage_of(error) == "bind"
            if not busy or clock() + pause > until:
                if request is None:
                    raise
                raise explain(error, request) from error
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def stage_of(error: OSError) -> str:
    """The step of opening that failed ("memory", "socket", "umem", "rings", "bind", "options")."""
    return error.filename if isinstance(error.filename, str) else ""


def explain(error: OSError, request: SocketRequest) -> BypassError:
    """The error for people: what failed on which queue, why, and what to do."""
    stage = stage_of(error)
    name = errno_name(error.errno)
    code = error.errno or 0
    what = (
        f"{request.ifname} queue {request.queue}: {_STEPS.get(stage, 'opening the socket')} failed ({name})"
    )
    if code in (errno.EPERM, errno.EACCES):
        return PrivilegeError(
            what,
            why="an AF_XDP socket needs the capability CAP_NET_RAW",
            remedy="Run as root, or give the service CAP_NET_RAW",
        )
    if stage == "socket" and code in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
        return UnavailableError(
            what,
            why="this kernel has no AF_XDP sockets",
            remedy="Use a kernel of 5.4 or later built with CONFIG_XDP_SOCKETS",
        )
    if stage in ("memory", "umem", "rings") and code in (errno.ENOBUFS, errno.ENOMEM):
        return _memory(what, request)
    if stage == "rings" and code == errno.EPROTONOSUPPORT:
        return UnavailableError(
            what, why="this kernel is older than 5.4", remedy="Use a kernel of 5.4 or later"
        )
    if stage == "bind":
        return _bind(what, code, request)
    return BypassError(what, why=error.strerror or "")


_STEPS = {
    "memory": "allocating packet memory",
    "socket": "creating the AF_XDP socket",
    "umem": "registering packet memory",
    "rings": "creating the rings",
    "bind": "binding",
    "map": "entering the socket into the XDP program's map",
    "options": "reading back the socket's mode",
}


def _memory(what: str, request: SocketRequest) -> BypassError:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or 0 < request.umem_bytes <= soft // 2:
        return UnavailableError(
            what, why="the machine is short of memory", remedy="Free some memory, or use fewer queues"
        )
    needed = f"{_mib(request.umem_bytes)} of packet memory" if request.umem_bytes else "the packet memory"
    return PrivilegeError(
        what,
        why=f"{needed} must be locked, and the limit for all sockets together is {_mib(soft)} (ulimit -l)",
        remedy=(
            "Raise it (LimitMEMLOCK=infinity in the service unit, or 'ulimit -l unlimited'), or give the"
            " service CAP_IPC_LOCK"
        ),
    )


def _bind(what: str, code: int, request: SocketRequest) -> BypassError:
    """The kernel refused the queue."""
    if request.zero_copy and code in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT):
        return _zero_copy(what, code, request)
    if code == errno.EBUSY:
        return UnavailableError(
            what,
            why="another AF_XDP socket holds this queue",
            remedy="Stop the other server, or choose another queue with --queue",
        )
    if code == errno.EINVAL:
        return UnavailableError(
            what,
            why="the queue does not exist, or a frame of the interface's MTU does not fit",
            remedy=f"'ethtool -l {request.ifname}' lists the queues; an MTU above 1500 needs larger frames",
        )
    if code == errno.ENODEV:
        return UnavailableError(what, why="the interface is gone", remedy="Check 'ip link'")
    if code == errno.ENETDOWN:
        return UnavailableError(
            what, why="the interface is down", remedy=f"'ip link set dev {request.ifname} up'"
        )
    if code in (errno.ENOBUFS, errno.ENOMEM):
        return UnavailableError(
            what, why="the machine is short of memory", remedy="Free some memory, or use fewer queues"
        )
    if code == errno.EOPNOTSUPP:
        return UnavailableError(what, why=f"{request.driver} does not support AF_XDP on this queue")
    return BypassError(what)


def _zero_copy(what: str, code: int, request: SocketRequest) -> BypassError:
    known = quirks_of(request.driver).zero_copy_refusals.get(code)
    if known:
        why = f"zero-copy was refused: {known}"
    elif code == errno.EOPNOTSUPP:
        why = f"{request.driver} has no AF_XDP zero-copy in this kernel"
    elif code == errno.ENOENT:
        why = "zero-copy was refused: the device cannot reset a single queue"
    else:
        why = (
            "zero-copy was refused: the queue does not exist, the MTU is too large for the frame size, or"
            f" {request.driver} does not support it as it is set up now"
        )
    return UnavailableError(what, why=why, remedy=f"Use --copy, or see 'bypass check {request.ifname}'")


def _mib(octets: int) -> str:
    return f"{octets / (1 << 20):.1f} MiB"
