"""What the XDP program gives to our socket, and what it leaves to the kernel."""

from __future__ import annotations

import errno
import signal
import socket
import struct
import subprocess
import sys

import pytest

from bypass._probe_driver import XdpProbe
from bypass.errors import ExitCode, UnavailableError
from bypass.xdp import libbpf
from bypass.xdp.program import OUTCOMES, RedirectProgram
from tests.veth.netlab import (
    MSS,
    OTHER_PORT,
    PORT,
    VethLab,
    connect_error,
    eventually,
    receive,
    tcp,
)

pytestmark = pytest.mark.root

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
QTAG, ADTAG = 0x8100, 0x88A8
MORE_FRAGMENTS = 0x2000


@pytest.fixture
def xsk(lab: VethLab, program: RedirectProgram) -> XdpProbe:
    probe = lab.xdp_socket()
    program.register(0, probe.fd)
    return probe


def _ours(lab: VethLab, xsk: XdpProbe, frame: bytes) -> bool:
    """Whether this frame is steered to the socket; a frame that surely is follows it."""
    sentinel = lab.ethernet(lab.ipv4(tcp(PORT, source_port=50000)), IPV4)
    packets = lab.packet_socket()
    packets.send(frame)
    packets.send(sentinel)
    got = receive(xsk, 1)
    if sentinel not in got:
        got += receive(xsk, 1)
    assert sentinel in got
    got.remove(sentinel)
    assert got in ([], [frame])
    return got == [frame]


@pytest.mark.parametrize("address", ["server4", "server6"])
def test_a_kernel_client_of_our_port_reaches_the_socket(lab: VethLab, xsk: XdpProbe, address: str) -> None:
    client = lab.start_connect(getattr(lab, address), PORT)
    (frame,) = receive(xsk)
    ethertype = struct.unpack("!H", frame[12:14])[0]
    header = 34 if ethertype == IPV4 else 54
    source_port, port = struct.unpack("!HH", frame[header : header + 4])
    assert port == PORT
    assert source_port == client.getsockname()[1]


@pytest.mark.parametrize("address", ["server4", "server6"])
def test_another_port_is_answered_by_the_kernel(lab: VethLab, xsk: XdpProbe, address: str) -> None:
    listener = lab.listen(getattr(lab, address), OTHER_PORT)
    client = lab.start_connect(getattr(lab, address), OTHER_PORT)
    assert connect_error(client) == 0
    listener.accept()[0].close()
    assert xsk.rx_burst() == []


@pytest.mark.parametrize("address", ["server4", "server6"])
def test_without_a_socket_on_the_queue_the_kernel_refuses(
    lab: VethLab, program: RedirectProgram, address: str
) -> None:
    assert connect_error(lab.start_connect(getattr(lab, address), PORT)) == errno.ECONNREFUSED
    assert program.counters()["no_socket"] == 1


@pytest.mark.usefixtures("program")
def test_without_a_socket_on_the_queue_a_kernel_server_answers(lab: VethLab) -> None:
    lab.listen(lab.server4, PORT)
    assert connect_error(lab.start_connect(lab.server4, PORT)) == 0


def test_closing_the_socket_gives_the_port_back_to_the_kernel(lab: VethLab, xsk: XdpProbe) -> None:
    xsk.close()
    assert connect_error(lab.start_connect(lab.server4, PORT)) == errno.ECONNREFUSED


@pytest.mark.usefixtures("xsk")
def test_unregistering_gives_the_port_back_to_the_kernel(lab: VethLab, program: RedirectProgram) -> None:
    program.unregister(0)
    program.unregister(0)
    assert connect_error(lab.start_connect(lab.server4, PORT)) == errno.ECONNREFUSED


@pytest.mark.parametrize("tags", [(), ((QTAG, 5),), ((ADTAG, 5),)], ids=["untagged", "802.1Q", "802.1ad"])
def test_ipv4_and_ipv6_with_up_to_one_tag_are_ours(
    lab: VethLab, xsk: XdpProbe, tags: tuple[tuple[int, int], ...]
) -> None:
    assert _ours(lab, xsk, lab.ethernet(lab.ipv4(tcp(PORT)), IPV4, *tags))
    assert _ours(lab, xsk, lab.ethernet(lab.ipv6(tcp(PORT, options=MSS)), IPV6, *tags))


@pytest.mark.parametrize("words", [1, 5, 10])
def test_ipv4_options_are_stepped_over(lab: VethLab, xsk: XdpProbe, words: int) -> None:
    assert _ours(lab, xsk, lab.ethernet(lab.ipv4(tcp(PORT), options=b"\x01" * 4 * words), IPV4))


def test_ports_are_read_behind_the_options_and_not_in_them(lab: VethLab, xsk: XdpProbe) -> None:
    decoy = tcp(PORT)[:20]
    assert not _ours(lab, xsk, lab.ethernet(lab.ipv4(tcp(OTHER_PORT), options=decoy), IPV4))


