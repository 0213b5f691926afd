"""Addresses that no kernel has, before a Linux client that knows nothing of us."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.errors import UnavailableError
from bypass.serve.server import Server
from bypass.serve.vethpair import VethPair
from tests.veth.netlab import eventually
from tests.veth.serving import serving

pytestmark = pytest.mark.root

OWN = {4: "198.18.0.77", 6: "fd62:7970:6173:7300::77"}
PAGE = os.urandom(20000)


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True, queues=2) as made:
        yield made


@pytest.fixture
def server(pair: VethPair) -> Iterator[Server]:
    with serving(pair, {"index.html": PAGE}, address=tuple(OWN.values())) as made:
        yield made


def url(address: str) -> str:
    return f"http://[{address}]/" if ":" in address else f"http://{address}/"


def fetch(pair: VethPair, address: str) -> bytes:
    done = pair.run(["curl", "-sS", "-g", "--max-time", "5", url(address)], text=False)
    return bytes(done.stdout)  # type: ignore[arg-type]


def neighbour(pair: VethPair, address: str) -> tuple[str, list[str]]:
    """What the client's kernel found out: MAC address and state."""
    (entry,) = json.loads(pair.run(["ip", "-j", "neigh", "show", address]).stdout)
    return entry.get("lladdr", ""), entry["state"]


def echo(pair: VethPair, address: str, data: bytes) -> bytes:
    """What the client's kernel hands to a raw socket in answer to an echo request."""
    version = 6 if ":" in address else 4
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if version == 6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    with pair.inside_client():
        pinger = socket.socket(family, socket.SOCK_RAW, protocol)
    with pinger:
        pinger.settimeout(5)
        message = struct.pack("!BBHHH", 128 if version == 6 else 8, 0, 0, 77, 1) + data
        if version == 4:
            padded = message + b"\0" * (len(message) % 2)
            message = (
                message[:2] + struct.pack("!H", 0xFFFF - int.from_bytes(padded, "big") % 0xFFFF) + message[4:]
            )
        pinger.sendto(message, (address, 0))
        until = time.monotonic() + 5
        while time.monotonic() < until:
            answer = pinger.recv(4096)
            answer = answer if version == 6 else answer[20:]
            if answer[0] == (129 if version == 6 else 0) and answer[4:8] == message[4:8]:
                return answer[8:]
    raise AssertionError("no answer")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("version", [4, 6])
def test_linux_resolves_the_address_and_fetches(pair: VethPair, version: int) -> None:
    assert fetch(pair, OWN[version]) == PAGE
    mac, state = neighbour(pair, OWN[version])
    assert mac == pair.server.mac
    assert "PERMANENT" not in state


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [0, 1, 56, 1400])
def test_linux_gets_its_echo_back(pair: VethPair, version: int, size: int) -> None:
    data = os.urandom(size)
    assert echo(pair, OWN[version], data) == data


@pytest.mark.parametrize("version", [4, 6])
def test_the_address_stays_reachable_when_linux_asks_again(
    pair: VethPair, server: Server, version: int
) -> None:
    counter = "arp_replies" if version == 4 else "nd_replies"
    for number in range(1, 4):
        pair.run(["ip", "neigh", "flush", "dev", pair.client.ifname, "to", OWN[version]])
        assert fetch(pair, OWN[version]) == PAGE
        assert eventually(lambda wanted=number: server.counters()[counter] >= wanted)  # type: ignore[misc]


def test_a_station_that_takes_the_ipv6_address_finds_it_taken(pair: VethPair, server: Server) -> None:
    pair.run(["ip", "addr", "add", f"{OWN[6]}/64", "dev", pair.client.ifname])

    def failed() -> bool:
        shown = json.loads(pair.run(["ip", "-j", "-6", "addr", "show", pair.client.ifname]).stdout)
        return any(one["local"] == OWN[6] and one.get("dadfailed") for one in shown[0]["addr_info"])

    assert eventually(failed)
    assert eventually(lambda: server.counters()["nd_replies"] >= 1)


