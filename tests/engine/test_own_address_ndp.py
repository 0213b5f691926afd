"""Neighbour discovery for an address of our own: RFC 4861, and the defence of RFC 4862."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.control import (
    ALL_NODES,
    ALL_NODES_MAC,
    UNSPECIFIED,
    Opened,
    icmp,
    opened,
    solicited_mac,
    solicited_node,
)
from tests.engine.frames import CLIENT, CLIENT_MAC, SERVER, SERVER_MAC, Link
from tests.engine.host import SECOND, Host

OURS, PEER = SERVER[6], CLIENT[6]
OTHER = OURS[:15] + b"\x09"
SOLICITATION, ADVERTISEMENT = 135, 136
SOURCE_LINK = b"\x01\x01" + CLIENT_MAC
SOLICITED_OVERRIDE, OVERRIDE = b"\x60\0\0\0", b"\x20\0\0\0"
GROUP = Link(CLIENT_MAC, solicited_mac(OURS), PEER, solicited_node(OURS))
DIRECT = Link(CLIENT_MAC, SERVER_MAC, PEER, OURS)
NOBODY = Link(CLIENT_MAC, solicited_mac(OURS), UNSPECIFIED, solicited_node(OURS))
ANSWER = OURS + b"\x02\x01" + SERVER_MAC


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host(own_addresses=[OURS])


def answers(host: Host, *frames: bytes) -> list[Opened]:
    sent = []
    for frame in frames:
        host.inject(frame)
        host.engine.turn(host.now)
        sent += host.engine.collect(host.drivers[0])
    return [opened(frame) for frame in sent]


def solicit(link: Link, target: bytes = OURS, options: bytes = SOURCE_LINK, **broken: int) -> bytes:
    return icmp(link, SOLICITATION, bytes(4) + target + options, **broken)


def advertise(target: bytes = OURS, **broken: int) -> bytes:
    link = Link(CLIENT_MAC, ALL_NODES_MAC, PEER, ALL_NODES)
    return icmp(link, ADVERTISEMENT, OVERRIDE + target + b"\x02\x01" + CLIENT_MAC, **broken)


@pytest.mark.parametrize("link", [GROUP, DIRECT])
@pytest.mark.parametrize("options", [SOURCE_LINK, b"", b"\x0e\x02" + bytes(14) + SOURCE_LINK])
def test_who_asks_for_our_address_is_told(host: Host, link: Link, options: bytes) -> None:
    (sent,) = answers(host, solicit(link, options=options))
    assert (sent.kind, sent.code, sent.hops) == (ADVERTISEMENT, 0, 255)
    assert sent.link == Link(SERVER_MAC, CLIENT_MAC, OURS, PEER)
    assert sent.rest == SOLICITED_OVERRIDE + ANSWER
    assert host.count("nd_replies") == 1


def test_who_tries_the_address_is_told_before_all(host: Host) -> None:
    (sent,) = answers(host, solicit(NOBODY, options=b""))
    assert sent.link == Link(SERVER_MAC, ALL_NODES_MAC, OURS, ALL_NODES)
    assert sent.rest == OVERRIDE + ANSWER
    assert sent.hops == 255


def test_a_vlan_tag_comes_back(host: Host) -> None:
    (sent,) = answers(
        host, solicit(Link(CLIENT_MAC, solicited_mac(OURS), PEER, GROUP.destination, (0x8100, 5)))
    )
    assert sent.link.tag == (0x8100, 5)


REFUSED = {
    "another target": solicit(GROUP, OTHER),
    "a group as target": solicit(GROUP, b"\xff" + OURS[1:]),
    "from beyond a router": solicit(GROUP, hops=254),
    "a code": solicit(GROUP, code=1),
    "a wrong checksum": solicit(GROUP, checksum=0x1234),
    "an option of length 0": solicit(GROUP, options=b"\x01\x00" + CLIENT_MAC),
    "an option that is too long": solicit(GROUP, options=b"\x01\x02" + CLIENT_MAC),
    "half an option": solicit(GROUP, options=SOURCE_LINK[:4]),
    "from :: to the address itself": solicit(Link(CLIENT_MAC, SERVER_MAC, UNSPECIFIED, OURS), options=b""),
    "from :: with a link-layer address": solicit(NOBODY),
    "from our own address": solicit(Link(CLIENT_MAC, solicited_mac(OURS), OURS, GROUP.destination)),
    "from a group": solicit(Link(CLIENT_MAC, solicited_mac(OURS), ALL_NODES, GROUP.destination)),
    "from our own station": solicit(Link(SERVER_MAC, solicited_mac(OURS), PEER, GROUP.destination)),
    "to another group": solicit(Link(CLIENT_MAC, solicited_mac(OURS), PEER, solicited_node(PEER))),
    "to all nodes": solicit(Link(CLIENT_MAC, ALL_NODES_MAC, PEER, ALL_NODES)),
    "an advertisement of another address": advertise(OTHER),
    "an advertisement from beyond a router": advertise(hops=64),
    "a redirect": icmp(DIRECT, 137, bytes(4) + OURS + PEER),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_question_for_us_gets_no_answer(host: Host, name: str) -> None:
    assert answers(host, REFUSED[name]) == []
    assert host.count("drop_control") + host.count("drop_other_mac") == 1
    assert host.count("address_conflicts") == 0


def test_no_shorter_frame_is_read(host: Host) -> None:
    whole = solicit(GROUP)
    assert answers(host, *(whole[:size] for size in range(14, len(whole)))) == []
    assert len(answers(host, whole)) == 1


def test_no_shorter_message_is_read(host: Host) -> None:
    body = bytes(4) + OURS + SOURCE_LINK
    cut = [icmp(GROUP, SOLICITATION, body[:size]) for size in range(len(body)) if size != 20]
    assert answers(host, *cut) == []
    assert host.count("drop_control") + host.count("drop_other_mac") == len(cut)


def test_an_address_that_another_claims_is_defended_once_in_ten_seconds(host: Host) -> None:
    (sent,) = answers(host, advertise(), advertise())
    assert sent.link == Link(SERVER_MAC, ALL_NODES_MAC, OURS, ALL_NODES)
    assert sent.rest == OVERRIDE + ANSWER
    host.now += 10 * SECOND
    assert len(answers(host, advertise())) == 1
    assert (host.count("address_conflicts"), host.count("address_defended")) == (3, 2)


def test_an_engine_without_own_addresses_is_silent(make_host: MakeHost) -> None:
    host = make_host()
    assert answers(host, solicit(GROUP), solicit(NOBODY, options=b""), advertise()) == []
    assert host.count("drop_control") == 3


def test_a_flood_of_questions_is_answered_at_a_bounded_rate(host: Host) -> None:
    assert len(answers(host, *[solicit(GROUP)] * 600)) == 500
    assert host.count("replies_limited") == 100
