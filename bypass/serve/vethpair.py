"""A veth pair with network namespaces of its own: `bypass demo` and the tests serve over it.

Owns: making and removing the pair, its namespaces, addresses and neighbour entries. Does not know
what is served. Nothing outside the pair is changed; leaving the context removes all of it, and
remove_stale() what a killed process left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from bypass.errors import PrivilegeError

DEFAULT_V4 = IPv4Network("198.18.0.0/24")
DEFAULT_V6 = IPv6Network("fd62:7970:6173:7300::/64")

_numbers = itertools.count()
_NAMESPACE = re.compile(r"^bypass-(\d+)-\d+-(?:client|server)$")
_NETNS_FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_NEIGHBOUR_PERMANENT = 0x80
_ADDRESS_NODAD = 0x02


@dataclass(frozen=True, slots=True)
class End:
    """One end of the pair. `namespace` is None for the namespace of the caller."""

    ifname: str
    ifindex: int
    mac: str
    v4: IPv4Address
    v6: IPv6Address
    namespace: str | None


class VethPair:
    """Makes the pair on entering, removes it on leaving.

        with VethPair(queues=2) as pair:
            pair.run(["curl", f"http://{pair.server.v4}/"])

    The client end is in a namespace of its own. The server end is in the caller's namespace, or in one
    of its own too with `isolate_server`. The server has the first address of each network, the client
    the second; both know each other's MAC, so neither needs ARP or neighbour discovery.
    """

    def __init__(
        self,
        *,
        queues: int = 1,
        isolate_server: bool = False,
        mtu_bytes: int = 1500,
        v4: IPv4Network = DEFAULT_V4,
        v6: IPv6Network = DEFAULT_V6,
    ) -> None:
        name = f"{os.getpid()}-{next(_numbers)}"
        self._queues = queues
        self._mtu_bytes = mtu_bytes
        self._v4 = v4
        self._v6 = v6
        self._ifname = f"bp{name}".replace("-", "x")
        self._client_namespace = f"bypass-{name}-client"
        self._server_namespace = f"bypass-{name}-server" if isolate_server else None
        self._cleanup = contextlib.ExitStack()
        self.server: End
        self.client: End

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            try:
                self._make(undo)
            except (NetlinkError, PermissionError) as error:
                code = error.code if isinstance(error, NetlinkError) else error.errno
                if code not in (errno.EPERM, errno.EACCES):
                    raise
                raise PrivilegeError(
                    "making a veth pair and a network namespace failed",
                    why="this needs root",
                    remedy="Run it with sudo",
                ) from error
            self._cleanup = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def run(
        self, command: Sequence[str], *, server: bool = False, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """subprocess.run in the client's (or the server's) namespace: text, captured by default."""
        options = {"capture_output": True, "text": True, "check": False, **options}
        return subprocess.run(self.command(command, server=server), **options)

    def command(self, command: Sequence[str], *, server: bool = False) -> list[str]:
        """`command` made to run in the client's namespace (or the server's); for Popen."""
        name = self._server_namespace if server else self._client_namespace
        return list(command) if name is None else ["nsenter", f"--net={_NETNS_FOLDER / name}", *command]

    def inside_client(self) -> contextlib.AbstractContextManager[None]:
        """The calling thread is in the client's namespace; sockets opened there stay there."""
        return inside(self._client_namespace)

    def inside_server(self) -> contextlib.AbstractContextManager[None]:
        """The calling thread is in the server's namespace."""
        return inside(self._server_namespace) if self._server_namespace else contextlib.nullcontext()

    def _make(self, undo: contextlib.ExitStack) -> None:
        for namespace in (self._client_namespace, self._server_namespace):
            if namespace is not None:
                netns.create(namespace)
                undo.callback(_remove_namespace, namespace)
        with self._route(self._server_namespace) as server, self._route(self._client_namespace) as client:
            self._make_link(server)
            if self._server_namespace is None:
                undo.callback(_remove_link, self._ifname)
            names = (self._ifname, "client0")
            server_link, client_link = self._lookup(server, names[0]), self._lookup(client, names[1])
            self.server = self._end(server_link, 1, self._server_namespace)
            self.client = self._end(client_link, 2, self._client_namespace)
            for route, end, peer in (
                (server, self.server, self.client),
                (client, self.client, self.server),
            ):
                if end.namespace is not None:
                    route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
                self._configure(route, end, peer)

    def _route(self, namespace: str | None) -> Any:
        return IPRoute() if namespace is None else IPRoute(netns=namespace)

    def _make_link(self, route: Any) -> None:
        """Both ends at once, the client's born in its namespace, with equal queue counts."""
        counts = {"num_tx_queues": self._queues, "num_rx_queues": self._queues, "mtu": self._mtu_bytes}
        descriptor = os.open(_NETNS_FOLDER / self._client_namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            route.link(
                "add",
                ifname=self._ifname,
                kind="veth",
                **counts,
                peer={"ifname": "client0", "net_ns_fd": descriptor, **counts},
            )
        finally:
            os.close(descriptor)

    def _lookup(self, route: Any, ifname: str) -> Any:
        return route.get_links(ifname=ifname)[0]

    def _end(self, link: Any, host: int, namespace: str | None) -> End:
        return End(
            ifname=link.get("ifname"),
            ifindex=link["index"],
            mac=link.get("address"),
            v4=self._v4[host],
            v6=self._v6[host],
            namespace=namespace,
        )

    def _configure(self, route: Any, end: End, peer: End) -> None:
        for address, network in ((end.v4, self._v4), (end.v6, self._v6)):
            extra = {"flags": _ADDRESS_NODAD} if address.version == 6 else {}
            route.addr("add", index=end.ifindex, address=str(address), prefixlen=network.prefixlen, **extra)
        route.link("set", index=end.ifindex, state="up")
        for address in (peer.v4, peer.v6):
            route.neigh(
                "replace",
                ifindex=end.ifindex,
                dst=str(address),
                lladdr=peer.mac,
                state=_NEIGHBOUR_PERMANENT,
            )


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread is in a named network namespace, and afterwards where it was."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(_NETNS_FOLDER / namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(target)
        finally:
            os.close(target)
        try:
            yield
        finally:
            _setns(before)
    finally:
        os.close(before)


def remove_stale() -> list[str]:
    """Removes namespaces of pairs whose process is gone; a pair dies with its client's namespace.

    Returns their names.
    """
    removed = []
    for name in netns.listnetns():
        match = _NAMESPACE.match(name)
        if match and not Path("/proc", match[1]).exists():
            _remove_namespace(name)
            removed.append(name)
    return removed


def _setns(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "setns")


def _remove_namespace(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        netns.remove(name)


def _remove_link(ifname: str) -> None:
    """The pair goes with its server end; at once, whereas a namespace is taken down later."""
    with IPRoute() as route:
        for index in route.link_lookup(ifname=ifname):
            route.link("del", index=index)
