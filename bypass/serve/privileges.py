"""Privileges and limits that serving needs: capabilities and locked memory.

Raises the limit on locked memory itself where that is allowed.
"""

from __future__ import annotations

import resource
from pathlib import Path

from bypass.errors import PrivilegeError
from bypass.site.text import format_bytes

# linux/capability.h
CAPABILITIES = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_BPF": 39,
}
_WHAT_FOR = {
    "CAP_NET_ADMIN": "attach the XDP program",
    "CAP_NET_RAW": "open AF_XDP sockets",
    "CAP_BPF": "load the XDP program",
}


def effective_capabilities(status: Path = Path("/proc/self/status")) -> frozenset[str]:
    """Of those in CAPABILITIES, the ones this process has in effect."""
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)
    raise RuntimeError(f"{status} has no CapEff")


def require_capabilities(have: frozenset[str], command: str) -> None:
    """PrivilegeError that names what is missing and what it is for."""
    implied = {"CAP_BPF"} if "CAP_SYS_ADMIN" in have else set()
    missing = [name for name in _WHAT_FOR if name not in have | implied]
    if missing:
        wants = ", ".join(f"{name} to {_WHAT_FOR[name]}" for name in missing)
        raise PrivilegeError(
            f"{command} needs privileges that this process does not have",
            why=wants,
            remedy=f"Run it as root: sudo {command} ...",
        )


def allow_locked_memory(needed_bytes: int, have: frozenset[str]) -> None:
    """Makes room for `needed_bytes` under RLIMIT_MEMLOCK, since packet memory is locked.

    PrivilegeError, with figures, when the limit may not be raised.
    """
    if "CAP_IPC_LOCK" in have:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= needed_bytes:
        return
    try:
        allowed = hard if hard == resource.RLIM_INFINITY else max(hard, needed_bytes)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (needed_bytes, allowed))
    except (ValueError, OSError):
        raise PrivilegeError(
            f"packet buffers need {format_bytes(needed_bytes)} of locked memory",
            why=f"the limit is {format_bytes(hard)} (ulimit -l)",
            remedy="Run as root, or raise it: LimitMEMLOCK=infinity in a systemd unit, or fewer --queue",
        ) from None