@pytest.mark.rfc("5227", "2.4", "MAY", "a claim of our address is answered by an announcement")
def test_a_station_that_claims_the_ipv4_address_is_contradicted(pair: VethPair, server: Server) -> None:
    mac = bytes.fromhex("020000000099")
    ours = socket.inet_aton(OWN[4])
    with pair.inside_client():
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    with packets:
        packets.bind((pair.client.ifname, 0x0806))
        packets.settimeout(5)
        claim = b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
        packets.send(claim + mac + ours + bytes(6) + ours)
        while (frame := packets.recv(2048))[22:28] == mac:
            pass
    assert frame[6:12] == frame[22:28] == bytes.fromhex(pair.server.mac.replace(":", ""))
    assert frame[28:32] == frame[38:42] == ours
    assert eventually(lambda: server.counters()["address_defended"] >= 1)


@pytest.mark.rfc("5227", "2.3", "MUST", "the address is announced when it is taken up")
def test_both_addresses_are_announced(pair: VethPair) -> None:
    with pair.inside_client():
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    seen = set()
    with packets:
        packets.bind((pair.client.ifname, 3))
        packets.settimeout(5)
        with serving(pair, {"index.html": PAGE}, address=tuple(OWN.values())):
            while seen != {4, 6}:
                frame = packets.recv(2048)
                if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] == socket.inet_aton(OWN[4]):
                    seen.add(4)
                if frame[20] == 58 and frame[54] == 136 and frame[38:54] == socket.inet_pton(10, "ff02::1"):
                    seen.add(6)
    assert seen == {4, 6}


@pytest.mark.rfc("5227", "2.1.1", "MUST", "an address that is in use is not taken")
@pytest.mark.rfc("5227", "2.1", "MUST", "an address is probed before it is used")
@pytest.mark.parametrize("version", [4, 6])
def test_an_address_that_another_station_has_is_refused_with_its_mac(pair: VethPair, version: int) -> None:
    taken = str(pair.client.v4 if version == 4 else pair.client.v6)
    with (
        pytest.raises(
            UnavailableError, match=f"{taken} belongs to another station.*{pair.client.mac} has it"
        ),
        serving(pair, {"index.html": PAGE}, address=(taken,)),
    ):
        pytest.fail("it came to serve")
    shown = json.loads(pair.run(["ip", "-j", "link", "show", pair.server.ifname], server=True).stdout)
    assert "xdp" not in shown[0]


def test_the_solicited_node_group_is_joined_while_serving_and_left_after(pair: VethPair) -> None:
    def groups() -> str:
        return pair.run(["ip", "maddr", "show", "dev", pair.server.ifname], server=True).stdout

    assert "33:33:ff:00:00:77" not in groups()
    with serving(pair, {"index.html": PAGE}, address=(OWN[6],)):
        assert "33:33:ff:00:00:77" in groups()
        assert "ff02::1:ff00:77" in groups()
    assert "33:33:ff:00:00:77" not in groups()


def test_where_ipv6_is_off_the_nic_alone_is_told_of_the_group(pair: VethPair) -> None:
    with pair.inside_server():
        Path("/proc/sys/net/ipv6/conf", pair.server.ifname, "disable_ipv6").write_text("1")
    with serving(pair, {"index.html": PAGE}, address=(OWN[6],)):
        shown = pair.run(["ip", "maddr", "show", "dev", pair.server.ifname], server=True).stdout
        assert "33:33:ff:00:00:77" in shown
        assert fetch(pair, OWN[6]) == PAGE


@pytest.mark.usefixtures("server")
def test_the_kernels_own_addresses_answer_as_before(pair: VethPair) -> None:
    for address in (str(pair.server.v4), str(pair.server.v6)):
        assert echo(pair, address, b"kernel") == b"kernel"
        assert pair.run(["curl", "-sS", "-g", "--max-time", "5", url(address)]).returncode == 7


def test_after_the_end_nobody_answers(pair: VethPair) -> None:
    with serving(pair, {"index.html": PAGE}, address=(OWN[4],)):
        assert fetch(pair, OWN[4]) == PAGE
    pair.run(["ip", "neigh", "flush", "dev", pair.client.ifname, "to", OWN[4]])
    done = pair.run(["curl", "-sS", "--connect-timeout", "10", url(OWN[4])])
    assert done.returncode in (7, 28)
    assert eventually(lambda: neighbour(pair, OWN[4])[1] in (["FAILED"], ["INCOMPLETE"]))
