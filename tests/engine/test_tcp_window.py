"""The peer's window: never overrun, probed when closed, not filled with crumbs (RFC 9293 3.8.6).

That no octet leaves the offered window is checked by Peer for every segment of every test.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import Host
from tests.engine.peer import Peer, get_request, seg
from tests.engine.stream import responses


@pytest.mark.rfc("5681", "3.1", "MUST", "no more is sent than the smaller of both windows allows")
@pytest.mark.rfc("9293", "MUST-1")
@pytest.mark.rfc("9293", "3.8.6", "MUST", "no more is sent than the window allows")
@pytest.mark.parametrize("window", [1, 2, 100, 536, 1459, 1460, 1461, 5000, 65535])
@pytest.mark.parametrize("scale", [None, 0, 2])
def test_a_response_fills_the_window_and_no_more(host: Host, window: int, scale: int | None) -> None:
    peer = Peer(host, window=window, scale=scale).connect()
    peer.request("/b1m")
    sent = sum(got.size for got in peer.get())
    offered = window << (scale or 0)
    most = min(offered, 14600)
    assert most - most % 1460 <= sent <= most
    assert sent == most or most > 1460


@pytest.mark.rfc("7323", "2.3", "MUST", "the window field is shifted by the scale that the peer offered")
@pytest.mark.rfc("9293", "REC-1")
@pytest.mark.rfc("7323", "2.2", "MUST", "the window of a SYN is never scaled")
def test_the_scale_applies_to_every_segment_but_the_syn(host: Host) -> None:
    peer = Peer(host, window=10, scale=14)
    peer.syn()
    peer.send("A")
    peer.request("/b1m")
    assert sum(got.size for got in peer.get()) == 14600


@pytest.mark.rfc("7323", "2.3", "MUST", "a scale above 14 counts as 14")
@pytest.mark.parametrize("scale", [15, 255])
def test_a_scale_above_14_counts_as_14(host: Host, scale: int) -> None:
    peer = Peer(host, window=1, scale=scale)
    peer.syn()
    peer.scale = 14
    assert len(responses(peer.fetch("/b1m"))[0].body) == 1 << 20
    assert host.count("retransmitted") == 0


@pytest.mark.rfc("7323", "2.2", "MUST", "without an offer in both SYNs nothing is scaled")
def test_without_scaling_the_window_is_what_it_says(host: Host) -> None:
    peer = Peer(host, window=3000).connect()
    peer.request("/b1m")
    assert [got.size for got in peer.get()] == [1460, 1460]


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "SND.WND follows the newest segment (SND.WL1, SND.WL2)")
def test_an_older_segment_does_not_change_the_window(host: Host) -> None:
    peer = Peer(host, window=2920).connect()
    peer.request("/b10k")
    assert sum(got.size for got in peer.get()) == 2920
    peer.send("A", window=2920)
    assert sum(got.size for got in peer.get()) == 2920
    edge = peer.edge
    peer.send("A", ack=1, window=65535)
    peer.edge = edge
    peer.expect()


def test_a_late_segment_with_a_newer_ack_moves_the_edge_of_the_window_nowhere(host: Host) -> None:
    """A segment of the peer's was lost; the one behind it has been seen, then comes the repeated one."""
    peer = Peer(host, window=2920).connect()
    peer.request("/b10k")
    assert sum(got.size for got in peer.get()) == 2920
    peer.send("A", b"T /", seq=peer.snd + 2, ack=1)
    peer.get()
    peer.send("A", b"GE", window=0)
    peer.expect(seg("A", ack=peer.snd + 3, payload=b""))


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "SND.WND follows the newest segment (SND.WL1, SND.WL2)")
def test_a_newer_segment_with_an_older_ack_does_not_open_the_window(host: Host) -> None:
    peer = Peer(host, window=2920).connect()
    peer.request("/b10k")
    assert sum(got.size for got in peer.get()) == 2920
    peer.send("A", b"G", window=0)
    peer.send("A", b"E", ack=1)
    peer.expect(seg("A", payload=b""), seg("A", ack=peer.snd, payload=b""))


