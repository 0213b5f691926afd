"""What segments of ours bear: agreed timestamps, Don't Fragment, ECN's echo (RFC 7323, 1191, 3168)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import MODULUS, parse
from tests.engine.host import SECOND, Host
from tests.engine.peer import Peer, begun, get_request
from tests.engine.test_tcp_ecn import CE, marked, opened, sent


@pytest.mark.rfc("7323", "3.2", "MUST", "timestamps, once agreed on, are in every segment but a RST")
@pytest.mark.rfc("7323", "3.2", "SHOULD", "the RST of a connection bears timestamps too")
def test_timestamps_are_in_every_segment_from_the_syn_ack_to_the_rst(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=20 * SECOND)
    peer, flight = begun(host, timestamps=True, sack=True)
    every = [*flight, *peer.ask("A", b"G", seq=peer.snd + 5)]
    host.sleep(30_000, 50)
    every += peer.taken()
    kinds = {"again": host.count("retransmitted"), "bare": sum(not got.size for got in every)}
    assert all(kinds.values()) and set(every[-1].flags) == {"R", "A"}
    assert all(got.options.timestamps is not None for got in every)


@pytest.mark.rfc("7323", "3.2", "MUST", "the echoed timestamp is the newest of the peer's that counts")
def test_the_syn_ack_echoes_the_timestamp_of_the_syn(host: Host) -> None:
    peer = Peer(host, timestamps=True)
    clock = peer.clock
    stamps = peer.syn().options.timestamps
    assert stamps is not None and stamps[1] == clock


@pytest.mark.rfc("1191", "3", "MUST", "every packet leaves with Don't Fragment")
def test_every_packet_has_the_df_bit(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=5 * SECOND)
    peer = Peer(host)
    frames: list[bytes] = []
    for flags, payload in (
        ("S", b""),
        ("A", b""),
        ("A", get_request("/b1")[:5]),
        ("A", get_request("/b1")[5:]),
    ):
        peer.send(flags, payload)
        host.engine.turn(host.now)
        for frame in host.engine.collect(host.drivers[0]):
            frames.append(frame)
            peer.take(parse(frame), 0)
    Peer(host, port=7).send("A", ack=5)
    host.engine.turn(host.now)
    frames += host.engine.collect(host.drivers[0])
    assert "R" in parse(frames[-1]).flags and len(frames) >= 4
    assert all(frame[20] & 0xE0 == 0x40 and frame[20] & 0x1F == frame[21] == 0 for frame in frames)


@pytest.mark.rfc("3168", "6.1.5", "SHOULD", "a mark on what lies outside the window is ignored")
def test_a_mark_on_octets_outside_the_window_is_not_echoed(host: Host) -> None:
    peer = opened(host)
    host.send(peer.segment("A", b"old", seq=-50), ip={"tos": CE})
    assert [segment.flags for segment, _ in sent(host)] == ["A"]
    ((ack, _),) = marked(host, peer, b"G")
    assert "E" in ack.flags


@pytest.mark.rfc("3168", "6.1.4", "MUST", "a RST and a bare ACK are not ECT")
def test_a_rst_is_not_ect(host: Host) -> None:
    peer = opened(host)
    peer.send("A", ack=1, seq=1)
    host.send(Peer(host, port=9).segment("A", ack=99), ip={"tos": 2})
    answers = sent(host)
    assert [(segment.flags, ecn) for segment, ecn in answers if "R" in segment.flags] == [("R", 0)]


@pytest.mark.rfc("3168", "6.1.2", "MUST", "a loss and a mark in one window of data reduce once")
def test_an_echo_within_recovery_does_not_reduce_again(host: Host) -> None:
    peer = opened(host, timestamps=False)
    peer.request("/b1m")
    sent(host)
    for _ in range(4):
        peer.send("A", ack=1)
        sent(host)
    host.sleep(700)
    assert host.count("retransmission_timeouts") + host.count("fast_retransmits") >= 1
    peer.send("AE", ack=1 + 1460)
    sent(host)
    assert host.count("ecn_reductions") == 0


@pytest.mark.rfc("2018", "4", "SHOULD", "every ACK tells of what is held, until the hole is filled")
def test_every_ack_tells_of_what_is_held(host: Host) -> None:
    peer = Peer(host, sack=True).connect()
    request = get_request("/b1")
    peer.ask("A", request[20:], seq=21)
    held = ((peer.iss + 21) % MODULUS, (peer.iss + 1 + len(request)) % MODULUS)
    for at in range(19):
        (ack,) = peer.ask("A", request[at : at + 1], seq=1 + at)
        assert ack.options.sack == (held,) and ack.ack == 2 + at
    (answer,) = peer.ask("A", request[19:20], seq=20)
    assert answer.options.sack == () and answer.ack == 1 + len(request)