def _cases(lab: VethLab) -> dict[str, tuple[bytes, str]]:
    """Frames that are not ours, and the counter that each one moves."""
    segment = tcp(PORT)
    extension = struct.pack("!BB6x", 6, 0)
    return {
        "another port": (lab.ethernet(lab.ipv4(tcp(OTHER_PORT)), IPV4), "passed_other"),
        "our port as source": (
            lab.ethernet(lab.ipv4(tcp(OTHER_PORT, source_port=PORT)), IPV4),
            "passed_other",
        ),
        "UDP": (lab.ethernet(lab.ipv4(segment, protocol=17), IPV4), "passed_other"),
        "ARP": (lab.ethernet(bytes(28), ARP), "passed_other"),
        "an unknown ethertype": (lab.ethernet(lab.ipv4(segment), 0x88B5), "passed_other"),
        "two tags": (lab.ethernet(lab.ipv4(segment), IPV4, (ADTAG, 5), (QTAG, 6)), "passed_other"),
        "version 6 in IPv4": (lab.ethernet(b"\x65" + lab.ipv4(segment)[1:], IPV4), "passed_other"),
        "first fragment": (
            lab.ethernet(lab.ipv4(segment, fragment=MORE_FRAGMENTS), IPV4),
            "passed_fragment",
        ),
        "last fragment": (lab.ethernet(lab.ipv4(segment, fragment=185), IPV4), "passed_fragment"),
        "IPv6 fragment": (
            lab.ethernet(lab.ipv6(extension + segment, next_header=44), IPV6),
            "passed_fragment",
        ),
        "IPv6 hop-by-hop": (
            lab.ethernet(lab.ipv6(extension + segment, next_header=0), IPV6),
            "passed_extension",
        ),
        "IPv6 destination options": (
            lab.ethernet(lab.ipv6(extension + segment, next_header=60), IPV6),
            "passed_extension",
        ),
        "IPv6 UDP": (lab.ethernet(lab.ipv6(segment, next_header=17), IPV6), "passed_other"),
        "a cut TCP header": (lab.ethernet(lab.ipv4(segment[:12]), IPV4), "passed_truncated"),
        "a cut IPv6 TCP header": (lab.ethernet(lab.ipv6(segment[:12]), IPV6), "passed_truncated"),
        "a cut IPv4 header": (lab.ethernet(lab.ipv4(segment)[:16], IPV4), "passed_truncated"),
        "a header length below five": (
            lab.ethernet(b"\x44" + lab.ipv4(segment)[1:], IPV4),
            "passed_truncated",
        ),
        "options longer than the frame": (
            lab.ethernet(b"\x4f" + lab.ipv4(segment)[1:], IPV4),
            "passed_truncated",
        ),
    }


def test_everything_else_goes_to_the_kernel_and_is_counted(
    lab: VethLab, program: RedirectProgram, xsk: XdpProbe
) -> None:
    for name, (frame, counter) in _cases(lab).items():
        before = program.counters()[counter]
        assert not _ours(lab, xsk, frame), name
        assert program.counters()[counter] >= before + 1, f"{name}: {counter} did not move"


def test_fragments_reach_the_kernel_whole(lab: VethLab, xsk: XdpProbe) -> None:
    with lab.pair.inside_server():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with lab.pair.inside_client():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind((lab.server4, PORT))
        receiver.settimeout(5)
        sender.sendto(b"f" * 4000, (lab.server4, PORT))
        assert receiver.recv(5000) == b"f" * 4000
    assert xsk.rx_burst() == []


@pytest.mark.usefixtures("xsk")
def test_echo_requests_are_answered_by_the_kernel(lab: VethLab) -> None:
    packets = lab.packet_socket()
    request = struct.pack("!BBHHH", 8, 0, 0xF7FD, 1, 1)
    packets.send(lab.ethernet(lab.ipv4(request, protocol=1), IPV4))
    replies = (packets.recv(2048) for _ in range(50))
    assert any(frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 0 for frame in replies)


def test_targets_can_be_changed_while_attached(lab: VethLab, program: RedirectProgram, xsk: XdpProbe) -> None:
    program.set_targets([lab.pair.server.v4], OTHER_PORT)
    assert connect_error(lab.start_connect(lab.server4, PORT)) == errno.ECONNREFUSED
    assert connect_error(lab.start_connect(lab.server6, OTHER_PORT)) == errno.ECONNREFUSED
    client = lab.start_connect(lab.server4, OTHER_PORT)
    assert receive(xsk)[0][34:36] == struct.pack("!H", client.getsockname()[1])