@pytest.mark.rfc("9293", "MUST-35")
@pytest.mark.rfc("9293", "MUST-36")
@pytest.mark.rfc("9293", "SHLD-29")
@pytest.mark.rfc("9293", "SHLD-30")
def test_nothing_is_sent_into_a_closed_window_but_a_probe(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.request("/b64")
    peer.expect(seg("A", payload=b"", ack=peer.snd))
    waits = []
    for _ in range(5):
        waits.append(host.until_sent(20_000))
        (probe,) = peer.taken()
        assert probe.seq == 1 and probe.payload == b"H"
    assert waits[0] == pytest.approx(200, abs=10)
    assert all(later == pytest.approx(2 * wait, rel=0.02) for wait, later in pairwise(waits))
    assert host.count("window_probes") == 5 and host.count("retransmission_timeouts") == 0


def test_a_window_that_opens_lets_the_response_out_at_once(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.request("/b1k")
    host.sleep(1000)
    peer.taken()
    peer.window = 65535
    peer.send("A", ack=1)
    (got,) = peer.get()
    assert got.seq == 1 and got.size > 1024
    peer.send("A")
    assert host.sleep(3000) == []


def test_a_probe_that_is_taken_moves_the_stream_on(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.request("/b64")
    peer.get()
    for i in range(3):
        host.until_sent(1000)
        (probe,) = peer.taken()
        assert probe.seq == 1 + i and probe.size == 1
        peer.send("A")
        peer.expect()
    peer.window = 65535
    peer.send("A")
    (rest,) = peer.get()
    assert rest.seq == 4
    assert responses(peer.stream.octets())[0].status == 200


def test_probing_does_not_shrink_the_congestion_window(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.request("/b1m")
    host.sleep(4000)
    peer.taken()
    peer.window = 65535
    peer.send("A", ack=1)
    assert sum(got.size for got in peer.get()) == 14600


def test_a_timer_that_waited_for_the_window_starts_anew_when_it_opens(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.request("/b1k")
    peer.get()
    host.sleep(190)
    assert peer.taken() == []
    peer.window = 65535
    peer.send("A", ack=1)
    assert peer.get()[0].size > 1000
    assert host.sleep(180) == [], "sent again before its own timeout"


@pytest.mark.rfc("9293", "MUST-36")
def test_an_opened_window_that_was_lost_is_found_by_a_probe(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.request("/b64")
    peer.get()
    host.sleep(10_000)
    assert 4 <= len(peer.taken()) <= 7
    peer.window = 1000
    host.until_sent(10_000)
    peer.taken()
    (got,) = peer.ask("A", ack=1)
    assert got.size > 64


def test_a_peer_that_never_opens_its_window_is_given_up(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=30_000_000_000)
    peer = Peer(host, window=0).connect()
    peer.request("/b64")
    for _ in range(29):
        host.sleep(1000, 50)
        peer.taken()
        peer.send("A", ack=1)
    peer.get()
    assert host.engine.open_connections == 1
    host.sleep(1500, 50)
    assert "R" in peer.taken()[-1].flags
    assert host.engine.open_connections == 0 and host.count("connections_aborted") == 1


@pytest.mark.rfc("9293", "MUST-38")
def test_small_openings_of_a_large_window_are_not_filled(host: Host) -> None:
    peer = Peer(host, window=20_000).connect()
    peer.request("/b1m")
    sizes = [got.size for got in peer.get()]
    assert set(sizes) == {1460}
    for _ in range(5):
        peer.send("A", window=100)
        assert all(got.size == 1460 for got in peer.get())


@pytest.mark.rfc("9293", "MUST-38")
def test_a_window_that_stays_small_still_gets_octets_in_time(host: Host) -> None:
    peer = Peer(host, window=20_000).connect()
    peer.request("/b1m")
    peer.get()
    peer.window = 100
    peer.send("A")
    peer.get()
    for _ in range(3):
        before = peer.stream.prefix
        waited = host.until_sent(1500)
        peer.send("A")
        host.settle()
        assert waited > 100 and peer.stream.prefix == before + 100
    assert host.count("connections_aborted") == 0


@pytest.mark.rfc(
    "7323", "2.4", "MUST", "a window that shrinks is coped with, and what was sent into it is sent again"
)
@pytest.mark.rfc("9293", "MUST-34")
@pytest.mark.rfc("9293", "SHLD-16")
def test_a_window_that_shrank_below_what_is_lost_still_gets_it_again(host: Host) -> None:
    """RFC 9293 3.8.6: be ready for a window that shrinks."""
    peer = Peer(host, window=20_000).connect()
    peer.request("/b10k")
    assert sum(got.size for got in peer.get()) > 10_240
    peer.window = 50
    peer.send("A", ack=1)
    peer.get()
    host.until_sent(1000)
    (got,) = peer.taken()
    assert got.seq == 1 and got.size == 50
    peer.send("A", ack=51)
    host.until_sent(3000)
    (got,) = peer.taken()
    assert got.seq == 51 and got.size == 50


@pytest.mark.rfc("9293", "3.8.6", "MUST", "one ACK may cover any number of octets")
def test_requests_that_waited_are_answered_when_one_ack_covers_all_responses(host: Host) -> None:
    """More pipelined requests than a connection may have unacknowledged responses."""
    peer = Peer(host).connect()
    count = 150
    peer.send_all(get_request("/b1") * count)
    for _ in range(200):
        if not peer.get():
            break
        peer.send("A")
    assert len(responses(peer.stream.octets())) == count
    assert host.sleep(15_000, 20) == [] and host.count("header_timeouts") == 0


@pytest.mark.rfc("9293", "MUST-39")
def test_our_closed_window_is_opened_by_a_segment_of_its_own(host: Host) -> None:
    """A full request buffer that empties without a response: the peer must hear of it."""
    peer = Peer(host).connect()
    request = get_request("/b1")
    post = b"POST /b1 HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
    stream = request * 64 + post + bytes(60_000) + request
    peer.window = 0
    window, sent = 16384, 0
    while window:
        peer.send("A", stream[peer.snd - 1 :][: min(1400, window)])
        (got,) = peer.get()
        window = got.window
    sent = peer.snd - 1
    assert sent < len(stream)
    peer.window = 65535
    peer.send("A")
    for _ in range(50):
        if not (got_now := peer.get()):
            break
        window = got_now[-1].window
        peer.send("A")
    assert window == 16384


@pytest.mark.parametrize("window", [1, 10, 33, 50, 200])
def test_a_tiny_window_carries_a_whole_response(host: Host, window: int) -> None:
    peer = Peer(host, window=window).connect()
    (response,) = responses(peer.fetch("/b1k"))
    assert len(response.body) == 1024
