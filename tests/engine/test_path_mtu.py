"""ICMP errors about the path MTU: RFC 1191, RFC 8201, and whom to believe (RFC 5927)."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.control import icmp
from tests.engine.frames import (
    CLIENT,
    MODULUS,
    PORT,
    SERVER,
    Link,
    Options,
    Segment,
    ip_packet,
    tcp_header,
)
from tests.engine.host import Host
from tests.engine.peer import Peer
from tests.engine.stream import responses

ROUTER_MAC = b"\x02\x00\x00\x00\x00\x77"
ROUTER = {4: bytes([192, 0, 2, 1]), 6: bytes.fromhex("20010db8" + "00" * 11 + "01")}
IP_BYTES = {4: 20, 6: 40}
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def quoted(peer: Peer, *, seq: int = 1, octets: int = 1400, keep: int = 8, **fields: Any) -> bytes:
    """The start of a packet of the server's: its IP header and `keep` octets of TCP.

    seq: relative. fields: of Link or Segment, or `ip`, what is broken in the IP header.
    """
    ip = fields.pop("ip", {})
    link = replace(
        peer.link.turned(), **{name: fields.pop(name) for name in ("source", "destination") if name in fields}
    )
    number = ((peer.irs or 0) + seq) % MODULUS
    segment = replace(Segment(PORT, peer.port, "A", number, 0, 100, bytes(octets), link=link), **fields)
    packet = ip_packet(link, tcp_header(segment), **ip)
    return packet[: len(packet) - octets - 20 + keep]


def too_big(peer: Peer, mtu: int, packet: bytes | None = None, **fields: Any) -> bytes:
    """A router's error about a packet of the server's. fields: code, checksum, IP fields of the error."""
    version = peer.link.version
    way = {"source": ROUTER[version], "destination": SERVER[version]}
    way |= {name: fields.pop(name) for name in ("source", "destination", "destination_mac") if name in fields}
    link = replace(Link(source_mac=ROUTER_MAC), **way)
    body = quoted(peer) if packet is None else packet
    kind = fields.pop("kind", 3 if version == 4 else 2)
    code = fields.pop("code", 4 if version == 4 else 0)
    rest = struct.pack("!HH", 0, mtu) if version == 4 else struct.pack("!I", mtu)
    return icmp(link, kind, rest + body, code=code, **fields)


def waiting(host: Host, version: int, **options: Any) -> Peer:
    """A peer with unacknowledged segments of a response in flight."""
    peer = Peer(host, version=version, **({"mss": 1500 - IP_BYTES[version] - 20} | options)).connect()
    peer.request("/b1m")
    assert sum(got.size for got in peer.get()) > 5000
    return peer


def sizes_after(host: Host, peer: Peer) -> set[int]:
    """Octets of the segments that follow once everything is acknowledged."""
    peer.send("A")
    return {got.size for got in peer.get()}


@pytest.mark.rfc("9293", "SHLD-6")
@pytest.mark.rfc("9293", "MUST-54")
@pytest.mark.rfc("1191", "3", "MUST", "segments follow the MTU that a router names")
@pytest.mark.rfc("8201", "4", "MUST", "segments follow the MTU of a Packet Too Big")
@VERSIONS
@pytest.mark.parametrize("timestamps", [False, True])
def test_segments_become_as_small_as_the_path_wants(host: Host, version: int, timestamps: bool) -> None:
    peer = waiting(host, version, timestamps=timestamps)
    host.inject(too_big(peer, 1300))
    peer.get()
    assert host.count("path_mtu_lowered") == 1
    assert max(sizes_after(host, peer)) == 1300 - IP_BYTES[version] - 20 - (12 if timestamps else 0)


@pytest.mark.rfc("1191", "6.5", "SHOULD", "what was too large is sent again in smaller segments")
@pytest.mark.rfc("8201", "5.4", "SHOULD", "what was too large is sent again in smaller segments")
@VERSIONS
def test_the_whole_response_arrives_over_a_path_that_drops_what_is_too_large(
    host: Host, files: dict[str, bytes], version: int
) -> None:
    """The link of this test loses every packet above 1300 octets and says so, as a router does."""
    peer = Peer(host, version=version, mss=1500 - IP_BYTES[version] - 20)
    peer.connect()
    most = 1300 - IP_BYTES[version] - 20
    taken: dict[int, bytes] = {}
    deliver = peer.take

    def through_the_router(segment: Segment, driver: int) -> None:
        if len(segment.payload) <= most:
            taken[(segment.seq - (peer.irs or 0)) % MODULUS] = segment.payload
            deliver(segment, driver)
            return
        seq = (segment.seq - (peer.irs or 0)) % MODULUS
        host.inject(too_big(peer, 1300, quoted(peer, seq=seq, octets=len(segment.payload))))

    peer.take = through_the_router  # type: ignore[method-assign]
    start = host.now
    peer.request("/b1m")
    while len(peer.stream.octets(0)) < 1 << 20:
        assert host.now - start < 5_000_000_000, "the transfer stalls"
        if peer.get():
            peer.send("A")
        else:
            host.sleep(10)
    (response,) = responses(peer.stream.octets(0))
    assert response.body == files["b1m"]
    assert host.count("path_mtu_lowered") == 1
    assert max(map(len, taken.values())) == most


@pytest.mark.rfc("5927", "7.2", "SHOULD", "an MTU larger than what was sent is ignored")
@pytest.mark.rfc("1191", "3", "MUST", "an error never raises the path MTU")
@pytest.mark.rfc("8201", "4", "MUST", "an error never raises the path MTU")
@VERSIONS
def test_a_later_error_lowers_further_and_never_raises(host: Host, version: int) -> None:
    peer = waiting(host, version)
    for mtu in (1400, 1300, 1350, 1300, 1500, 9000):
        host.inject(too_big(peer, mtu))
        peer.get()
    assert host.count("path_mtu_lowered") == 2
    assert host.count("path_mtu_ignored") == 4
    assert max(sizes_after(host, peer)) == 1300 - IP_BYTES[version] - 20


@pytest.mark.rfc("5927", "7.2", "SHOULD", "an MTU is not believed below a least one")
@pytest.mark.rfc("1191", "3", "MUST", "forged errors cannot make segments ever smaller")
@pytest.mark.parametrize("mtu", [1, 68, 296, 551, 552])
def test_no_ipv4_path_makes_segments_smaller_than_552(host: Host, mtu: int) -> None:
    peer = waiting(host, 4)
    host.inject(too_big(peer, mtu))
    peer.get()
    assert max(sizes_after(host, peer)) == 552 - 40


@pytest.mark.rfc("8201", "4", "MUST", "the path MTU is never below 1280")
@pytest.mark.parametrize("mtu", [0, 1, 552, 1279])
def test_an_ipv6_error_below_1280_is_ignored(host: Host, mtu: int) -> None:
    peer = waiting(host, 6)
    host.inject(too_big(peer, mtu))
    peer.get()
    assert host.count("path_mtu_ignored") == 1
    host.inject(too_big(peer, 1280))
    peer.get()
    assert max(sizes_after(host, peer)) == 1280 - 60


@pytest.mark.rfc("1191", "5", "SHOULD", "a router that names no MTU means the next plateau")
@pytest.mark.parametrize(("octets", "mtu"), [(1460, 1492), (1450, 1006), (960, 552), (300, 552)])
def test_a_router_that_names_no_mtu_means_the_next_plateau(host: Host, octets: int, mtu: int) -> None:
    peer = waiting(host, 4)
    host.inject(too_big(peer, 0, quoted(peer, octets=octets)))
    peer.get()
    assert max(sizes_after(host, peer)) == mtu - 40


@pytest.mark.rfc("8201", "4", "SHOULD", "a Packet Too Big that answers nothing of ours is ignored")
@pytest.mark.rfc("5927", "4.1", "SHOULD", "an ICMP error is believed only about octets in flight")
@VERSIONS
def test_only_a_segment_in_flight_is_believed(host: Host, version: int) -> None:
    peer = waiting(host, version)
    flight = peer.rcv
    for seq in (0, -1, flight, flight + 1, 1 << 31):
        host.inject(too_big(peer, 1300, quoted(peer, seq=seq)))
    peer.get()
    assert host.count("path_mtu_ignored") == 5
    host.inject(too_big(peer, 1300, quoted(peer, seq=flight - 1)))
    peer.get()
    assert host.count("path_mtu_lowered") == 1


@pytest.mark.rfc("5927", "7.2", "SHOULD", "an error about what was acknowledged is ignored")
@VERSIONS
def test_an_error_about_what_was_acknowledged_is_ignored(host: Host, version: int) -> None:
    peer = waiting(host, version)
    peer.send("A")
    peer.get()
    host.inject(too_big(peer, 1300))
    peer.get()
    assert host.count("path_mtu_ignored") == 1


def _unbelievable(peer: Peer) -> dict[str, bytes]:
    """Sound messages that name no connection of ours."""
    other = bytes([10, 0, 0, 9]) if peer.link.version == 4 else CLIENT[6][:15] + b"\x09"
    return {
        "another port of the peer": too_big(peer, 1300, quoted(peer, destination_port=peer.port + 1)),
        "another peer": too_big(peer, 1300, quoted(peer, destination=other)),
    }


def _malformed(peer: Peer) -> dict[str, bytes]:
    version = peer.link.version
    other = SERVER[version][:-1] + b"\x09"
    return {
        "another port of ours": too_big(peer, 1300, quoted(peer, source_port=PORT + 1)),
        "a quoted source that is not the error's destination": too_big(
            peer, 1300, quoted(peer, source=other)
        ),
        "a wrong checksum": too_big(peer, 1300, checksum=0x1234),
        "another code": too_big(peer, 1300, code=1),
        "UDP in the quotation": too_big(peer, 1300, quoted(peer, ip={"protocol": 17})),
        "the other IP version in the quotation": too_big(peer, 1300, b"\x75" + quoted(peer)[1:]),
        "a quoted packet without segment": too_big(peer, 1300, quoted(peer, ip={"total": IP_BYTES[4]})),
        "from our own address": too_big(peer, 1300, source=SERVER[version]),
    }


@pytest.mark.rfc("5927", "4", "SHOULD", "an error that names no connection is ignored")
@pytest.mark.rfc("8201", "4", "SHOULD", "a Packet Too Big that answers nothing of ours is ignored")
@pytest.mark.rfc("9293", "MUST-54")
@VERSIONS
def test_what_names_no_connection_is_ignored(host: Host, version: int) -> None:
    peer = waiting(host, version)
    for number, (name, frame) in enumerate(_unbelievable(peer).items()):
        host.inject(frame)
        peer.get()
        assert host.count("path_mtu_ignored") == number + 1, name
    assert host.count("path_mtu_lowered") == 0


@pytest.mark.rfc("5927", "4", "SHOULD", "malformed errors are dropped")
@VERSIONS
def test_what_is_malformed_is_dropped(host: Host, version: int) -> None:
    peer = waiting(host, version)
    frames = _malformed(peer)
    if version == 6:
        del frames["a quoted packet without segment"]
    for number, (name, frame) in enumerate(frames.items()):
        host.inject(frame)
        peer.get()
        assert host.count("drop_control") == number + 1, name
    assert host.count("path_mtu_lowered") == host.count("path_mtu_ignored") == 0


def test_fragments_and_header_lengths_in_the_quotation_are_checked(host: Host) -> None:
    peer = waiting(host, 4)
    wrong = [
        quoted(peer, ip={"fragment": 0x2001}),
        quoted(peer, ip={"first": 0x44}),
        quoted(peer, ip={"first": 0x4F}),
        quoted(peer, ip={"first": 0x55}),
    ]
    for body in wrong:
        host.inject(too_big(peer, 1300, body))
    peer.get()
    assert host.count("drop_control") == len(wrong)
    host.inject(too_big(peer, 1300, quoted(peer, ip={"options": 8, "fragment": 0x2000, "checksum": 0})))
    peer.get()
    assert host.count("path_mtu_lowered") == 1


@VERSIONS
def test_a_quotation_is_read_from_the_sequence_number_on_and_not_before(host: Host, version: int) -> None:
    peer = waiting(host, version)
    whole = quoted(peer)
    for size in range(len(whole)):
        host.inject(too_big(peer, 1300, whole[:size]))
        peer.get()
    assert host.count("drop_control") == len(whole)
    host.inject(too_big(peer, 1300, whole))
    peer.get()
    assert host.count("path_mtu_lowered") == 1


@VERSIONS
def test_no_shorter_frame_is_read(host: Host, version: int) -> None:
    peer = waiting(host, version)
    whole = too_big(peer, 1300)
    for size in range(14, len(whole)):
        host.inject(whole[:size])
        peer.get()
    assert host.count("path_mtu_lowered") == host.count("path_mtu_ignored") == 0
    host.inject(whole + bytes(20))
    peer.get()
    assert host.count("path_mtu_lowered") == 1


@VERSIONS
def test_an_own_address_has_path_mtu_discovery_too(make_host: MakeHost, version: int) -> None:
    host = make_host(own_addresses=list(SERVER.values()))
    peer = waiting(host, version)
    host.inject(too_big(peer, 1300))
    peer.get()
    assert host.count("path_mtu_lowered") == 1


TEN_MINUTES_MS = 700_000


def lowered(host: Host, **options: Any) -> Peer:
    """A connection with smaller segments because of an ICMP error, all acknowledged."""
    peer = Peer(host, sack=True, **options).connect()
    peer.request("/b10k")
    peer.get()
    host.inject(too_big(peer, 1300))
    peer.get()
    peer.send("A")
    for _ in peer.acknowledging():
        pass
    assert host.count("path_mtu_lowered") == 1
    return peer


def holes(peer: Peer) -> Options:
    """SACK blocks of what has arrived behind the first gap."""
    base = (peer.irs or 0) + 1
    return Options(sack=tuple((base + start, base + end) for start, end in peer.stream.islands()[-3:]))


def sizes(peer: Peer, path: str) -> list[int]:
    """Octets of the segments of a response, all of which arrive."""
    peer.request(path)
    return [one.size for got in peer.acknowledging() for one in got if one.size]


@pytest.mark.rfc("8201", "4", "MUST", "no larger path MTU is tried within five minutes of an error")
@pytest.mark.rfc("1191", "3", "SHOULD", "a larger path MTU is tried after ten minutes")
@pytest.mark.rfc("8201", "4", "SHOULD", "a larger path MTU is tried after ten minutes")
@pytest.mark.rfc("4821", "7", "MAY", "the path MTU is searched upwards by a probe of new octets")
@VERSIONS
def test_after_ten_minutes_one_large_segment_is_tried_and_the_others_follow_when_it_arrives(
    make_host: MakeHost, version: int
) -> None:
    host = make_host(idle_timeout_ns=2 * TEN_MINUTES_MS * 1_000_000)
    large = 1500 - IP_BYTES[version] - 20
    peer = lowered(host, version=version, mss=large)
    small = 1300 - IP_BYTES[version] - 20
    assert max(sizes(peer, "/b1m")) == small
    host.jump(TEN_MINUTES_MS / 2)
    assert max(sizes(peer, "/b1m")) == small, "not yet"
    host.jump(TEN_MINUTES_MS / 2)
    peer.request("/b1m")
    first = [one.size for one in peer.get()]
    assert first.count(large) == 1 and set(first) == {large, small}
    peer.send("A")
    rest = [one.size for got in peer.acknowledging() for one in got if one.size]
    assert set(rest[:-1]) == {large} and host.count("path_mtu_raised") == 1


@pytest.mark.rfc("1191", "3", "MUST", "no larger path MTU is tried within five minutes of an error")
@pytest.mark.rfc("4821", "3", "MAY", "the loss of a probe alone is repaired and reduces no window")
def test_when_the_large_segment_is_lost_they_stay_small_for_another_ten_minutes(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=4 * TEN_MINUTES_MS * 1_000_000)
    peer = lowered(host)
    deliver = peer.take
    vanished = []

    def path(segment: Segment, driver: int) -> None:
        if len(segment.payload) > 1260:
            vanished.append(segment)
        else:
            deliver(segment, driver)

    peer.take = path  # type: ignore[method-assign]
    for round_number in range(1, 3):
        host.jump(TEN_MINUTES_MS)
        before = host.count("retransmission_timeouts")
        start = peer.stream.prefix
        peer.request("/b1m")
        for _ in range(2000):
            if peer.stream.prefix - start > 1 << 20:
                break
            if peer.get():
                peer.send("A", options=holes(peer))
            else:
                host.sleep(20)
        assert peer.stream.prefix - start > 1 << 20
        assert len(vanished) == round_number, "one is tried, and repaired in pieces"
        assert host.count("retransmission_timeouts") == before
    assert host.count("path_mtu_raised") == 0
    assert host.count("fast_retransmits") == 0, "the probe alone was lost: that is no congestion"
