"""Echo to an address of our own: RFC 792, RFC 1122 3.2.2.6, RFC 4443 4.2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.control import ECHO4, ECHO6, EVERYONE_MAC, ICMP, Opened, icmp, opened
from tests.engine.frames import CLIENT, SERVER, SERVER_MAC, Link
from tests.engine.host import SECOND, Host

WAYS = {4: Link(), 6: Link(source=CLIENT[6], destination=SERVER[6])}
KINDS = {4: ECHO4, 6: ECHO6}
REST = b"\x12\x34\x00\x01"


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host(own_addresses=list(SERVER.values()))


def answers(host: Host, *frames: bytes) -> list[Opened]:
    sent = []
    for frame in frames:
        host.inject(frame)
        host.engine.turn(host.now)
        sent += host.engine.collect(host.drivers[0])
    return [opened(frame) for frame in sent]


def request(version: int, data: bytes = b"", **broken: int) -> bytes:
    return icmp(WAYS[version], KINDS[version][0], REST + data, **broken)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 56, 1399, 1400])
def test_every_octet_comes_back(host: Host, version: int, size: int) -> None:
    data = bytes((i * i + 3) & 0xFF for i in range(size))
    (sent,) = answers(host, request(version, data))
    assert (sent.kind, sent.code, sent.hops) == (KINDS[version][1], 0, 64)
    assert sent.link == WAYS[version].turned()
    assert sent.rest == REST + data
    assert host.count("echo_replies") == 1


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("data", [b"\xff" * 64, b"\0" * 64, b"\xf7\xff", b"\x77\xff"])
def test_sums_at_their_edges_are_right(host: Host, version: int, data: bytes) -> None:
    assert len(answers(host, request(version, data))) == 1


def test_padding_is_not_sent_back_and_a_tag_is(host: Host) -> None:
    tagged = icmp(replace(WAYS[4], tag=(0x8100, 9)), 8, REST)
    (sent,) = answers(host, tagged + bytes(20))
    assert sent.rest == REST
    assert sent.link.tag == (0x8100, 9)


OUR4, OUR6 = WAYS[4], WAYS[6]
REFUSED = {
    "a reply": icmp(OUR4, 0, REST),
    "an ICMPv6 reply": icmp(OUR6, 129, REST),
    "a timestamp request": icmp(OUR4, 13, bytes(16)),
    "a code": request(4, code=1),
    "an ICMPv6 code": request(6, code=1),
    "a wrong checksum": request(4, checksum=0x1234),
    "a wrong ICMPv6 checksum": request(6, checksum=0x1234),
    "IP options": request(4, options=4),
    "a fragment": request(4, fragment=0x2000),
    "to another address": icmp(replace(OUR4, destination=bytes([10, 0, 0, 9])), 8, REST),
    "to all by MAC": icmp(replace(OUR4, destination_mac=EVERYONE_MAC), 8, REST),
    "to all by address": icmp(replace(OUR4, destination=b"\xff" * 4), 8, REST),
    "to a group": icmp(replace(OUR6, destination=bytes.fromhex("ff02" + "00" * 13 + "01")), 128, REST),
    "from a group": icmp(replace(OUR4, source=bytes([224, 0, 0, 1])), 8, REST),
    "from our own address": icmp(replace(OUR4, source=SERVER[4]), 8, REST),
    "from our own IPv6 address": icmp(replace(OUR6, source=SERVER[6]), 128, REST),
    "from ::": icmp(replace(OUR6, source=bytes(16)), 128, REST),
    "UDP": icmp(OUR4, 8, REST, protocol=17),
    "ICMP in IPv6": icmp(OUR6, 8, REST, protocol=ICMP),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_to_us_gets_no_answer(host: Host, name: str) -> None:
    assert answers(host, REFUSED[name]) == []
    counters = host.engine.counters()
    assert sum(value for name, value in counters.items() if name.startswith("drop_")) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_no_shorter_frame_is_read(host: Host, version: int) -> None:
    whole = request(version, b"0123456789")
    assert answers(host, *(whole[:size] for size in range(14, len(whole)))) == []
    assert len(answers(host, whole)) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_no_shorter_message_is_read(host: Host, version: int) -> None:
    cut = [icmp(WAYS[version], KINDS[version][0], REST[:size]) for size in range(4)]
    assert answers(host, *cut) == []
    assert host.count("drop_control") == 4


@pytest.mark.parametrize("version", [4, 6])
def test_an_address_of_the_kernel_is_not_answered_for(make_host: MakeHost, version: int) -> None:
    host = make_host(own_addresses=[SERVER[10 - version]])
    assert answers(host, request(version)) == []
    assert host.count("drop_control") == 1


def test_a_flood_is_answered_at_a_bounded_rate_and_arp_does_not_suffer(host: Host) -> None:
    assert len(answers(host, *[request(4)] * 300)) == 250
    assert host.count("replies_limited") == 50
    host.now += SECOND // 100
    assert len(answers(host, *[request(6)] * 20)) == 10


def test_replies_go_to_the_station_that_asked(host: Host) -> None:
    router = b"\x02\x00\x00\x00\x00\x77"
    far = replace(OUR4, source_mac=router, source=bytes([192, 0, 2, 7]))
    (sent,) = answers(host, icmp(far, 8, REST))
    assert sent.link == Link(SERVER_MAC, router, SERVER[4], bytes([192, 0, 2, 7]))
