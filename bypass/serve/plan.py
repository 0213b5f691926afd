"""From options and facts to the numbers a server is made with. Pure: asks nothing, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from bypass.accesslog.format import LineFormat, parse_format
from bypass.accesslog.writer import Lines
from bypass.config import Congestion, Memory, Mode, Poll, ServeOptions
from bypass.errors import ConfigError, UnavailableError
from bypass.nic.quirks import leaves_partial_checksums, needs_full_page_frames
from bypass.serve.interface import Address, Interface
from bypass.text import plural

RX_FRAMES = 4096
TX_FRAMES = 4096
MOST_ADDRESSES = 64  # of one engine
MOST_QUEUES = 64  # of one engine
LEAST_MTU_BYTES = 576
_XDP_HEADROOM_BYTES = 256  # XDP_PACKET_HEADROOM, in front of every received frame
_ETHERNET_BYTES = 14 + 2 * 4  # header and up to two VLAN tags


@dataclass(frozen=True, slots=True)
class PollPlan:
    """spin_ns: how long to spin after the last frame, -1 always. sleep_ms: longest sleep at a time."""

    spin_ns: int
    sleep_ms: int


POLL_PLANS: dict[Poll, PollPlan] = {
    "latency": PollPlan(spin_ns=-1, sleep_ms=1),
    "balanced": PollPlan(spin_ns=50_000, sleep_ms=10),
    "efficient": PollPlan(spin_ns=0, sleep_ms=20),
}
ZERO_COPY: dict[Memory, bool | None] = {"auto": None, "copy": False, "zero-copy": True}


@dataclass(frozen=True, slots=True)
class LogPlan:
    """target: a file, "-" for stdout, or a function that is given whole lines. ring_bytes: a power of two."""

    target: str | Lines
    form: LineFormat
    lossless: bool
    ring_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a server on one interface is made with.

    takes_every_queue: none was named, so queues that attaching brings about are taken too.
    zero_copy None: as the driver can. offers_zero_copy: the driver's word; None, it does not say.
    """

    interface: Interface
    driver: str
    addresses: tuple[Address, ...]
    port: int
    queues: tuple[int, ...]
    takes_every_queue: bool
    rx_queues: int
    mode: Mode
    zero_copy: bool | None
    offers_zero_copy: bool | None
    busy_poll: bool
    poll: PollPlan
    frame_bytes: int
    connections: int
    idle_timeout_ns: int
    accept_partial_checksums: bool
    cpu: int
    blocked: tuple[IPv4Network | IPv6Network, ...] = ()
    syn_rate: int = 0
    congestion: Congestion = "cubic"
    connections_per_source: int = 0
    log: LogPlan | None = None
    windows: int = 0

    @property
    def locked_bytes(self) -> int:
        """Packet memory of all queues, which the kernel locks."""
        return len(self.queues) * (RX_FRAMES + TX_FRAMES) * self.frame_bytes

    @property
    def map_entries(self) -> int:
        """Queues that the XDP program has room for: more can come to be when it is attached."""
        return max(MOST_QUEUES, max(self.queues) + 1)

    @property
    def foreign_addresses(self) -> tuple[Address, ...]:
        """Addresses to serve that the kernel has on another interface."""
        known = self.interface.kernel_addresses.difference(self.interface.addresses)
        return tuple(address for address in self.addresses if address in known)

    @property
    def own_addresses(self) -> tuple[Address, ...]:
        """Addresses to serve that the kernel does not have: we answer for them."""
        known = self.interface.kernel_addresses.union(self.interface.addresses)
        return tuple(address for address in self.addresses if address not in known)

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(url_of(address, self.port) for address in self.addresses)


def make_plan(
    options: ServeOptions,
    interface: Interface,
    driver: str,
    rx_queues: int,
    tx_queues: int,
    offers_zero_copy: bool | None = None,
) -> Plan:
    """ConfigError or UnavailableError when the options do not fit the interface."""
    if options.memory == "zero-copy" and options.mode == "generic":
        raise ConfigError(
            "zero-copy in generic mode", why="only native XDP has it", remedy="Leave out one of the two"
        )
    return Plan(
        interface=interface,
        driver=driver,
        addresses=addresses_of(options, interface),
        port=options.port,
        queues=queues_of(options.queue, interface.name, rx_queues, tx_queues),
        takes_every_queue=not options.queue,
        rx_queues=rx_queues,
        mode=options.mode,
        zero_copy=ZERO_COPY[options.memory],
        offers_zero_copy=offers_zero_copy,
        busy_poll=options.busy_poll,
        poll=POLL_PLANS[options.poll],
        frame_bytes=frame_bytes_of(interface, driver),
        connections=options.connections,
        idle_timeout_ns=round(options.idle_timeout * 1e9),
        accept_partial_checksums=leaves_partial_checksums(driver),
        cpu=options.cpu,
        blocked=tuple(ip_network(text) for text in options.block),
        syn_rate=options.syn_rate,
        congestion=options.congestion,
        connections_per_source=options.connections_per_source,
        log=log_plan(options, options.access_log) if options.access_log else None,
        windows=options.large_memory >> 20 if options.large_file else 0,
    )


