"""The tests' own builder and parser, and the engine's frames, against an independent implementation."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from tests.engine.frames import CLIENT, SERVER, Link, Options, Segment, build, parse
from tests.engine.host import Host
from tests.engine.peer import Peer

SAMPLES = [
    Segment(1234, 80, "S", 7, options=Options(mss=1460, scale=7, sack_permitted=True, timestamps=(5, 6))),
    Segment(1234, 80, "PA", 0xFFFFFFFF, 0x80000000, 17, b"odd", Options(timestamps=(1 << 31, 0))),
    Segment(1, 65535, "FRA", 0, 1, 0, b"e" * 1000),
    Segment(9, 10, "A", 1, 1, link=Link(tag=(0x8100, 0xABC))),
    Segment(9, 10, "PA", 1, 1, payload=b"\xff" * 77, link=Link(source=CLIENT[6], destination=SERVER[6])),
]


def recomputed(frame: bytes) -> bytes:
    """The same frame with lengths and checksums made by scapy."""
    packet: Any = Ether(frame)
    ip = packet[IP] if IP in packet else packet[IPv6]
    for field in ("len", "chksum", "plen"):
        if field in ip.fields:
            delattr(ip, field)
    del packet[TCP].chksum
    return bytes(packet)


@pytest.mark.parametrize("segment", SAMPLES)
def test_what_we_build_is_what_scapy_would(segment: Segment) -> None:
    frame = build(segment)
    packet: Any = Ether(frame)
    assert recomputed(frame) == frame
    assert (packet[TCP].seq, packet[TCP].ack, packet[TCP].window) == (
        segment.seq,
        segment.ack,
        segment.window,
    )
    assert set(str(packet[TCP].flags)) == set(segment.flags)
    assert bytes(packet[TCP].payload) == segment.payload
    assert (Dot1Q in packet) == (segment.link.tag is not None)
    options = dict(packet[TCP].options)
    assert options.get("MSS") == segment.options.mss and options.get("WScale") == segment.options.scale
    assert options.get("Timestamp") == segment.options.timestamps


def test_frames_that_break_a_rule_are_not_parsed() -> None:
    frame = parse_ready()
    parse(frame)
    for at in range(14, len(frame)):
        with pytest.raises((AssertionError, IndexError, struct.error)):
            parse(frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1 :])
    for bad in (frame + b"\0", frame[:-1]):
        with pytest.raises(AssertionError):
            parse(bad)


def parse_ready() -> bytes:
    """A frame as the engine makes them: TTL 64, DF, identification 0."""
    packet = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    packet /= IP(src="10.0.0.1", dst="10.0.0.2", id=0, flags="DF", ttl=64)
    packet /= TCP(
        sport=80,
        dport=9,
        flags="A",
        seq=1,
        ack=2,
        options=[("NOP", None), ("NOP", None), ("Timestamp", (3, 4))],
    )
    return bytes(packet / b"payload")


@pytest.mark.rfc("9293", "MUST-2")
@pytest.mark.rfc("9293", "MUST-68")
@pytest.mark.rfc("9293", "MUST-69")
@pytest.mark.parametrize("version", [4, 6])
def test_what_the_engine_sends_is_what_scapy_would(host: Host, version: int) -> None:
    peer = Peer(host, version=version, timestamps=True, scale=3, tag=(0x8100, 3)).connect()
    peer.request("/b10k")
    host.engine.turn(host.now)
    frames = host.engine.collect(0)
    host.send(peer.segment("A", seq=0))
    host.engine.turn(host.now)
    frames += host.engine.collect(0)
    assert len(frames) == 9
    assert all(recomputed(frame) == frame for frame in frames)
