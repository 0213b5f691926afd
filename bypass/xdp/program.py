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
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
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
    "redirected_own",
    "redirected_path_mtu",
    "dropped_blocked",
    "dropped_syn_rate",
    "dropped_own",
)
"""What became of each packet, in the order of `enum outcome` in maps.bpf.h."""

MODES = ("auto", "native", "generic")
UNSERVED_QUEUES = 64
"""Receive queues for which maps.bpf.h counts packets that met no socket."""

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"
_PRESENT = struct.pack("=I", 1)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


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
        self._own: set[bytes] = set()
        self._syn_limit = (0, 0)

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

    def set_targets(self, addresses: Iterable[Address], port: int) -> None:
        """Steers TCP to `port` of these addresses, and nothing else."""
        self._targets = self._replace(
            "targets", self._targets, {_target(address, port) for address in addresses}
        )

    def set_own_addresses(self, addresses: Iterable[Address]) -> None:
        """Steers ARP, neighbour discovery and echo about these, too: addresses that the kernel lacks.

        What else comes to them is dropped: no other host and no kernel could answer it.
        """
        wanted = {_mapped(address) for address in addresses}
        self._own = self._replace("own", self._own, wanted)
        self._write_settings()

    def block(self, prefix: Network) -> None:
        """Drops what comes to us from these sources; what is the kernel's reaches the kernel."""
        libbpf.map_update(self._map("blocked"), _prefix(prefix), _PRESENT)

    def unblock(self, prefix: Network) -> None:
        """Takes back a block() of the same prefix. Raises LibbpfError (ENOENT) when there was none."""
        libbpf.map_delete(self._map("blocked"), _prefix(prefix))

    def set_syn_limit(self, rate_per_s: int, burst: int) -> None:
        """Drops a source's connection requests beyond `rate_per_s`, and `burst` at once; rate 0: no limit.

        A source is an IPv4 address or an IPv6 /64.
        """
        if rate_per_s < 0 or (rate_per_s and burst < 1):
            raise ValueError(f"rate {rate_per_s} and burst {burst}: not negative, at least 1")
        interval_ns = 1_000_000_000 // rate_per_s if rate_per_s else 0
        self._syn_limit = (interval_ns, interval_ns * (burst - 1))
        self._write_settings()

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

    def _replace(self, name: str, before: set[bytes], wanted: set[bytes]) -> set[bytes]:
        """Makes `wanted` the keys of a map; first adds, then removes: no gap for what stays."""
        for key in wanted - before:
            libbpf.map_update(self._map(name), key, _PRESENT)
        for key in before - wanted:
            libbpf.map_delete(self._map(name), key)
        return wanted

    def _write_settings(self) -> None:
        """`struct settings` of maps.bpf.h."""
        value = struct.pack("=QQII", *self._syn_limit, len(self._own), 0)
        libbpf.map_update(self._map("settings"), struct.pack("=I", 0), value)


def _target(address: Address, port: int) -> bytes:
    """A key of the targets map: `struct target` of maps.bpf.h."""
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is not within 1 .. 65535")
    return _mapped(address) + struct.pack("!HH", port, 0)


def _mapped(address: Address) -> bytes:
    return address.packed if address.version == 6 else _MAPPED_PREFIX + address.packed


def _prefix(network: Network) -> bytes:
    """A key of the blocked map: `struct prefix` of maps.bpf.h."""
    bits = network.prefixlen + (32 if network.version == 6 else 128)
    version = struct.pack("!I", network.version)
    return struct.pack("=I", bits) + version + _mapped(network.network_address)
