"""Every frame that is not a sound TCP segment to us: dropped without an answer, counted by its reason."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import (
    CLIENT,
    SERVER,
    SERVER_MAC,
    Link,
    Options,
    Segment,
    build,
    ethernet_header,
    ip_packet,
    tcp_header,
)
from tests.engine.host import Host
from tests.engine.peer import Peer

LINK = {version: Link(source=CLIENT[version], destination=SERVER[version]) for version in (4, 6)}
TAGGED = replace(LINK[4], tag=(0x8100, 1))


def syn(version: int = 4, **changes: object) -> Segment:
    return Segment(999, 80, "S", 1, options=Options(mss=1000), link=replace(LINK[version], **changes))  # type: ignore[arg-type]


def broken_ip(version: int, **fields: int) -> bytes:
    return build(syn(version), ip=fields)


def payload(version: int, octets: bytes, **fields: int) -> bytes:
    return ethernet_header(LINK[version]) + ip_packet(LINK[version], octets, **fields)


SYN4, SYN6 = build(syn(4)), build(syn(6))

FRAMES: dict[str, list[bytes]] = {
    "drop_short": [
        SYN4[:1],
        SYN4[:13],
        build(replace(syn(), link=TAGGED))[:14],
        build(replace(syn(), link=TAGGED))[:17],
    ],
    "drop_other_mac": [
        build(syn(destination_mac=b"\x02\0\0\0\0\x07")),
        build(syn(destination_mac=b"\xff" * 6)),
        build(syn(destination_mac=b"\x01\x00\x5e\0\0\1")),
        build(syn(6, destination_mac=b"\x33\x33\0\0\0\1")),
        build(syn(source_mac=b"\xff" * 6)),
        build(syn(6, source_mac=b"\x03\0\0\0\0\2")),
    ],
    "drop_not_ip": [
        SERVER_MAC + SYN4[6:12] + b"\x88\xcc" + bytes(46),
        SERVER_MAC + SYN4[6:12] + struct.pack("!H", 60) + bytes(60),
        ethernet_header(TAGGED, 0x8100) + struct.pack("!HH", 2, 0x0800) + SYN4[14:],
    ],
    "drop_control": [
        SERVER_MAC + SYN4[6:12] + b"\x08\x06" + bytes(46),
        b"\xff" * 6 + SYN4[6:12] + b"\x08\x06" + bytes(28),
        ethernet_header(TAGGED, 0x0806) + bytes(46),
        broken_ip(4, protocol=1),
        broken_ip(6, protocol=58),
    ],
    "drop_ip_header": [
        broken_ip(4, checksum=0x1234),
        broken_ip(4, first=0x44),
        broken_ip(4, first=0x40),
        broken_ip(4, first=0x55),
        broken_ip(4, first=0x65),
        broken_ip(6, first=0x50000000),
        broken_ip(6, first=0x40000000),
        SYN4[:14] + bytes(20),
        ethernet_header(LINK[4], 0x86DD) + SYN4[14:] + bytes(20),
        ethernet_header(LINK[6], 0x0800) + SYN6[14:],
    ],
    "drop_ip_length": [
        SYN4[: 14 + 19],
        SYN4[:-1],
        SYN4[:14],
        broken_ip(4, total=19),
        broken_ip(4, total=0),
        broken_ip(4, total=45),
        broken_ip(4, first=0x4F, total=44),
        SYN6[: 14 + 39],
        SYN6[:-1],
        broken_ip(6, total=25),
        broken_ip(6, total=65535),
    ],
    "drop_fragment": [
        broken_ip(4, fragment=0x2000),
        broken_ip(4, fragment=0x0001),
        broken_ip(4, fragment=0x1FFF),
        broken_ip(4, fragment=0x6000),
        broken_ip(6, protocol=44),
    ],
    "drop_not_tcp": [
        broken_ip(4, protocol=17),
        broken_ip(6, protocol=17),
        broken_ip(6, protocol=0),
        broken_ip(6, protocol=59),
    ],
    "drop_other_address": [
        build(syn(destination=bytes([10, 0, 0, 3]))),
        build(syn(destination=bytes([255, 255, 255, 255]))),
        build(syn(destination=bytes([224, 0, 0, 1]))),
        build(syn(6, destination=SERVER[6][:-1] + b"\x03")),
        build(syn(6, destination=b"\xff\x02" + bytes(13) + b"\x01")),
        build(replace(syn(), destination_port=81)),
        build(replace(syn(6), destination_port=0)),
        build(replace(syn(), destination_port=80 << 8)),
    ],
    "drop_bad_source": [
        *(
            build(syn(source=bytes(address)))
            for address in (
                SERVER[4],
                (0, 0, 0, 0),
                (0, 1, 2, 3),
                (127, 0, 0, 1),
                (224, 0, 0, 1),
                (239, 9, 9, 9),
                (240, 0, 0, 1),
                (255, 255, 255, 255),
            )
        ),
        *(
            build(syn(6, source=address))
            for address in (
                SERVER[6],
                bytes(16),
                bytes(15) + b"\x01",
                b"\xff\x02" + bytes(13) + b"\x01",
                bytes(10) + b"\xff\xff" + CLIENT[4],
                bytes(12) + CLIENT[4],
            )
        ),
        build(replace(syn(source=SERVER[4]), source_port=80)),
    ],
    "drop_tcp_header": [
        payload(4, b""),
        payload(4, tcp_header(syn())[:19]),
        payload(6, tcp_header(syn(6))[:19]),
        build(syn(), offset=4),
        build(syn(), offset=0),
        build(syn(), offset=7),
        build(syn(), offset=15),
        build(replace(syn(), source_port=0)),
        *(
            build(replace(syn(), options=Options(raw=raw)))
            for raw in (
                b"\x02\x00\x05\xb4",
                b"\x02\x01\x05\xb4",
                b"\x02\x05\x05\xb4",
                b"\1\1\1\x02",
                b"\1\1\x1e\1",
                b"\x08\xff\0\0",
            )
        ),
    ],
    "drop_tcp_checksum": [
        build(syn(), checksum=0),
        build(syn(), checksum=0x1234),
        build(syn(6), checksum=0xFFFF),
        SYN4[:-1] + bytes([SYN4[-1] ^ 1]),
        SYN6[:-1] + bytes([SYN6[-1] ^ 0x80]),
        build(replace(syn(), payload=b"odd"))[:-1] + b"D",
    ],
}


@pytest.mark.rfc("9293", "MUST-3")
@pytest.mark.rfc("9293", "MUST-57")
@pytest.mark.rfc("9293", "MUST-63")
@pytest.mark.parametrize(
    ("reason", "number"), [(reason, i) for reason, frames in FRAMES.items() for i in range(len(frames))]
)
def test_a_bad_frame_is_dropped_for_its_reason(host: Host, reason: str, number: int) -> None:
    frame = FRAMES[reason][number]
    host.inject(frame)
    assert host.settle() == []
    dropped = {
        name: value for name, value in host.engine.counters().items() if name.startswith("drop_") and value
    }
    assert dropped == {reason: 1}
    assert host.count("rx_frames") == 1 and host.count("rx_octets") == len(frame)
    assert host.engine.open_connections == 0 and host.count("no_connection") == 0


@pytest.mark.parametrize("version", [4, 6])
def test_the_frame_that_all_others_are_made_from_is_sound(host: Host, version: int) -> None:
    host.inject(build(syn(version)))
    assert len(host.settle()) == 1 and host.strays[0].flags == "SA"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("padding", [1, 2, 46])
def test_octets_behind_the_packet_are_padding(host: Host, version: int, padding: int) -> None:
    """Ethernet pads to 60 octets; whatever lies there is no part of the segment."""
    peer = Peer(host, version=version).connect()
    host.inject(build(peer.segment("PA", b"GET /b1 HTTP/1.1\r\nHost: a\r\n\r\n")) + b"\xee" * padding)
    assert peer.get()[0].payload.startswith(b"HTTP/1.1 200")


@pytest.mark.rfc("9293", "MUST-50")
def test_ipv4_options_are_skipped(host: Host) -> None:
    host.inject(build(syn(), ip={"options": 4}))
    host.inject(build(replace(syn(), source_port=998), ip={"options": 40}))
    assert [segment.flags for segment in host.settle()] == ["SA", "SA"]


def test_a_packet_without_df_and_with_any_tos_is_taken(host: Host) -> None:
    host.inject(build(syn(), ip={"fragment": 0, "tos": 0xFF}))
    host.inject(build(syn(6), ip={"first": 0x6FFFFFFF}))
    assert [segment.flags for segment in host.settle()] == ["SA", "SA"]


@pytest.mark.parametrize("tag", [(0x8100, 0), (0x8100, 0xFFFF), (0x88A8, 0x1234)])
@pytest.mark.parametrize("version", [4, 6])
def test_the_tag_of_a_frame_is_on_its_answer(host: Host, tag: tuple[int, int], version: int) -> None:
    host.inject(build(syn(version, tag=tag)))
    host.inject(build(replace(syn(version, tag=tag), flags="A", source_port=5)))
    answers = host.settle()
    assert [answer.flags for answer in answers] == ["SA", "R"]
    assert all(answer.link == syn(version, tag=tag).link.turned() for answer in answers)


def partial_checksum(segment: Segment) -> int:
    """What a sender's kernel leaves for the device to finish: the folded pseudo-header sum, not inverted."""
    octets = len(tcp_header(segment))
    words = segment.link.source + segment.link.destination + struct.pack("!HH", 6, octets)
    return sum(struct.unpack(f"!{len(words) // 2}H", words)) % 0xFFFF or 0xFFFF


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("extra", [b"", b"odd", b"even"])
def test_a_checksum_only_begun_is_taken_where_that_is_allowed(
    make_host: MakeHost, version: int, extra: bytes
) -> None:
    segment = replace(syn(version), payload=extra)
    begun = build(segment, checksum=partial_checksum(segment))
    strict, lenient = make_host(), make_host(accept_partial_checksums=True)
    strict.inject(begun)
    assert strict.settle() == [] and strict.count("drop_tcp_checksum") == 1
    lenient.inject(begun)
    assert [got.flags for got in lenient.settle()] == ["SA"]
    lenient.inject(build(replace(segment, source_port=7)))
    assert [got.flags for got in lenient.settle()] == ["SA"]
    for wrong in (0, partial_checksum(segment) ^ 1, partial_checksum(segment) ^ 0xFFFF):
        lenient.inject(build(segment, checksum=wrong))
    assert lenient.settle() == [] and lenient.count("drop_tcp_checksum") == 3


@pytest.mark.rfc("9293", "MUST-43")
@pytest.mark.rfc("9293", "MUST-45")
def test_several_addresses_of_one_server_are_told_apart(make_host: MakeHost) -> None:
    addresses = [bytes([10, 0, 0, i]) for i in range(1, 33)] + [
        SERVER[6][:-1] + bytes([i]) for i in range(1, 33)
    ]
    host = make_host(addresses=addresses, connections=128)
    for address in addresses:
        version = 4 if len(address) == 4 else 6
        source = CLIENT[version][:-1] + b"\x63"
        host.inject(build(syn(version, source=source, destination=address)))
    answers = host.settle()
    assert [answer.link.source for answer in answers] == addresses
    assert host.engine.open_connections == 64


def test_an_ipv4_peer_and_a_mapped_ipv6_peer_are_not_mixed_up(host: Host) -> None:
    """Both have the same key but for our own address; the mapped one is refused as a source anyway."""
    host.inject(build(syn()))
    host.inject(build(syn(6, source=bytes(10) + b"\xff\xff" + CLIENT[4])))
    assert len(host.settle()) == 1 and host.count("drop_bad_source") == 1