def test_each_queue_has_its_own_socket(two_queue_lab: VethLab) -> None:
    lab = two_queue_lab
    with RedirectProgram() as program, lab.pair.inside_server():
        program.load(2)
        program.set_targets(lab.server_addresses, PORT)
        probes = [lab.xdp_socket(queue) for queue in range(2)]
        for queue, probe in enumerate(probes):
            program.register(queue, probe.fd)
        program.attach(lab.ifindex, lab.ifname, "auto")
        for _ in range(24):
            lab.start_connect(lab.server4, PORT)
        received = [0, 0]

        def all_arrived() -> bool:
            for queue, probe in enumerate(probes):
                received[queue] += len(probe.rx_burst())
            return sum(received) >= 24

        assert eventually(all_arrived)
        assert program.counters()["no_socket"] == 0


def test_generic_mode_steers_too(lab: VethLab) -> None:
    with RedirectProgram() as program, lab.pair.inside_server():
        program.load(1)
        program.set_targets(lab.server_addresses, PORT)
        assert program.attach(lab.ifindex, lab.ifname, "generic") == "generic"
        attached = libbpf.query_xdp(lab.ifindex)
        assert attached is not None
        assert attached.mode is libbpf.AttachMode.GENERIC
        probe = lab.xdp_socket()
        program.register(0, probe.fd)
        lab.start_connect(lab.server4, PORT)
        assert len(receive(probe)) == 1


@pytest.mark.usefixtures("program")
def test_a_second_program_is_told_who_is_there(lab: VethLab) -> None:
    with RedirectProgram() as second:
        second.load(1)
        with pytest.raises(UnavailableError) as caught:
            second.attach(lab.ifindex, lab.ifname, "auto")
    attached = libbpf.query_xdp(lab.ifindex)
    assert attached is not None
    text = str(caught.value)
    assert f"XDP program {attached.program_id} (bypass_redirect)" in text
    assert "native mode" in text
    assert f"ip link set dev {lab.ifname} xdp off" in text
    assert caught.value.exit_code is ExitCode.UNAVAILABLE


@pytest.mark.usefixtures("program")
def test_a_second_program_in_the_other_mode_is_told_too(lab: VethLab) -> None:
    with RedirectProgram() as second:
        second.load(1)
        with pytest.raises(UnavailableError, match="bypass_redirect"):
            second.attach(lab.ifindex, lab.ifname, "generic")


def test_detaching_leaves_the_interface_as_it_was(lab: VethLab, program: RedirectProgram) -> None:
    assert libbpf.query_xdp(lab.ifindex) is not None
    program.detach()
    program.detach()
    assert libbpf.query_xdp(lab.ifindex) is None
    assert program.attach(lab.ifindex, lab.ifname, "native") == "native"


def test_a_program_whose_mtu_is_too_large_names_the_cause() -> None:
    with VethLab(mtu_bytes=9000) as lab, RedirectProgram() as program, lab.pair.inside_server():
        program.load(1)
        with pytest.raises(UnavailableError, match="MTU is too large"):
            program.attach(lab.ifindex, lab.ifname, "auto")


def test_an_interface_that_is_gone_is_named(lab: VethLab) -> None:
    with RedirectProgram() as program, lab.pair.inside_server():
        program.load(1)
        with pytest.raises(UnavailableError, match=r"gone0: attaching .* no such interface"):
            program.attach(99999, "gone0", "auto")


def test_every_outcome_has_a_counter(program: RedirectProgram) -> None:
    assert set(program.counters()) == set(OUTCOMES)


HOLDER = """
import sys, time
from bypass._probe_driver import XdpProbe
from bypass.xdp.program import RedirectProgram
from ipaddress import ip_address
program = RedirectProgram()
program.load(1)
program.set_targets([ip_address(sys.argv[3])], int(sys.argv[4]))
probe = XdpProbe(int(sys.argv[1]))
program.register(0, probe.fd)
print(program.attach(int(sys.argv[1]), sys.argv[2], "auto"), flush=True)
time.sleep(60)
"""


def test_nothing_stays_attached_after_the_holder_is_killed(lab: VethLab) -> None:
    arguments = [sys.executable, "-c", HOLDER, str(lab.ifindex), lab.ifname, lab.server4, str(PORT)]
    holder = subprocess.Popen(lab.pair.command(arguments, server=True), stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "native\n"
        with lab.pair.inside_server():
            assert libbpf.query_xdp(lab.ifindex) is not None
            lab.start_connect(lab.server4, PORT)
            holder.send_signal(signal.SIGKILL)
            assert holder.wait(5) == -signal.SIGKILL
            assert eventually(lambda: libbpf.query_xdp(lab.ifindex) is None)
        assert connect_error(lab.start_connect(lab.server4, PORT)) == errno.ECONNREFUSED
        assert lab.xdp_socket().fd >= 0, "the queue can be bound again"
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
