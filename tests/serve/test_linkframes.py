"""Probes and announcements of addresses, and who claims one."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from bypass.serve.interface import Address
from bypass.serve.linkframes import announcement, claimant, probe

MAC, OTHER_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
ADDRESSES = [ip_address("192.0.2.7"), ip_address("2001:db8::12:3456")]
OTHERS = {4: ip_address("192.0.2.8"), 6: ip_address("2001:db8::13:3456")}


@pytest.mark.rfc("5227", "2.1.1", "SHOULD", "a probe of another station for the address is a conflict too")
@pytest.mark.parametrize("address", ADDRESSES)
def test_another_stations_probe_and_announcement_are_claims(address: Address) -> None:
    for frame in (probe(address, OTHER_MAC), announcement(address, OTHER_MAC)):
        assert claimant(frame, address, MAC) == OTHER_MAC
        assert claimant(frame, OTHERS[address.version], MAC) is None
        assert claimant(frame + bytes(18), address, MAC) == OTHER_MAC


@pytest.mark.parametrize("address", ADDRESSES)
def test_our_own_frames_are_no_claims(address: Address) -> None:
    assert claimant(probe(address, MAC), address, MAC) is None
    assert claimant(announcement(address, MAC), address, MAC) is None


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_shorter_frame_is_a_claim(address: Address) -> None:
    frame = probe(address, OTHER_MAC)
    assert [claimant(frame[:size], address, MAC) for size in range(len(frame))] == [None] * len(frame)


def test_an_ordinary_question_for_the_address_is_no_claim() -> None:
    arp = bytearray(probe(ADDRESSES[0], OTHER_MAC))
    arp[28:32] = OTHERS[4].packed
    assert claimant(bytes(arp), ADDRESSES[0], MAC) is None
    solicitation = bytearray(probe(ADDRESSES[1], OTHER_MAC))
    solicitation[22:38] = OTHERS[6].packed
    assert claimant(bytes(solicitation), ADDRESSES[1], MAC) is None


def test_what_has_crossed_a_router_is_no_claim() -> None:
    frame = bytearray(announcement(ADDRESSES[1], OTHER_MAC))
    frame[21] = 254
    assert claimant(bytes(frame), ADDRESSES[1], MAC) is None


@pytest.mark.rfc("5227", "2.1.1", "MUST", "a probe has the sender address 0")
def test_frames_are_laid_out_as_the_standards_draw_them() -> None:
    assert probe(ADDRESSES[0], MAC).hex() == (
        "ffffffffffff" "020000000001" "0806" "0001" "0800" "06" "04" "0001"
        "020000000001" "00000000" "000000000000" "c0000207"
    )  # fmt: skip
    solicitation = probe(ADDRESSES[1], MAC)
    assert solicitation[:6].hex() == "3333ff123456"
    assert solicitation[14:22].hex() == "6000000000183aff"
    assert solicitation[38:54].hex() == "ff0200000000000000000001ff123456"
    for frame in (solicitation, announcement(ADDRESSES[1], MAC)):
        octets = len(frame) - 54
        pseudo = frame[22:54] + octets.to_bytes(4, "big") + (58).to_bytes(4, "big")
        assert int.from_bytes(pseudo + frame[54:], "big") % 0xFFFF == 0