def log_plan(options: ServeOptions, target: str | Lines) -> LogPlan:
    ring_bytes = 1 << (options.log_buffer - 1).bit_length()
    return LogPlan(target, parse_format(options.log_format), options.log_when_full == "wait", ring_bytes)


def every_queue(rx_queues: int, tx_queues: int) -> tuple[int, ...]:
    """The queues that both receive and send, as many as one server polls."""
    return tuple(range(min(rx_queues, tx_queues, MOST_QUEUES)))


def url_of(address: Address, port: int) -> str:
    """http://10.0.0.1/ , http://[fd00::1]:8080/"""
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{host}/" if port == 80 else f"http://{host}:{port}/"


def addresses_of(options: ServeOptions, interface: Interface) -> tuple[Address, ...]:
    """Those to serve. UnavailableError or ConfigError when there are none, or ones that cannot be."""
    wanted = tuple(dict.fromkeys(ip_address(text) for text in options.address)) or interface.addresses
    if not wanted:
        raise UnavailableError(
            f"{interface.name}: the interface has no address",
            remedy="Give it one (ip address add ...), or name one with --address",
        )
    if len(wanted) > MOST_ADDRESSES:
        raise UnavailableError(
            f"{interface.name}: {len(wanted)} addresses, and one server takes at most {MOST_ADDRESSES}",
            remedy="Name those to serve with --address",
        )
    for address in wanted:
        if address.is_unspecified or address.is_multicast or address.is_loopback:
            raise ConfigError(
                f"address {address}",
                why="not the address of one host on a network",
                remedy=f"Leave it out to serve every address of {interface.name}",
            )
    return wanted


def queues_of(wanted: Sequence[int], name: str, rx_queues: int, tx_queues: int) -> tuple[int, ...]:
    """Those to serve, every one when none is wanted. UnavailableError for one that cannot."""
    queues = tuple(dict.fromkeys(wanted)) or tuple(range(rx_queues))
    if len(queues) > MOST_QUEUES:
        raise UnavailableError(
            f"{name}: {len(queues)} queues, and one server polls at most {MOST_QUEUES}",
            remedy=f"Use fewer: ethtool -L {name} combined {MOST_QUEUES}",
        )
    last = max(queues)
    if last >= rx_queues:
        raise UnavailableError(
            f"{name} queue {last}: no such queue",
            why=f"the interface has {plural(rx_queues, 'receive queue')}, counted from 0",
        )
    # A socket on a queue that has no transmit side sends nothing and reports no error.
    if last >= tx_queues:
        raise UnavailableError(
            f"{name} queue {last}: the queue cannot send",
            why=f"of the interface's {rx_queues} receive queues only {tx_queues} can send as well",
            remedy=f"Make them equal: ethtool -L {name} rx {tx_queues} tx {tx_queues}",
        )
    return queues


def frame_bytes_of(interface: Interface, driver: str) -> int:
    """2048 or 4096: one Ethernet frame and the kernel's headroom must fit."""
    if interface.mtu_bytes < LEAST_MTU_BYTES:
        raise UnavailableError(
            f"{interface.name}: MTU {interface.mtu_bytes} is too small",
            why=f"every host must take packets of {LEAST_MTU_BYTES} bytes (RFC 1122 3.3.2)",
            remedy=f"Raise it: ip link set {interface.name} mtu 1500",
        )
    longest = interface.mtu_bytes + _ETHERNET_BYTES + _XDP_HEADROOM_BYTES
    if longest > 4096:
        most = 4096 - _ETHERNET_BYTES - _XDP_HEADROOM_BYTES
        raise UnavailableError(
            f"{interface.name}: MTU {interface.mtu_bytes} is too large",
            why=f"a packet must fit into one 4096-byte buffer, which leaves {most}",
            remedy=f"Lower it: ip link set {interface.name} mtu 1500",
        )
    return 4096 if longest > 2048 or needs_full_page_frames(driver) else 2048
