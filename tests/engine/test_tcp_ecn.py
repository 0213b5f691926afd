"""Explicit congestion notification: which packets may be marked, what is said of marks (RFC 3168 6.1)."""

from __future__ import annotations

import pytest

from tests.engine.frames import ECT, Segment, parse
from tests.engine.host import Host
from tests.engine.peer import Peer, get_request

CE = 3


def sent(host: Host) -> list[tuple[Segment, int]]:
    """What the engine sends now, with the ECN field of each packet; its peers get it, too."""
    out: list[tuple[Segment, int]] = []
    for _ in range(20):
        host.engine.turn(host.now)
        for frame in host.engine.collect(host.drivers[0]):
            out.append((parse(frame), frame[15] & 3))
            host._deliver(out[-1][0], 0)
    return out


def opened(host: Host, **options: object) -> Peer:
    peer = Peer(host, sack=True, **options)  # type: ignore[arg-type]
    peer.send("SEC")
    ((syn_ack, ecn),) = sent(host)
    assert set(syn_ack.flags) == {"S", "A", "E"} and ecn == 0, "a SYN-ACK is never ECT (6.1.1)"
    peer.snd = 1
    peer.send("A")
    host.settle()
    return peer


def marked(host: Host, peer: Peer, octets: bytes, seq: int | None = None) -> list[tuple[Segment, int]]:
    """Octets of the peer arrive with a mark that a router made."""
    segment = peer.segment("A", octets, seq=seq)
    peer.snd += len(octets) if seq is None else 0
    host.send(segment, ip={"tos": CE})
    return sent(host)


@pytest.mark.rfc("3168", "5", "SHOULD", "of the two ECT codepoints ECT(0) is used")
@pytest.mark.rfc("3168", "6.1.1", "MUST", "a SYN-ACK is never ECT")
@pytest.mark.rfc("3168", "6.1.2", "MUST", "new octets leave as ECT")
@pytest.mark.rfc("3168", "6.1.4", "MUST", "an ACK without octets is not ECT")
@pytest.mark.rfc("3168", "6.1.5", "MUST", "octets that are sent again are not ECT")
def test_new_octets_are_ect_and_nothing_else_is(host: Host) -> None:
    peer = opened(host)
    peer.send("A", b"GET ")
    assert [ecn for _, ecn in sent(host)] == [0]
    peer.send("A", get_request("/b10k")[4:])
    flight = sent(host)
    assert len(flight) > 5 and {ecn for _, ecn in flight} == {ECT}
    host.now += 2_000_000_000
    again = sent(host)
    host.now += 2_000_000_000
    again += sent(host)
    assert again and {ecn for _, ecn in again} == {0}


@pytest.mark.rfc("3168", "6.1.6", "MUST", "a probe of a closed window is not ECT")
def test_a_window_probe_is_not_ect(host: Host) -> None:
    peer = opened(host, window=0)
    peer.request("/b1")
    assert all(not segment.payload for segment, _ in sent(host))
    host.now += 3_000_000_000
    ((probe, ecn),) = sent(host)
    assert len(probe.payload) == 1 and ecn == 0


@pytest.mark.rfc("3168", "6.1.3", "MUST", "a mark is echoed by ECE until CWR arrives")
def test_a_mark_is_echoed_until_the_peer_has_reduced(host: Host) -> None:
    peer = opened(host)
    ((ack, _),) = marked(host, peer, b"GE")
    assert "E" in ack.flags
    peer.send("A", b"T")
    assert all("E" in segment.flags for segment, _ in sent(host)), "until it is heard"
    peer.send("AC", b" ")
    assert all("E" not in segment.flags for segment, _ in sent(host))


@pytest.mark.rfc("3168", "6.1.3", "SHOULD", "CWR with a mark of its own is echoed anew")
def test_cwr_on_a_marked_packet_is_echoed_anew(host: Host) -> None:
    peer = opened(host)
    marked(host, peer, b"GE")
    segment = peer.segment("AC", b"T")
    host.send(segment, ip={"tos": CE})
    assert all("E" in one.flags for one, _ in sent(host))


@pytest.mark.rfc("3168", "6.1.2", "MUST", "echoes of one window of data reduce once")
@pytest.mark.rfc("3168", "6.1.2", "MUST", "CWR is set on the first new octets after a reduction, once")
def test_the_reduction_is_said_with_the_next_new_octets_and_once(host: Host) -> None:
    peer = opened(host)
    peer.request("/b1m")
    flight = sent(host)
    peer.send("AE")
    after = sent(host)
    for _ in range(20):
        peer.send("A")
        after += sent(host)
    assert len(flight) == 10 and host.count("ecn_reductions") == 1
    new = [segment for segment, _ in after if segment.payload]
    assert ["C" in segment.flags for segment in new] == [True] + [False] * (len(new) - 1)


@pytest.mark.rfc("3168", "6.1.1", "MUST", "without agreement nothing is ECT, and a mark is not echoed")
def test_a_peer_without_ecn_gets_no_ect(host: Host) -> None:
    peer = Peer(host, sack=True).connect()
    peer.request("/b1k")
    assert {ecn for _, ecn in sent(host)} == {0}
    host.send(peer.segment("A", b"G"), ip={"tos": CE})
    assert all("E" not in segment.flags for segment, _ in sent(host))
