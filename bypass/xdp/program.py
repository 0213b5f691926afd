"""The XDP program that steers our (address, port) pairs to AF_XDP sockets.

Owns: loading it, its maps, attaching and detaching. Attached by bpf_link: when the process ends, in
whatever way, the kernel detaches the program. Does not know sockets beyond their descriptors.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from importlib import resources
from ipaddress import IPv4Address, IPv6Address
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

MODES = ("auto", "native", "generic")
UNSERVED_QUEUES = 64
"""Receive queues for which redirect.bpf.c counts packets that met no socket."""

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"


class RedirectProgram:
    """The XDP program and its maps.

        with RedirectProgram() as program:
            program.load(max_queues=4)
            program.set_targets([IPv4Address("192.0.2.1")], 80)
            program.register(0, socket.fd)
            mode = program.attach(ifindex, "eth0", "auto")

    Targets and sockets can change while it is attached. A socket's entry disappears when the socket
    is closed, so a dead worker leaves none behind.
    """

    def __init__(self) -> None:
        self._object: BpfObject | None = None
        self._link_fd = -1
        self._targets: set[bytes] = set()

    def load(self, max_queues: int) -> None:
        """Loads the program into the kernel for queues 0 .. max_queues-1.

        Raises PrivilegeError without CAP_BPF and CAP_NET_ADMIN, BypassError with the verifier's words
        when the kernel refuses the program.
        """
        if max_queues < 1:
            raise ValueError(f"max_queues must be positive, not {max_queues}")
        if self._object is not None:
            raise ValueError("already loaded")
        data = resources.files("bypass.xdp").joinpath("redirect.bpf.o").read_bytes()
        try:
            self._object = BpfObject(data, "bypass")
            self._object.set_max_entries("sockets", max_queues)
            self._object.load()
        except LibbpfError as error:
            self.close()
            raise attach_errors.load_error(error) from error

    def set_targets(self, addresses: Iterable[IPv4Address | IPv6Address], port: int) -> None:
        """Steers TCP to `port` of these addresses, and nothing else."""
        targets_fd = self._map("targets")
        wanted = {_target(address, port) for address in addresses}
        for key in wanted - self._targets:  # first add, then remove: no gap for what stays
            libbpf.map_update(targets_fd, key, struct.pack("=I", 1))
        for key in self._targets - wanted:
            libbpf.map_delete(targets_fd, key)
        self._targets = wanted

    def attach(self, ifindex: int, ifname: str, mode: str = "auto") -> str:
        """Attaches to an interface: "native", "generic", or "auto" (native where the driver can).

        Returns the mode really used. Raises UnavailableError where another program is attached or the
        driver refuses, PrivilegeError without CAP_NET_ADMIN.
        """
        if self._link_fd >= 0:
            raise ValueError("already attached")
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is none of {', '.join(MODES)}")
        program_fd = self._loaded().program_fd(PROGRAM)
        used = "native" if mode == "auto" else mode
        try:
            try:
                self._link_fd = libbpf.link_xdp(program_fd, ifindex, generic=used == "generic")
            except LibbpfError as error:
                if mode != "auto" or error.errno != errno.EOPNOTSUPP:
                    raise
                used = "generic"
                self._link_fd = libbpf.link_xdp(program_fd, ifindex, generic=True)
        except LibbpfError as error:
            raise attach_errors.attach_error(error, ifindex, ifname, used) from error
        return used

    def register(self, queue: int, socket_fd: int) -> None:
        """Sends what arrives on `queue` to this AF_XDP socket."""
        libbpf.map_update(self._map("sockets"), struct.pack("=I", queue), struct.pack("=i", socket_fd))

    def unregister(self, queue: int) -> None:
        """Leaves what arrives on `queue` to the kernel; harmless when no socket is there."""
        try:
            libbpf.map_delete(self._map("sockets"), struct.pack("=I", queue))
        except LibbpfError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise

    def counters(self) -> dict[str, int]:
        """Packets seen since load, by outcome, over all CPUs."""
        outcomes_fd = self._map("outcomes")
        cpus = libbpf.possible_cpus()
        totals = {}
        for number, name in enumerate(OUTCOMES):
            values = libbpf.map_lookup(outcomes_fd, struct.pack("=I", number), 8 * cpus)
            totals[name] = sum(struct.unpack(f"={cpus}Q", values))
        return totals

    def unserved(self) -> dict[int, int]:
        """Queue -> packets to our targets that arrived there and went to the kernel for want of a socket."""
        unserved_fd = self._map("unserved")
        counts = {}
        for queue in range(UNSERVED_QUEUES):
            (count,) = struct.unpack("=Q", libbpf.map_lookup(unserved_fd, struct.pack("=I", queue), 8))
            if count:
                counts[queue] = count
        return counts

    def detach(self) -> None:
        """The interface is as before; targets and sockets are kept. Harmless when not attached."""
        if self._link_fd >= 0:
            os.close(self._link_fd)
            self._link_fd = -1

    def close(self) -> None:
        """Detaches and unloads; harmless when repeated."""
        self.detach()
        if self._object is not None:
            self._object.close()
            self._object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _loaded(self) -> BpfObject:
        if self._object is None:
            raise ValueError("not loaded")
        return self._object

    def _map(self, name: str) -> int:
        return self._loaded().map_fd(name)


def _target(address: IPv4Address | IPv6Address, port: int) -> bytes:
    """A key of the targets map: `struct target` of redirect.bpf.c."""
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is not within 1 .. 65535")
    whole = address.packed if address.version == 6 else _MAPPED_PREFIX + address.packed
    return whole + struct.pack("!HH", port, 0)
