"""ARP for an address of our own: RFC 826, RFC 5227."""

from __future__ import annotations

import struct

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.control import EVERYONE_MAC, arp
from tests.engine.frames import CLIENT, CLIENT_MAC, SERVER, SERVER_MAC
from tests.engine.host import SECOND, Host

OURS, PEER = SERVER[4], CLIENT[4]
OTHER = bytes([10, 0, 0, 9])
OTHER_MAC = b"\x02\x00\x00\x00\x00\x09"


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host(own_addresses=[OURS])


def answers(host: Host, *frames: bytes) -> list[bytes]:
    """What the engine sends at once after these frames."""
    sent = []
    for frame in frames:
        host.inject(frame)
        host.engine.turn(host.now)
        sent += host.engine.collect(host.drivers[0])
    return sent


def reply(target: bytes, target_mac: bytes = CLIENT_MAC) -> bytes:
    head = struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)
    return target_mac + SERVER_MAC + head + SERVER_MAC + OURS + target_mac + target


def announcement() -> bytes:
    head = struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
    return EVERYONE_MAC + SERVER_MAC + head + SERVER_MAC + OURS + bytes(6) + OURS


@pytest.mark.rfc("5227", "2.6", "SHOULD", "ARP replies are not broadcast")
@pytest.mark.rfc("5227", "2.5", "MUST", "requests for our address are answered")
@pytest.mark.parametrize("to", [EVERYONE_MAC, SERVER_MAC])
def test_who_asks_for_our_address_is_told(host: Host, to: bytes) -> None:
    assert answers(host, arp(PEER, OURS, to=to)) == [reply(PEER)]
    assert host.count("arp_replies") == 1


@pytest.mark.rfc("5227", "2.5", "MUST", "a probe for our address is answered")
def test_a_probe_is_answered_so_that_its_sender_gives_up(host: Host) -> None:
    assert answers(host, arp(bytes(4), OURS)) == [reply(bytes(4))]


def test_padding_to_the_least_ethernet_frame_is_not_sent_back(host: Host) -> None:
    assert answers(host, arp(PEER, OURS) + bytes(18)) == [reply(PEER)]


def test_a_vlan_tag_comes_back(host: Host) -> None:
    (sent,) = answers(host, arp(PEER, OURS, tag=(0x8100, 0x2005)))
    assert sent[12:18] == bytes.fromhex("810020050806")
    assert sent[18:] == reply(PEER)[14:]


def test_an_engine_without_own_addresses_is_silent(make_host: MakeHost) -> None:
    host = make_host()
    assert answers(host, arp(PEER, OURS), arp(OURS, OURS)) == []
    assert host.count("drop_control") == 2


def test_an_own_address_must_be_served(make_host: MakeHost, host: Host) -> None:
    assert answers(host, arp(PEER, OURS)) != []
    with pytest.raises(ValueError, match="own_addresses"):
        make_host(own_addresses=[OTHER])


REFUSED = {
    "another target": arp(PEER, OTHER),
    "a reply to somebody": arp(PEER, OURS, operation=2),
    "an unknown operation": arp(PEER, OURS, operation=3),
    "from us": arp(PEER, OURS, sender_mac=SERVER_MAC),
    "from a group": arp(PEER, OURS, sender_mac=b"\x03" + CLIENT_MAC[1:], source_mac=CLIENT_MAC),
    "from a multicast address": arp(bytes([224, 0, 0, 1]), OURS),
    "from loopback": arp(bytes([127, 0, 0, 1]), OURS),
    "hardware other than Ethernet": arp(PEER, OURS, head=struct.pack("!HHBB", 6, 0x0800, 6, 4)),
    "a protocol other than IPv4": arp(PEER, OURS, head=struct.pack("!HHBB", 1, 0x86DD, 6, 4)),
    "a hardware address of 8": arp(PEER, OURS, head=struct.pack("!HHBB", 1, 0x0800, 8, 4)),
    "a protocol address of 16": arp(PEER, OURS, head=struct.pack("!HHBB", 1, 0x0800, 6, 16)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_question_for_us_gets_no_answer(host: Host, name: str) -> None:
    assert answers(host, REFUSED[name]) == []
    assert host.count("drop_control") == 1


def test_no_shorter_frame_is_read(host: Host) -> None:
    whole = arp(PEER, OURS)
    assert answers(host, *(whole[:size] for size in range(14, len(whole)))) == []
    assert host.count("drop_control") == len(whole) - 14
    assert answers(host, whole) == [reply(PEER)]


@pytest.mark.rfc("5227", "2.4", "MUST", "conflicts are watched for as long as the address is used")
@pytest.mark.rfc("5227", "2.4", "MAY", "a claim of our address is answered by an announcement")
@pytest.mark.parametrize("operation", [1, 2])
def test_an_address_that_another_claims_is_defended(host: Host, operation: int) -> None:
    claim = arp(OURS, OURS, sender_mac=OTHER_MAC, operation=operation)
    assert answers(host, claim) == [announcement()]
    assert host.count("address_conflicts") == host.count("address_defended") == 1


def test_a_claim_of_ours_that_asks_for_another_is_a_conflict_too(host: Host) -> None:
    assert answers(host, arp(OURS, OTHER, sender_mac=OTHER_MAC)) == [announcement()]


@pytest.mark.rfc("5227", "2.4", "MUST", "at most one defence in DEFEND_INTERVAL")
def test_the_defence_is_one_announcement_in_ten_seconds(host: Host) -> None:
    claim = arp(OURS, OURS, sender_mac=OTHER_MAC)
    assert answers(host, claim, claim) == [announcement()]
    host.now += 9 * SECOND
    assert answers(host, claim) == []
    host.now += 1 * SECOND
    assert answers(host, claim) == [announcement()]
    assert host.count("address_conflicts") == 4
    assert host.count("address_defended") == 2


@pytest.mark.rfc("5227", "2.4", "MUST", "what we sent ourselves is no conflict")
def test_our_own_announcement_coming_back_is_no_conflict(host: Host) -> None:
    assert answers(host, announcement()) == []
    assert host.count("address_conflicts") == 0


def test_a_flood_of_questions_is_answered_at_a_bounded_rate(host: Host) -> None:
    sent = len(answers(host, *[arp(PEER, OURS)] * 800))
    assert sent == 500
    assert host.count("replies_limited") == 300
    host.now += SECOND // 10
    assert len(answers(host, *[arp(PEER, OURS)] * 400)) == 200
