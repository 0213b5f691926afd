"""Sources that the XDP program keeps out, and what it steers beside TCP; counted at the program itself."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest

from bypass._probe_driver import XdpProbe
from bypass.xdp.libbpf import LibbpfError
from bypass.xdp.program import RedirectProgram
from tests.veth.netlab import OTHER_PORT, PORT, VethLab, eventually, receive, tcp

pytestmark = pytest.mark.root

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
OWN4, OWN6 = ip_address("198.18.0.77"), ip_address("fd62:7970:6173:7300::77")

Frame = Callable[[VethLab], bytes]


@pytest.fixture
def xsk(lab: VethLab, program: RedirectProgram) -> XdpProbe:
    probe = lab.xdp_socket()
    program.register(0, probe.fd)
    return probe


def syn4(lab: VethLab, source: str, port: int = PORT) -> bytes:
    ip = lab.ipv4(tcp(port))
    return lab.ethernet(ip[:12] + socket.inet_aton(source) + ip[16:], IPV4)


def syn6(lab: VethLab, source: str) -> bytes:
    ip = lab.ipv6(tcp(PORT))
    return lab.ethernet(ip[:8] + socket.inet_pton(socket.AF_INET6, source) + ip[24:], IPV6)


def outcome(lab: VethLab, program: RedirectProgram, frames: list[bytes]) -> dict[str, int]:
    """The counters that moved when these frames were sent, but for those of what the kernel gets.

    A fragment follows: when it has been counted, so have they.
    """
    before = program.counters()
    packets = lab.packet_socket()
    for frame in [*frames, lab.ethernet(lab.ipv4(tcp(PORT), fragment=185), IPV4)]:
        packets.send(frame)
    assert eventually(lambda: program.counters()["passed_fragment"] > before["passed_fragment"])
    now = program.counters()
    return {
        name: now[name] - before[name]
        for name in before
        if now[name] != before[name] and not name.startswith("passed")
    }


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        ("192.0.2.0/24", "192.0.2.200", "192.0.3.1"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
        ("128.0.0.0/1", "203.0.113.5", "100.64.0.1"),
    ],
)
def test_a_blocked_ipv4_prefix_is_dropped_and_its_neighbours_are_not(
    lab: VethLab, program: RedirectProgram, xsk: XdpProbe, prefix: str, inside: str, outside: str
) -> None:
    program.block(ip_network(prefix))
    frames = [syn4(lab, inside), syn4(lab, outside)]
    assert outcome(lab, program, frames) == {"dropped_blocked": 1, "redirected": 1}
    assert receive(xsk) == [frames[1]]
    program.unblock(ip_network(prefix))
    assert outcome(lab, program, frames) == {"redirected": 2}


@pytest.mark.usefixtures("xsk")
def test_ipv6_prefixes_hold_no_ipv4_address_and_the_other_way_round(
    lab: VethLab, program: RedirectProgram
) -> None:
    program.block(ip_network("::/0"))
    assert outcome(lab, program, [syn4(lab, "192.0.2.1"), syn6(lab, "2001:db8::1")]) == {
        "dropped_blocked": 1,
        "redirected": 1,
    }
    program.unblock(ip_network("::/0"))
    program.block(ip_network("0.0.0.0/0"))
    program.block(ip_network("2001:db8:1::/48"))
    frames = [syn4(lab, "192.0.2.1"), syn6(lab, "2001:db8::1"), syn6(lab, "2001:db8:1:9::1")]
    assert outcome(lab, program, frames) == {"dropped_blocked": 2, "redirected": 1}


@pytest.mark.usefixtures("xsk")
def test_the_kernels_ports_are_open_to_a_blocked_source(lab: VethLab, program: RedirectProgram) -> None:
    program.block(ip_network("192.0.2.0/24"))
    assert outcome(lab, program, [syn4(lab, "192.0.2.1", OTHER_PORT)]) == {}


def test_unblocking_what_was_not_blocked_is_an_error(program: RedirectProgram) -> None:
    with pytest.raises(LibbpfError):
        program.unblock(ip_network("192.0.2.0/24"))


@pytest.mark.usefixtures("xsk")
def test_each_source_may_make_so_many_requests_at_once_and_no_more(
    lab: VethLab, program: RedirectProgram
) -> None:
    program.set_syn_limit(1, 3)
    first, second = [syn4(lab, "192.0.2.1")] * 5, [syn4(lab, "192.0.2.2")]
    assert outcome(lab, program, first) == {"redirected": 3, "dropped_syn_rate": 2}
    assert outcome(lab, program, second) == {"redirected": 1}
    program.set_syn_limit(0, 0)
    assert outcome(lab, program, first) == {"redirected": 5}


@pytest.mark.usefixtures("xsk")
def test_requests_come_through_again_as_time_passes(lab: VethLab, program: RedirectProgram) -> None:
    program.set_syn_limit(50, 1)
    assert outcome(lab, program, [syn4(lab, "192.0.2.1")]) == {"redirected": 1}
    assert eventually(lambda: outcome(lab, program, [syn4(lab, "192.0.2.1")]) == {"redirected": 1})
    assert outcome(lab, program, [syn4(lab, "192.0.2.1")] * 20)["dropped_syn_rate"] > 0


@pytest.mark.usefixtures("xsk")
def test_a_64_of_ipv6_is_one_source(lab: VethLab, program: RedirectProgram) -> None:
    program.set_syn_limit(1, 2)
    same = [syn6(lab, f"2001:db8::{host:x}") for host in range(1, 6)]
    assert outcome(lab, program, same) == {"redirected": 2, "dropped_syn_rate": 3}
    assert outcome(lab, program, [syn6(lab, "2001:db8:0:1::1")]) == {"redirected": 1}


@pytest.mark.usefixtures("xsk")
def test_only_connection_requests_are_limited(lab: VethLab, program: RedirectProgram) -> None:
    program.set_syn_limit(1, 1)
    acknowledgement = bytearray(syn4(lab, "192.0.2.1"))
    acknowledgement[47] = 0x10
    assert outcome(lab, program, [bytes(acknowledgement)] * 5) == {"redirected": 5}


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (10, 0)])
def test_a_senseless_limit_is_refused(program: RedirectProgram, rate: int, burst: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        program.set_syn_limit(rate, burst)


def arp(sender: str, target: str, operation: int = 1) -> bytes:
    addresses = (socket.inet_aton(sender), bytes(6), socket.inet_aton(target))
    return struct.pack("!HHBBH6s", 1, IPV4, 6, 4, operation, b"\2\0\0\0\0\x09") + b"".join(addresses)


def icmp4(lab: VethLab, payload: bytes, destination: str = "") -> bytes:
    ip = lab.ipv4(payload, protocol=1)
    octets = socket.inet_aton(destination or lab.server4)
    return lab.ethernet(ip[:16] + octets + ip[20:], IPV4)


def icmp6(lab: VethLab, payload: bytes, destination: str = "") -> bytes:
    ip = lab.ipv6(payload, next_header=58)
    octets = socket.inet_pton(socket.AF_INET6, destination or lab.server6)
    return lab.ethernet(ip[:24] + octets + ip[40:], IPV6)


def quoted4(lab: VethLab, port: int, kind: int = 3, code: int = 4) -> bytes:
    """An ICMP error about a segment that the server sent from `port`."""
    ip = lab.ipv4(tcp(40000, source_port=port)[:8])
    ip = ip[:12] + socket.inet_aton(lab.server4) + socket.inet_aton(lab.client4) + ip[20:]
    return icmp4(lab, struct.pack("!BBHHH", kind, code, 0, 0, 1300) + ip)


def quoted6(lab: VethLab, port: int, kind: int = 2) -> bytes:
    ip = lab.ipv6(tcp(40000, source_port=port)[:8])
    ip = ip[:8] + ip[24:40] + ip[8:24] + ip[40:]
    return icmp6(lab, struct.pack("!BBHI", kind, 0, 0, 1300) + ip)


ABOUT_OWN: dict[str, Frame] = {
    "who has it": lambda lab: lab.ethernet(arp(lab.client4, str(OWN4)), ARP),
    "a claim to have it": lambda lab: lab.ethernet(arp(str(OWN4), str(OWN4)), ARP),
    "solicitation": lambda lab: icmp6(lab, bytes([135]) + bytes(7) + OWN6.packed),
    "advertisement": lambda lab: icmp6(lab, bytes([136]) + bytes(7) + OWN6.packed),
    "echo": lambda lab: icmp4(lab, bytes([8]) + bytes(7), str(OWN4)),
    "ICMPv6 echo": lambda lab: icmp6(lab, bytes([128]) + bytes(7), str(OWN6)),
}
OF_THE_KERNEL: dict[str, Frame] = {
    "who has the server": lambda lab: lab.ethernet(arp(lab.client4, lab.server4), ARP),
    "a cut ARP packet": lambda lab: lab.ethernet(arp(lab.client4, str(OWN4))[:27], ARP),
    "solicitation of the server": lambda lab: icmp6(
        lab, bytes([135]) + bytes(7) + socket.inet_pton(socket.AF_INET6, lab.server6)
    ),
    "a cut solicitation": lambda lab: icmp6(lab, bytes([135]) + bytes(7) + OWN6.packed[:15]),
    "echo to the server": lambda lab: icmp4(lab, bytes([8]) + bytes(7)),
    "ICMPv6 echo to the server": lambda lab: icmp6(lab, bytes([128]) + bytes(7)),
    "router advertisement": lambda lab: icmp6(lab, bytes([134]) + bytes(7) + OWN6.packed),
    "too big for another port": lambda lab: quoted4(lab, OTHER_PORT),
    "ICMPv6 too big for another port": lambda lab: quoted6(lab, OTHER_PORT),
    "port unreachable": lambda lab: quoted4(lab, PORT, code=3),
    "time exceeded": lambda lab: quoted4(lab, PORT, kind=11, code=0),
    "ICMPv6 unreachable": lambda lab: quoted6(lab, PORT, kind=1),
    "a quotation cut within the ports": lambda lab: quoted4(lab, PORT)[:-5],
    "an ICMPv6 quotation cut within the ports": lambda lab: quoted6(lab, PORT)[:-5],
}


@pytest.mark.usefixtures("xsk")
def test_what_is_about_an_own_address_is_ours_only_where_there_is_one(
    lab: VethLab, program: RedirectProgram
) -> None:
    for name, make in ABOUT_OWN.items():
        assert "redirected_own" not in outcome(lab, program, [make(lab)]), name
    program.set_own_addresses([OWN4, OWN6])
    for name, make in ABOUT_OWN.items():
        assert outcome(lab, program, [make(lab)]) == {"redirected_own": 1}, name
    program.set_own_addresses([])
    for name, make in ABOUT_OWN.items():
        assert "redirected_own" not in outcome(lab, program, [make(lab)]), name


@pytest.mark.usefixtures("xsk")
def test_everything_else_beside_tcp_stays_with_the_kernel(lab: VethLab, program: RedirectProgram) -> None:
    program.set_own_addresses([OWN4, OWN6])
    for name, make in OF_THE_KERNEL.items():
        assert outcome(lab, program, [make(lab)]) == {}, name


@pytest.mark.usefixtures("xsk")
def test_what_nobody_could_answer_is_dropped(lab: VethLab, program: RedirectProgram) -> None:
    program.set_own_addresses([OWN4, OWN6])
    for frame in (
        icmp4(lab, bytes([13]) + bytes(7), str(OWN4)),
        icmp6(lab, bytes([1]) + bytes(7), str(OWN6)),
    ):
        assert outcome(lab, program, [frame]) == {"dropped_own": 1}


@pytest.mark.usefixtures("xsk")
def test_echo_from_a_blocked_source_is_dropped(lab: VethLab, program: RedirectProgram) -> None:
    program.set_own_addresses([OWN4, OWN6])
    program.block(ip_network(lab.client4))
    assert outcome(lab, program, [ABOUT_OWN["echo"](lab)]) == {"dropped_blocked": 1}
    assert outcome(lab, program, [ABOUT_OWN["who has it"](lab)]) == {"redirected_own": 1}


def test_errors_that_quote_our_tcp_are_ours(lab: VethLab, program: RedirectProgram, xsk: XdpProbe) -> None:
    frames = [quoted4(lab, PORT), quoted6(lab, PORT)]
    assert outcome(lab, program, frames) == {"redirected_path_mtu": 2}
    assert receive(xsk, 2) == frames
