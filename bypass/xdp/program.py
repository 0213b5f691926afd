"""The XDP program that steers our (address, port) pairs to AF_XDP sockets.

Owns: loading it, its maps, attaching and detaching. Attached by bpf_link: when the process ends, in
whatever way, the kernel detaches the program. Does not know sockets beyond their descriptors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from collections.abc import Iterable
from enum import Enum
from importlib import resources
from types import TracebackType
from typing import Self

from bypass.xdp import attach_errors, libbpf
from bypass.xdp.libbpf import BpfObject, LibbpfError

PROGRAM = "bypass_redirect"
OUTCOMES = (
    "redirected",
    "no_socket",
    "passed_other",
    "passed_fragment",
    "passed_extension",
    "passed_truncated",
)
"""What became of each packet, in the order of `enum outcome` in redirect.bpf.c."""

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"


class XdpMode(Enum):
    """Where the program runs: in the driver, or in the kernel's generic path behind it."""

    NATIVE = "native"
    GENERIC = "generic"


class RedirectProgram:
    """The loaded program and its maps.

        with RedirectProgram.load(max_queues=4) as program:
            program.set_targets([address], 80)
            program.register(0, socket.fd)
            mode = program.attach(ifindex, "eth0", "auto")

    Targets and sockets can change while it is attached. A socket's entry disappears when the socket
    is closed, so a dead worker leaves none behind.
    """

    def __init__(self, bpf_object: BpfObject) -> None:
        self._object = bpf_object
        self._link_fd = -1
        self._targets: set[bytes] = set()
        self._sockets_fd = bpf_object.map_fd("sockets")
        self._targets_fd = bpf_object.map_fd("targets")
        self._outcomes_fd = bpf_object.map_fd("outcomes")

    @classmethod
    def load(cls, max_queues: int) -> Self:
        """Loads the program into the kernel for queues 0 .. max_queues-1.

        Raises PrivilegeError without CAP_BPF and CAP_NET_ADMIN, BypassError with the verifier's words
        when the kernel refuses the program.
        """
        if max_queues < 1:
            raise ValueError(f"max_queues must be positive, not {max_queues}")
        data = resources.files("bypass.xdp").joinpath("redirect.bpf.o").read_bytes()
        try:
            bpf_object = BpfObject(data, "bypass")
        except LibbpfError as error:
            raise attach_errors.load_error(error) from error
        try:
            bpf_object.set_max_entries("sockets", max_queues)
            bpf_object.load()
            return cls(bpf_object)
        except LibbpfError as error:
            bpf_object.close()
            raise attach_errors.load_error(error) from error

    def set_targets(self, addresses: Iterable[bytes], port: int) -> None:
        """Steers TCP to `port` of these addresses (4 or 16 octets, network order), and nothing else."""
        wanted = {_target(address, port) for address in addresses}
        for key in wanted - self._targets:      # first add, then remove: no gap for what stays
            libbpf.map_update(self._targets_fd, key, struct.pack("=I", 1))
        for key in self._targets - wanted:
            libbpf.map_delete(self._targets_fd, key)
        self._targets = wanted

    def attach(self, ifindex: int, ifname: str, mode: str = "auto") -> XdpMode:
        """Attaches to an interface: "native", "generic", or "auto" (native where the driver can).

        Returns the mode really used. Raises UnavailableError where another program is attached or the
        driver refuses, PrivilegeError without CAP_NET_ADMIN.
        """
        if self._link_fd >= 0:
            raise ValueError("already attached")
        for attempt in _attempts(mode):
            try:
                self._link_fd = libbpf.link_xdp(
                    self._object.program_fd(PROGRAM), ifindex, generic=attempt is XdpMode.GENERIC
                )
                return attempt
            except LibbpfError as error:
                if mode == "auto" and attempt is XdpMode.NATIVE and error.errno == errno.EOPNOTSUPP:
                    continue
                raise attach_errors.attach_error(error, ifindex, ifname, attempt.value) from error
        raise AssertionError("every attempt returns or raises")

    def register(self, queue: int, socket_fd: int) -> None:
        """Sends what arrives on `queue` to this AF_XDP socket."""
        libbpf.map_update(self._sockets_fd, struct.pack("=I", queue), struct.pack("=i", socket_fd))

    def unregister(self, queue: int) -> None:
        """Leaves what arrives on `queue` to the kernel; harmless when no socket is there."""
        try:
            libbpf.map_delete(self._sockets_fd, struct.pack("=I", queue))
        except LibbpfError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise

    def counters(self) -> dict[str, int]:
        """Packets seen since load, by outcome, over all CPUs."""
        cpus = libbpf.possible_cpus()
        totals = {}
        for number, name in enumerate(OUTCOMES):
            values = libbpf.map_lookup(self._outcomes_fd, struct.pack("=I", number), 8 * cpus)
            totals[name] = sum(struct.unpack(f"={cpus}Q", values))
        return totals

    def detach(self) -> None:
        """The interface is as before; targets and sockets are kept. Harmless when not attached."""
        if self._link_fd >= 0:
            os.close(self._link_fd)
            self._link_fd = -1

    def close(self) -> None:
        """Detaches and unloads."""
        self.detach()
        self._object.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            with contextlib.suppress(AttributeError):
                self.close()


def _attempts(mode: str) -> tuple[XdpMode, ...]:
    if mode == "auto":
        return (XdpMode.NATIVE, XdpMode.GENERIC)
    return (XdpMode(mode),)


def _target(address: bytes, port: int) -> bytes:
    """A key of the targets map: `struct target` of redirect.bpf.c."""
    if len(address) not in (4, 16):
        raise ValueError(f"an address has 4 or 16 octets, not {len(address)}")
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is not within 1 .. 65535")
    whole = address if len(address) == 16 else _MAPPED_PREFIX + address
    return whole + struct.pack("!HH", port, 0)
