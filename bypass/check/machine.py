"""The machine: kernel, its options, BPF, privileges, locked memory. Reads only.

`root` is the folder that /proc, /sys and /boot are looked for in, so that tests can make another machine.
"""

from __future__ import annotations

import errno
import gzip
import platform
import re
import resource
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

from bypass.check.finding import Finding, Level, from_error
from bypass.errors import PrivilegeError
from bypass.serve.plan import RX_FRAMES, TX_FRAMES
from bypass.serve.privileges import effective_capabilities, require_capabilities
from bypass.site.text import format_bytes

LEAST_KERNEL = (5, 11)
"""What the features used go back to: memory of BPF maps without RLIMIT_MEMLOCK."""
SUBJECT = "machine"
_OPTIONS = {
    "CONFIG_XDP_SOCKETS": "AF_XDP sockets",
    "CONFIG_BPF_SYSCALL": "loading the XDP program",
    "CONFIG_BPF_JIT": "the XDP program as machine code",
}
_QUEUE_BYTES = (RX_FRAMES + TX_FRAMES) * 2048


def examine_machine(command: str, root: Path = Path("/"), release: str | None = None) -> list[Finding]:
    """command: what a person is told to run as root."""
    release = platform.release() if release is None else release
    return [
        _kernel(release),
        *_options(root, release),
        _sockets(),
        _jit(root),
        _type_information(root),
        _file_system(root),
        _capabilities(command),
        _locked_memory(effective_capabilities()),
    ]


def is_privileged() -> bool:
    """Whether sockets can be opened and programs attached."""
    try:
        require_capabilities(effective_capabilities(), "bypass")
    except PrivilegeError:
        return False
    return True


def _found(id: str, level: Level, what: str, why: str = "", remedy: str = "") -> Finding:
    return Finding(id=id, level=level, subject=SUBJECT, what=what, why=why, remedy=remedy)


def _kernel(release: str) -> Finding:
    match = re.match(r"(\d+)\.(\d+)", release)
    if match is None or (int(match[1]), int(match[2])) >= LEAST_KERNEL:
        return _found("kernel", "ok", f"kernel {release}")
    return _found(
        "kernel",
        "problem",
        f"kernel {release} is too old",
        "what bypass uses of AF_XDP and BPF goes back to 5.11",
        "Boot a newer kernel; Debian 12 has 6.1",
    )


def _options(root: Path, release: str) -> Iterator[Finding]:
    """What the kernel was built with, where it says so; what it was built without is tried below anyway."""
    text = _build_options(root, release)
    if text is None:
        yield _found(
            "kernel-options",
            "note",
            "the kernel's build options cannot be read",
            f"neither /proc/config.gz nor /boot/config-{release} is there",
        )
        return
    missing = [name for name in _OPTIONS if not re.search(rf"^{name}=y$", text, re.MULTILINE)]
    if not missing:
        yield _found("kernel-options", "ok", f"built with {', '.join(_OPTIONS)}")
    for name in missing:
        yield _found(
            "kernel-options",
            "warning" if name == "CONFIG_BPF_JIT" else "problem",
            f"the kernel is built without {name}",
            f"needed for {_OPTIONS[name]}",
            f"Boot a kernel built with {name}=y; those of Debian and Ubuntu are",
        )


def _build_options(root: Path, release: str) -> str | None:
    try:
        return gzip.decompress((root / "proc/config.gz").read_bytes()).decode(errors="replace")
    except (OSError, EOFError, zlib.error):
        pass
    for path in (f"boot/config-{release}", f"lib/modules/{release}/config"):
        try:
            return (root / path).read_text(errors="replace")
        except OSError:
            continue
    return None


def _sockets() -> Finding:
    """Whether there are AF_XDP sockets at all: the refusal says which it is."""
    try:
        socket.socket(44, socket.SOCK_RAW, 0).close()
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return _found(
                "af-xdp",
                "problem",
                "this kernel has no AF_XDP sockets (EAFNOSUPPORT)",
                "it was built without CONFIG_XDP_SOCKETS",
                "Boot a kernel built with it; those of Debian and Ubuntu are",
            )
        if error.errno not in (errno.EPERM, errno.EACCES):
            raise
    return _found("af-xdp", "ok", "the kernel has AF_XDP sockets")


def _jit(root: Path) -> Finding:
    try:
        on = (root / "proc/sys/net/core/bpf_jit_enable").read_text().strip() != "0"
    except FileNotFoundError:
        return _found("bpf-jit", "note", "the kernel does not say whether BPF programs become machine code")
    except PermissionError:
        return _found("bpf-jit", "note", "whether BPF programs become machine code is for root to read")
    if on:
        return _found("bpf-jit", "ok", "BPF programs become machine code (JIT)")
    return _found(
        "bpf-jit",
        "warning",
        "BPF programs are interpreted",
        "every packet passes the XDP program, which then takes several times as long",
        "sudo sysctl -w net.core.bpf_jit_enable=1",
    )


def _type_information(root: Path) -> Finding:
    if (root / "sys/kernel/btf/vmlinux").exists():
        return _found("btf", "ok", "the kernel has BTF")
    return _found(
        "btf",
        "note",
        "the kernel has no BTF",
        "bypass needs none; tools that show programs and maps (bpftool) show less without it",
    )


def _file_system(root: Path) -> Finding:
    try:
        mounts = (root / "proc/self/mounts").read_text(errors="replace")
    except OSError:
        mounts = ""
    if any(line.split()[2:3] == ["bpf"] for line in mounts.splitlines()):
        return _found("bpffs", "ok", "a BPF file system is mounted")
    return _found(
        "bpffs",
        "note",
        "no BPF file system is mounted",
        "bypass needs none, for its program ends with its process; libxdp's dispatcher does",
        "sudo mount -t bpf bpf /sys/fs/bpf",
    )


def _capabilities(command: str) -> Finding:
    try:
        require_capabilities(effective_capabilities(), command)
    except PrivilegeError as error:
        return from_error("capabilities", SUBJECT, error)
    return _found("capabilities", "ok", "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF are here")


def _locked_memory(have: frozenset[str]) -> Finding:
    """Packet memory is locked, and the limit counts it where CAP_IPC_LOCK does not lift it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    needed = f"{format_bytes(_QUEUE_BYTES)} of packet memory a queue"
    if "CAP_IPC_LOCK" in have or soft == resource.RLIM_INFINITY or soft >= _QUEUE_BYTES:
        return _found("memlock", "ok", f"locked memory: enough for {needed}")
    if "CAP_SYS_RESOURCE" in have or hard == resource.RLIM_INFINITY or hard >= _QUEUE_BYTES:
        return _found("memlock", "ok", f"locked memory: the limit is raised at the start for {needed}")
    return Finding(
        id="memlock",
        level="problem",
        subject=SUBJECT,
        what=f"{format_bytes(hard)} may be locked (ulimit -l)",
        why=f"{needed} must be",
        remedy="Run as root, or raise it: LimitMEMLOCK=infinity in a systemd unit, or 'ulimit -l unlimited'",
        exit_code=int(PrivilegeError.exit_code),
    )
